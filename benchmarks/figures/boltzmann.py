"""Free-energy profile of a double well along x in a run of the study `double-well`, as one small figure.

    python benchmarks/figures/boltzmann.py RUN [--out FIGURE.svg]

Of every sampler it prints the largest deviation from the exact profile where the density is above 10⁻⁴ of its maximum,
in standard errors that take records of a chain for independent. Draws of the flow are those of its
independence-Metropolis chain.
"""

import argparse
import tomllib
from pathlib import Path

import matplotlib as mpl
import numpy as np

from latflow.store.ensemble import Ensemble

mpl.use("svg")
import matplotlib.pyplot as plt

EDGES = np.linspace(-2.6, 2.6, 66)
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2


def place(run: Path, sampler: str) -> np.ndarray:
    """X of every configuration of a chain, all chains together."""
    column = Ensemble.open(run / "measurements" / sampler, writable=False).column("place")
    if sampler == "flow":
        index = Ensemble.open(run / "ensembles" / "flow", writable=False).column("index")
        column = column[index[index >= 0]]
    return column.reshape(-1, 2)[:, 0]


def exact(run: Path) -> np.ndarray:
    """Probability of every bin, by Simpson's rule in it."""
    action = tomllib.loads((run / "study.toml").read_text(encoding="utf-8"))["action"]
    tilt, temperature = action["tilt"], action["temperature"]
    fine = np.linspace(EDGES[:-1], EDGES[1:], 21)
    w = np.exp(-(fine**4 - 6 * fine**2 + tilt * fine) / temperature)
    weights = np.where(np.arange(21) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    mass = weights @ w
    return mass / mass.sum()


def main() -> None:
    """Print, and draw if there is a place for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    p = exact(options.run)
    figure, axes = plt.subplots(figsize=(5.0, 3.2))
    axes.plot(MIDDLE, -np.log(p / p.max()), color="black", linewidth=1, label="exact")
    for sampler, colour in (("flow", "tab:blue"), ("hmc", "tab:orange")):
        if not (options.run / "measurements" / sampler).exists():
            continue
        x = place(options.run, sampler)
        counts, _ = np.histogram(x, bins=EDGES)
        seen = (counts > 0) & (p > 1e-4 * p.max())
        share = counts / counts.sum()
        error = np.sqrt(p * (1 - p) / counts.sum())
        worst = np.max(np.abs(share - p)[seen] / error[seen])
        print(f"{sampler}: {len(x)} draws, largest deviation {worst:.1f} standard errors of {seen.sum()} bins")
        profile = -np.log(np.where(counts > 0, share, 1.0) / p.max())
        bars = 1 / np.sqrt(np.maximum(counts, 1))
        shown = counts > 0
        axes.errorbar(MIDDLE[shown], profile[shown], bars[shown], fmt=".", color=colour, markersize=4, label=sampler)
    axes.set_xlabel("x")
    axes.set_ylabel("F(x) / kT")
    axes.set_ylim(-0.5, 7)
    axes.legend(frameon=False)
    if options.out is not None:
        figure.savefig(options.out, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
