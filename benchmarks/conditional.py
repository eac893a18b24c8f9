"""One flow for a range of couplings against flows trained at one coupling, at equal CPU seconds of training.

φ⁴ on 8 × 8 with m² = −4. All flows are of one architecture, have the same batch, loss and schedule, and the number of
steps that fits into the time; seconds are those of all cores together, without compilation. Acceptance and reweighting
ESS are of fresh draws at each coupling, integrated as for production. Outside of its range a conditional flow is that
of the nearer end. A second table has differences of log Z from the weights of the conditional flow beside a
thermodynamic integral of −⟨Σφ⁴⟩, in which densities are not normalised.
"""

import argparse
import math
from itertools import pairwise

from flows_against_time import Training

import jax  # isort: skip
import numpy as np

from latflow.actions.scalar import PhiFour
from latflow.flows.architectures import real_nvp
from latflow.flows.conditional import conditioned
from latflow.flows.continuous import continuous_flow
from latflow.lattice import Lattice
from latflow.stats.estimates import Estimate, pull
from latflow.stats.free_energy import independent_difference
from latflow.surveys import survey
from latflow.training.conditional import OverRange
from latflow.training.losses import PathGradient, ReverseKL

N_COUPLINGS = 8


def trained(arguments: argparse.Namespace, action: PhiFour, coupling: float | None) -> Training:
    """A flow for the range, or for one coupling, after the given CPU seconds."""
    lattice = Lattice(action.space.shape)
    key, radius = jax.random.key(arguments.seed), max(lattice.shape) // 2
    flow = continuous_flow(key, lattice, radius=radius)
    if arguments.quick:
        flow = real_nvp(key, lattice, n_layers=2, network="dense", hidden=(8,))
    kind = ReverseKL if arguments.quick else PathGradient
    loss = kind(arguments.batch)
    if coupling is None:
        flow = conditioned(flow, lower=arguments.range[0], upper=arguments.range[1], order=arguments.order)
        loss = OverRange(kind(arguments.batch // N_COUPLINGS), N_COUPLINGS)
    else:
        action = action.with_parameters(coupling=coupling)
    training = Training(flow, action, loss, arguments.learning_rate, jax.random.key(arguments.seed + 1))
    training.begin(1000)
    n_steps = training.steps_within(arguments.seconds)
    training.begin(n_steps)
    training.advance(n_steps)
    return training


def integral(lower: float, upper: float, points: list, weights: np.ndarray) -> Estimate:
    """Difference ln Z(upper) − ln Z(lower) by Gauss–Legendre over the slopes."""
    scale = 0.5 * (upper - lower) * weights
    value = sum(w * point.slope.value for w, point in zip(scale, points, strict=True))
    return Estimate(float(value), math.hypot(*(w * p.slope.error for w, p in zip(scale, points, strict=True))))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a moment of a small real NVP on 4 × 4")
    parser.add_argument("--range", nargs=2, type=float, default=[5.0, 7.0])
    parser.add_argument("--order", type=int, default=2)
    parser.add_argument("--extent", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0, help="CPU seconds of each training")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=8e-3)
    parser.add_argument("--draws", type=int, default=2**13)
    parser.add_argument("--outside", nargs="*", type=float, default=[4.5, 7.5], help="couplings outside of the range")
    parser.add_argument("--points", type=int, default=5, help="couplings at which all flows are compared")
    parser.add_argument("--trainings", type=int, default=4, help="the range, then one coupling each")
    parser.add_argument("--nodes", type=int, default=4, help="of the integration between two of the points")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main() -> None:
    arguments = parser().parse_args()
    if arguments.quick:
        arguments.extent, arguments.seconds, arguments.batch, arguments.draws = 4, 0.3, 64, 4096
        arguments.points, arguments.trainings, arguments.nodes, arguments.outside = 2, 1, 1, []
    lower, upper = arguments.range
    action = PhiFour(Lattice((arguments.extent,) * 2), mass_squared=-4.0, coupling=lower)
    middle = round(math.sqrt(lower * upper), 2)
    trainings = {"the range": None, f"{middle:g}": middle, f"{lower:g}": lower, f"{upper:g}": upper}
    trainings = dict(list(trainings.items())[: arguments.trainings])
    inside = np.linspace(lower, upper, arguments.points)
    couplings = sorted([*inside.tolist(), *arguments.outside])
    columns, conditional, at = [], None, {"parameter": "coupling", "values": couplings}
    for name, coupling in trainings.items():
        training = trained(arguments, action, coupling)
        conditional = training.state.flow if coupling is None else conditional
        print(f"trained for {name}: {int(training.state.step)} steps in {training.seconds:.1f} CPU s", flush=True)
        columns.append(survey(jax.random.key(7), training.state.flow, action, **at, n=arguments.draws))
    print(f"\nacceptance (reweighting ESS), N = {columns[0][0].n}")
    print("| λ | " + " | ".join(f"trained for {name}" for name in trainings) + " |")
    print("|---" * (1 + len(trainings)) + "|")
    for row in zip(*columns, strict=True):
        cells = [f"{point.acceptance:.3f} ({point.reweighting_ess:.3f})" for point in row]
        where = "" if lower <= row[0].value <= upper else ", outside"
        print(f"| {row[0].value:g}{where} | " + " | ".join(cells) + " |")
    nodes, weights = np.polynomial.legendre.leggauss(arguments.nodes)
    print("\n| from λ | to λ | Δ log Z from weights | Δ log Z by integration | pull |\n|---|---|---|---|---|")
    for i, (a, b) in enumerate(pairwise(point for point in columns[0] if lower <= point.value <= upper)):
        at = 0.5 * (a.value + b.value + nodes * (b.value - a.value))
        slopes = survey(jax.random.key(8 + i), conditional, action, values=at, n=arguments.draws // 4)
        found, other = independent_difference(b.log_z, a.log_z), integral(a.value, b.value, slopes, weights)
        values = [f"{e.value:.4f}({e.error:.4f})" for e in (found, other)]
        print(f"| {a.value:g} | {b.value:g} | {' | '.join(values)} | {pull(found, other):.1f} |", flush=True)


if __name__ == "__main__":
    main()
