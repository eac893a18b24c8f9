"""What a trained continuous flow is worth as the start of another training: another L, λ or m².

A flow is trained on the source theory; every other theory is then trained twice with the same number of steps, from
that flow and from an untrained one. Seconds are CPU seconds of all cores together, without compilation; the ESS is the
reweighting ESS of fresh draws. "Saved" is the time after which the untrained start has the ESS that the transferred one
has before its first step, by linear interpolation between the points at which both are measured.
"""

import argparse
from functools import partial

from flows_against_time import Training, quality

import jax  # isort: skip

import itertools

from latflow.actions.scalar import PhiFour
from latflow.flows.continuous import continuous_flow
from latflow.flows.flow import Flow
from latflow.flows.transfer import transferred
from latflow.lattice import Lattice
from latflow.training.losses import PathGradient

SOURCE = (6, 6.975, -4.0)
TARGETS = {"L": (8, 6.008, -4.0), "λ": (6, 6.0, -4.0), "m²": (6, 6.975, -3.5)}
"""L, λ and m²."""


def theory(extent: int, coupling: float, mass_squared: float) -> PhiFour:
    return PhiFour(Lattice((extent, extent)), mass_squared=mass_squared, coupling=coupling)


def fresh(arguments: argparse.Namespace, extent: int) -> Flow:
    return continuous_flow(jax.random.key(arguments.seed), Lattice((extent, extent)), radius=arguments.radius)


def course(
    arguments: argparse.Namespace, flow: Flow, action: PhiFour, n_steps: int
) -> tuple[list[tuple[float, float]], Flow]:
    """CPU seconds and ESS at equally spaced points of a training, the first before any step; and the flow it leaves."""
    training = Training(
        flow, action, PathGradient(arguments.batch), arguments.learning_rate, jax.random.key(arguments.seed + 1)
    )
    training.begin(n_steps)
    found = []
    for point in range(arguments.points + 1):
        training.advance(n_steps * point // arguments.points)
        _, ess = quality(training, jax.random.key(100 + point), arguments.draws, production=not arguments.quick)
        found.append((training.seconds, ess))
    return found, training.state.flow


def time_to(ess: float, points: list[tuple[float, float]]) -> float | None:
    """When a training has reached an ESS for the first time."""
    for (t, low), (later, high) in itertools.pairwise(points):
        if high >= ess:
            return t if low >= ess else t + (later - t) * (ess - low) / (high - low)
    return None


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few steps each, on 2 × 2")
    parser.add_argument("--steps", type=int, default=150, help="of every training")
    parser.add_argument("--source-steps", type=int, default=300)
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--radius", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=8e-3)
    parser.add_argument("--draws", type=int, default=2**14)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main() -> None:
    arguments = parser().parse_args()
    source, targets = SOURCE, TARGETS
    if arguments.quick:
        arguments.steps, arguments.source_steps, arguments.points = 2, 2, 1
        arguments.batch, arguments.draws, arguments.radius = 16, 512, 1
        source, targets = (2, *SOURCE[1:]), {"λ": (2, *TARGETS["λ"][1:])}
    train = partial(course, arguments)
    (*_, (seconds, ess)), model = train(fresh(arguments, source[0]), theory(*source), arguments.source_steps)
    print(f"source L, λ, m² = {source}: {arguments.source_steps} steps, {seconds:.1f} CPU s, ESS {ess:.3f}\n")
    print("| other | L, λ, m² | ESS before | untrained | ESS after | untrained | CPU s | saved, CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, target in targets.items():
        lattice = Lattice((target[0], target[0]))
        moved, _ = train(transferred(model, lattice), theory(*target), arguments.steps)
        bare, _ = train(fresh(arguments, target[0]), theory(*target), arguments.steps)
        saved = time_to(moved[0][1], bare)
        words = f"> {bare[-1][0]:.1f}" if saved is None else f"{saved:.1f}"
        values = f"{moved[0][1]:.3f} | {bare[0][1]:.4f} | {moved[-1][1]:.3f} | {bare[-1][1]:.3f} | {bare[-1][0]:.1f}"
        print(f"| {name} | {', '.join(f'{x:g}' for x in target)} | {values} | {words} |", flush=True)


if __name__ == "__main__":
    main()
