"""Distribution of the mean field in the runs of a theory with two vacua, as one small figure.

    python benchmarks/figures/broken_phase.py RUN [RUN ...] [--out FIGURE.svg]

For every chain of the runs it prints how the vacua are visited. In the figure, clusters of the first run are the
yardstick, and draws of the flows are those of their independence-Metropolis chains.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from latflow.stats.gamma import gamma_estimate
from latflow.store.ensemble import Ensemble

mpl.use("svg")
import matplotlib.pyplot as plt

EDGES = np.linspace(-0.8, 0.8, 65)


def magnetization(run: Path, sampler: str) -> np.ndarray:
    """The mean field of every configuration of a chain, all chains together."""
    column = Ensemble.open(run / "measurements" / sampler, writable=False).column("magnetization")
    if sampler == "flow":
        index = Ensemble.open(run / "ensembles" / "flow", writable=False).column("index")
        return column[index[index >= 0]]
    return column.reshape(-1)


def main() -> None:
    """Print, and draw if there is a place for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for run in options.runs:
        for sampler in ("hmc", "local", "cluster"):
            if (run / "measurements" / sampler).exists():
                print(f"{run.name}, {sampler}: {visits(run, sampler)}")
    if options.out is not None:
        draw(options.runs, options.out)


def visits(run: Path, sampler: str) -> str:
    """How often the mean field changes its sign, and what that means for the weight of a vacuum."""
    chains = Ensemble.open(run / "measurements" / sampler, writable=False).column("magnetization").T
    mean = gamma_estimate(chains)
    positive = gamma_estimate((chains > 0).astype(float))
    flips = np.mean(np.sign(chains[:, 1:]) != np.sign(chains[:, :-1]))
    return (
        f"sign changes in {100 * flips:.2f} % of the records, tau_int(M) {mean.tau_int:.1f}({mean.tau_int_error:.1f}), "
        f"weight at M > 0 {positive.value:.4f}({positive.error:.4f})"
    )


def draw(runs: list[Path], out: Path) -> None:
    """One panel per run."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "latflow", "font.size": 9})
    figure, panels = plt.subplots(
        1, len(runs), figsize=(3.1 * len(runs), 2.6), sharey=True, layout="constrained", squeeze=False
    )
    clusters, _ = np.histogram(magnetization(runs[0], "cluster"), EDGES, density=True)
    for axes, run in zip(panels[0], runs, strict=True):
        drawn, _ = np.histogram(magnetization(run, "flow"), EDGES, density=True)
        axes.stairs(clusters, EDGES, color="0.45", label="clusters")
        axes.stairs(drawn, EDGES, color="#0072b2", label="flow")
        axes.set(title=run.name, xlabel="mean field", yscale="log", ylim=(5e-3, 12))
    panels[0][0].set_ylabel("density")
    panels[0][0].legend(frameon=False, loc="upper left")
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
