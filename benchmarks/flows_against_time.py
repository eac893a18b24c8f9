"""Acceptance and effective sample size of flows against the CPU seconds of their training.

Every flow is trained with the same loss, batch and optimiser; the number of steps is what fits into the time, measured
by a few steps beforehand, and the cosine schedule ends with it. Compilation is not counted and has a column of its own.
Seconds are those of all cores together. Quality is measured on fresh draws at equally spaced points of the training.

E1 is φ⁴ on 6 × 6 with m² = −4, λ = 6.975 (arXiv:1904.12072); A is φ⁴ on 8 × 8 with m² = −0.4, λ = 0.4.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.flows.architectures import cast, multiscale, rational_quadratic_spline, real_nvp  # noqa: E402
from latflow.flows.continuous import accurate, continuous_flow, is_continuous  # noqa: E402
from latflow.flows.networks import Networks  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.stats.weights import independence_acceptance, reweighting_ess  # noqa: E402
from latflow.training.evaluation import evaluation_weights  # noqa: E402
from latflow.training.losses import PathGradient, ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState  # noqa: E402

THEORIES = {
    "E1": lambda: PhiFour(Lattice((6, 6)), mass_squared=-4.0, coupling=6.975),
    "A": lambda: PhiFour(Lattice((8, 8)), mass_squared=-0.4, coupling=0.4),
}

FLOWS = {
    "real_nvp_dense": lambda key, lattice: real_nvp(key, lattice, network="dense", hidden=(128, 128)),
    "real_nvp": lambda key, lattice: real_nvp(key, lattice, kernel_size=window(lattice)),
    "real_nvp_z2": lambda key, lattice: real_nvp(key, lattice, kernel_size=window(lattice), z2=True),
    "spline": lambda key, lattice: rational_quadratic_spline(
        key, lattice, networks=Networks(kernel_size=window(lattice))
    ),
    "multiscale": lambda key, lattice: multiscale(key, lattice, networks=Networks(kernel_size=5)),
    "continuous": lambda key, lattice: continuous_flow(key, lattice, radius=4),
}

LOSSES = {"reverse_kl": ReverseKL, "path_gradient": PathGradient}
WARM_UP = 100


def window(lattice):
    """The odd window that holds the whole lattice."""
    return max(lattice.shape) // 2 * 2 + 1


@dataclasses.dataclass
class Training:
    """A training that is advanced in pieces, with the CPU seconds of its steps."""

    flow: eqx.Module
    action: PhiFour
    loss: eqx.Module
    rate: float
    key: jax.Array
    seconds: float = 0.0
    compilation: float = 0.0
    optimiser: object = None
    state: TrainingState | None = None

    def begin(self, n_steps: int) -> None:
        """Start afresh, with a schedule of `n_steps`; the step is compiled, at no cost of time."""
        warm_up = min(WARM_UP, n_steps // 10)
        curve = schedule("cosine", learning_rate=self.rate, n_steps=n_steps, warmup_steps=warm_up)
        self.optimiser = adam(curve, gradient_clip=10.0)
        self.state = TrainingState.start(self.flow, self.optimiser)
        state, self.seconds = self.state, 0.0
        self.advance(1)
        self.compilation = max(self.compilation, self.seconds)
        self.state, self.seconds = state, 0.0

    def advance(self, target: int) -> None:
        """Go on to step `target`."""
        start = time.process_time()
        settings = {"action": self.action, "optimiser": self.optimiser}
        self.state, outcome = self.loss.descend(self.state, self.key, target, **settings)
        assert bool(jax.block_until_ready(outcome).finite)
        self.seconds += time.process_time() - start

    def steps_within(self, seconds: float) -> int:
        """How many steps cost that many CPU seconds."""
        n = 2
        while self.seconds < min(1.0, seconds / 10):
            done = int(self.state.step)
            n, self.seconds = 2 * n, 0.0
            self.advance(done + n)
        return max(4, int(seconds / self.seconds * n))


def quality(training: Training, key: jax.Array, n: int, *, production: bool = True) -> tuple[float, float]:
    """Acceptance and reweighting ESS of `n` fresh draws.

    Those of a continuous flow are integrated as in production, or as in training where that is not asked for.
    """
    flow = training.state.flow
    flow = accurate(key, cast(flow, "float64")) if production and is_continuous(flow) else flow
    log_weights = np.asarray(evaluation_weights(FlowSampler(flow, training.action), key, n=n))
    return float(independence_acceptance(log_weights)), float(reweighting_ess(log_weights))


def measure(arguments: argparse.Namespace, theory: str, name: str, loss: str, seed: int, report: Callable) -> None:
    """Train one flow and report its quality on the way."""
    key, action = jax.random.key(seed), THEORIES[theory]()
    flow = FLOWS[name](jax.random.fold_in(key, 0), Lattice(action.space.shape))
    training = Training(
        flow, action, LOSSES[loss](arguments.batch), arguments.learning_rate, jax.random.fold_in(key, 1)
    )
    training.begin(1000)
    n_steps = training.steps_within(arguments.seconds)
    training.begin(n_steps)
    for point in range(1, arguments.points + 1):
        training.advance(n_steps * point // arguments.points)
        n = arguments.draws if point == arguments.points else min(arguments.draws, arguments.draws_between)
        found = quality(training, jax.random.fold_in(key, 1 + point), n)
        report(training, *found, n)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fraction of a second per flow")
    parser.add_argument("--theories", nargs="+", default=list(THEORIES), choices=THEORIES)
    parser.add_argument("--flows", nargs="+", default=list(FLOWS), choices=FLOWS)
    parser.add_argument("--losses", nargs="+", default=["reverse_kl"], choices=LOSSES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU seconds of training, all cores together")
    parser.add_argument("--points", type=int, default=4, help="measurements during a training")
    parser.add_argument("--draws", type=int, default=2**17, help="fresh draws at the end of a training")
    parser.add_argument("--draws-between", type=int, default=2**14, help="fresh draws at the points before")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    return parser


def main() -> None:
    arguments = parser().parse_args()
    if arguments.quick:
        arguments.theories, arguments.seconds, arguments.points = ["E1"], 0.2, 1
        arguments.draws, arguments.batch = 256, 8
    print("| theory | flow | loss | seed | parameters | steps | CPU s | compiling, CPU s | acceptance | ESS | draws |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for theory in arguments.theories:
        for name in arguments.flows:
            for loss in arguments.losses:
                for seed in arguments.seeds:
                    row = f"| {theory} | {name} | {loss} | {seed} |"

                    def report(training, acceptance, ess, n, row=row):
                        size = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(training.flow, eqx.is_array)))
                        cells = f"{size} | {int(training.state.step)} | {training.seconds:.1f}"
                        cells += f" | {training.compilation:.1f} | {acceptance:.3f}"
                        print(row, cells, f"| {ess:.3f} | {n} |", flush=True)

                    measure(arguments, theory, name, loss, seed, report)


if __name__ == "__main__":
    main()
