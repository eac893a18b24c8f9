"""CPU seconds for an error of 0.1 % against L, of every way: medians and ranges over seeds, and the tables again.

    python benchmarks/figures/errors_per_second.py ROWS.jsonl [--out FIGURE.svg]

ROWS.jsonl holds the rows that `benchmarks/errors_per_second.py --rows` wrote, of any number of models and seeds.
"""

import argparse
import math
import sys
from pathlib import Path

import matplotlib as mpl

sys.path.insert(0, str(Path(__file__).parent.parent))

mpl.use("svg")

from matplotlib.figure import Figure

from common.error_rows import GOAL, Row, once_table, pulls, read, table, ways_of
from latflow.report.canvas import encode, style

PANELS = {
    "susceptibility": r"$\chi_2$",
    "pole_mass": "$m_p$",
    "ising_energy": "$E$",
    "phi_squared": r"$\langle\phi^2\rangle$",
}
LOOKS = {
    "HMC": ("HMC", "#D55E00", "s", "-"),
    "local": ("local", "#E69F00", "v", "-"),
    "clusters": ("clusters", "#009E73", "^", "-"),
    "HMC, learned Stein fields": ("HMC, Stein fields", "#D55E00", "s", "--"),
    "clusters, learned Stein fields": ("clusters, Stein fields", "#009E73", "^", "--"),
    "flow, Metropolis": ("flow, Metropolis", "#0072b2", "o", "-"),
    "flow, weights with variates": ("flow, random", "#56B4E9", "p", "-"),
    "flow, quasi-random with variates": ("flow, quasi-random", "#0072b2", "o", "--"),
}
WIDTH, HEIGHT, ABOVE = 7.0, 5.1, 0.75
"""Inches, and room for the legend."""


def draw(rows: list[Row]) -> Figure:
    """Four panels, a line for every way."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.subplots(2, 2, sharex=True)
    figure.subplots_adjust(left=0.1, right=0.985, bottom=0.1, top=1 - ABOVE / HEIGHT, wspace=0.24, hspace=0.2)
    extents = sorted({row.extent for row in rows})
    for panel, (name, symbol) in zip(axes.flat, PANELS.items(), strict=True):
        for way, (label, colour, marker, line) in LOOKS.items():
            points = [
                (found[way].rows[0].extent, *found[way].spread(name))
                for found in ways_of(rows).values()
                if way in found
            ]
            points = sorted(each for each in points if not math.isnan(each[1]))
            if not points:
                continue
            x, middle, least, most = zip(*points, strict=True)
            bars = [
                [m - low for m, low in zip(middle, least, strict=True)],
                [h - m for m, h in zip(middle, most, strict=True)],
            ]
            panel.errorbar(x, middle, bars, fmt=line, color=colour, marker=marker, label=label, linewidth=0.9)
        panel.set(xscale="log", yscale="log")
        panel.set_xticks(extents, [str(n) for n in extents])
        panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        panel.set_title(symbol, loc="left")
    for panel in axes[1]:
        panel.set_xlabel("$L$")
    for panel in axes[:, 0]:
        panel.set_ylabel(f"CPU seconds for {GOAL:.1%}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=4)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = read(options.rows)
    print("\n".join((*table(rows), "", *once_table(rows), "", *pulls(rows))))
    if options.out is not None:
        with style():
            options.out.write_bytes(encode(draw(rows))[0])


if __name__ == "__main__":
    main()
