"""Doubling flows of U(1) in two dimensions before and after training, beside an exact sampler without any training.

Two-dimensional gauge theory is solved: the sampler draws all plaquettes but one independently and weighs the last. This
is a test of architectures, no gain. Seconds are CPU seconds of all cores together. ESS is the reweighting ESS per
draw; the pull of an average is its deviation from the exact value on the same torus over its error, reweighted; that of
log Z refers to the normalised Haar measure. Draws are full link fields, in float64, and averages are measured on them.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.exact_gauge import u1_charge_squared, u1_log_z, u1_wilson_loop  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.bijections.gauge import plaquette_angles  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.doubling import doubling_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups.base import wrap  # noqa: E402
from latflow.groups.u1 import U1  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

ROWS = ((8, 2.0), (16, 1.0), (16, 2.0), (16, 3.0), (16, 4.0), (16, 5.0), (16, 6.0), (16, 7.0))
AT_ONCE = 256


def columns(sampler, keys):
    """Log-weights, squared charges, and the averages of square loops of sides 1 to 4 on every configuration."""

    def one(key):
        drawn = sampler.draw(key)
        angles = wrap(plaquette_angles(drawn.x, mu=0))
        loops, window = [], angles
        for side in range(1, 5):
            if side > 1:
                window = sum(jnp.roll(angles, (-i, -j), (0, 1)) for i in range(side) for j in range(side))
            loops.append(jnp.mean(jnp.cos(window)))
        charge = jnp.round(jnp.sum(angles) / (2 * jnp.pi))
        return drawn.x, drawn.log_weight, charge**2, jnp.stack(loops)

    return jax.vmap(one)(keys)


def drawn(flow, action, n):
    """Columns of n draws, whose links come to the host as well; CPU seconds of compiling, and of 1000 draws."""
    sampler, program = FlowSampler(cast(flow, "float64"), action), eqx.filter_jit(columns)
    keys = jax.random.split(jax.random.key(9), n)
    start = time.process_time()
    jax.block_until_ready(program(sampler, keys[:AT_ONCE]))
    compiled = time.process_time()
    parts = [[np.asarray(part) for part in program(sampler, some)] for some in np.split(keys, n // AT_ONCE)]
    seconds = time.process_time() - compiled
    found = [np.concatenate(part) for part in list(zip(*parts, strict=True))[1:]]
    return found, compiled - start, 1000 * seconds / n


def trained(flow, action, arguments):
    """The flow after training; CPU seconds of compiling, with the first step, and of the other steps."""
    curve = schedule("cosine", learning_rate=arguments.learning_rate, n_steps=arguments.steps, warmup_steps=5)
    optimiser, loss = adam(curve, gradient_clip=20.0), PathGradient(arguments.batch)
    state, key = TrainingState.start(flow, optimiser), jax.random.key(arguments.seed + 1)
    times = [time.process_time()]
    for target in (1, arguments.steps):
        state, outcome = run_steps(state, key, target, action=action, loss=loss, optimiser=optimiser)
        jax.block_until_ready(outcome)
        times.append(time.process_time())
    return state.flow, times[1] - times[0], times[2] - times[1]


def exact_sampler(beta, volume, n):
    """Reweighting ESS of independent plaquettes, the last of which closes the torus."""
    angles = np.random.default_rng(1).vonmises(0.0, beta, (n, volume - 1)) if beta else np.zeros((n, volume - 1))
    return float(reweighting_ess(beta * np.cos(angles.sum(axis=1))))


def pulls(found, beta, extent):
    """Deviations over errors of log Z, of the squared charge, and of the loops."""
    log_weights, charges, loops = found
    weights = np.exp(log_weights - log_weights.max())
    error = np.std(weights) / np.mean(weights) / np.sqrt(weights.size)
    volume = extent**2
    yield (np.log(np.mean(weights)) + log_weights.max() - u1_log_z(beta, volume=volume)) / error
    shares = weights / weights.sum()
    exact = [u1_wilson_loop(beta, volume=volume, area=side**2) for side in range(1, 5)]
    for values, value in zip([charges, *loops.T], [u1_charge_squared(beta, volume=volume), *exact], strict=True):
        mean = np.sum(shares * values)
        error = np.sqrt(np.sum(shares**2 * (values - mean) ** 2))
        # a loop around a whole torus is 1
        yield (mean - value) / error if error else 0.0


def row(extent, beta, arguments):
    lattice = Lattice((extent, extent))
    action = WilsonAction(lattice, U1(), beta=beta)
    key, start = jax.random.key(arguments.seed), arguments.start * beta
    flow = doubling_flow(key, lattice, U1(), start, n_bins=arguments.bins)
    before, to_compile, _ = drawn(flow, action, 4096)
    flow, compiling, seconds = trained(flow, action, arguments)
    found, _, draws = drawn(flow, action, arguments.draws)
    log_weights = found[0]
    largest = float(np.exp(log_weights - log_weights.max()).sum() ** -1)
    numbers = [
        f"{reweighting_ess(before[0]):.4f}",
        f"{reweighting_ess(log_weights):.4f}",
        f"{exact_sampler(beta, extent**2, arguments.draws):.3f}",
        f"{largest * log_weights.size:.1f}/N",
        f"{seconds:.1f} + {compiling:.1f}",
        f"{draws:.2f} + {to_compile:.1f}",
        *(f"{pull:+.1f}" for pull in pulls(found, beta, extent)),
    ]
    print(f"| {extent} | {beta:g} | " + " | ".join(numbers) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row of a 4 × 4 lattice")
    parser.add_argument("--rows", nargs="*", default=[f"{extent}:{beta:g}" for extent, beta in ROWS], help="L:β")
    parser.add_argument("--start", type=float, default=1.0, help="β of the start over that of the target")
    parser.add_argument("--draws", type=int, default=2**16, help="a multiple of 256")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--bins", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.steps, arguments.rows = 4096, 6, ["4:2"]
    size = f"N = {arguments.draws}, {arguments.steps} steps of {arguments.batch} draws"
    print(f"{size}, seed {arguments.seed}, start at {arguments.start:g} β\n")
    names = (
        "before",
        "trained",
        "plaquettes alone",
        "largest weight",
        "training + compiling",
        "1000 draws + compiling",
    )
    sides = (f"{side}×{side}" for side in range(1, 5))
    heads = ("L", "β", *names, "log Z", "⟨Q²⟩", *sides)
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for extent, beta in (text.split(":") for text in arguments.rows):
        row(int(extent), float(beta), arguments)


if __name__ == "__main__":
    main()
