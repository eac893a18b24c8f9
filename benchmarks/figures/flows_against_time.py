"""Acceptance and ESS of flows against the CPU seconds of their training: medians and ranges over seeds.

    python benchmarks/figures/flows_against_time.py ROWS.md [--out FIGURE.svg]

ROWS.md holds rows that `benchmarks/flows_against_time.py` printed, of any number of calls. The table printed is of the
last point of every training; a seed that has no row there, or an acceptance below a hundredth, counts as failed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np

mpl.use("svg")
import matplotlib.pyplot as plt

LEAST_ACCEPTANCE = 0.01

LOOKS = {
    "continuous": ("continuous", "#0072B2", "o"),
    "spline": ("splines", "#D55E00", "s"),
    "multiscale": ("multiscale", "#009E73", "^"),
    "real_nvp": ("affine, convolutions", "#CC79A7", "D"),
    "real_nvp_dense": ("affine, dense", "#E69F00", "v"),
}


class Row(NamedTuple):
    """One measurement during a training."""

    theory: str
    flow: str
    loss: str
    seed: int
    steps: int
    seconds: float
    acceptance: float
    ess: float
    draws: int


def read(path: Path) -> list[Row]:
    """The rows of a file; lines that are none are passed over."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) in (10, 11) and cells[3].isdigit():
            acceptance, ess, draws = cells[-3:]
            numbers = int(cells[5]), float(cells[6]), float(acceptance), float(ess), int(draws)
            rows.append(Row(*cells[:3], int(cells[3]), *numbers))
    return rows


def courses(rows: Sequence[Row]) -> dict[tuple[str, str], list[list[Row]]]:
    """The trainings by flow and loss, each a list of its points in order."""
    found: dict[tuple[str, str], list[list[Row]]] = {}
    for flow, loss in dict.fromkeys((row.flow, row.loss) for row in rows):
        ours = [row for row in rows if (row.flow, row.loss) == (flow, loss)]
        found[flow, loss] = [[row for row in ours if row.seed == seed] for seed in sorted({row.seed for row in ours})]
    return found


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def table(rows: Sequence[Row]) -> list[str]:
    """The last point of every training."""
    n_seeds = len({row.seed for row in rows})
    lines = [
        "| flow | loss | seeds | failed | steps | CPU s | acceptance | ESS | draws |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (flow, loss), trainings in courses(rows).items():
        points = max(len(training) for training in trainings)
        ends = [t[-1] for t in trainings if len(t) == points and t[-1].acceptance >= LEAST_ACCEPTANCE]
        failed = f"{len(trainings) - len(ends)}" + ("" if len(trainings) == n_seeds else f", {n_seeds} wanted")
        steps = f"{min(row.steps for row in ends)} to {max(row.steps for row in ends)}"
        cells = [spread([row.acceptance for row in ends]), spread([row.ess for row in ends])]
        seconds = f"{np.median([row.seconds for row in ends]):.0f}"
        draws = min(row.draws for row in ends)
        lines.append(
            f"| {LOOKS[flow][0]} | {loss.replace('_', ' ')} | {len(trainings)} | {failed} | {steps} | {seconds} |"
            f" {cells[0]} | {cells[1]} | {draws} |"
        )
    return lines


def draw(rows: Sequence[Row], out: Path) -> None:
    """Two panels: acceptance and ESS against time."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "latflow", "font.size": 9})
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.1), sharex=True, layout="constrained")
    for (flow, _), trainings in courses(rows).items():
        label, colour, marker = LOOKS[flow]
        whole = [t for t in trainings if len(t) == max(len(training) for training in trainings)]
        for axes, quantity in zip(panels, ("acceptance", "ess"), strict=True):
            seconds = np.median([[row.seconds for row in training] for training in whole], axis=0)
            values = np.array([[getattr(row, quantity) for row in training] for training in whole])
            middle = np.median(values, axis=0)
            bars = np.abs(np.stack([values.min(axis=0), values.max(axis=0)]) - middle)
            axes.errorbar(
                seconds,
                middle,
                bars,
                color=colour,
                marker=marker,
                ms=4,
                lw=1,
                capsize=2,
                label=f"{label} ({len(whole)})",
            )
            axes.set(xlabel="CPU seconds of training", ylim=(0, 1.02))
    panels[0].set_ylabel("acceptance")
    panels[1].set_ylabel("reweighting ESS")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8, title="flow (seeds)")
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = read(options.rows)
    print("\n".join(table(rows)))
    if options.out is not None:
        draw(rows, options.out)


if __name__ == "__main__":
    main()
