"""Doubling flows of SU(2), SU(3) and SU(4), as they start and after training; see `gauge_flows.py` for U(1).

Seconds are CPU seconds of all cores together. ESS is the reweighting ESS per draw; the pull of an average is its
deviation from the exact value on the same torus over its error, reweighted; that of log Z refers to the normalised Haar
measure. Draws are full link fields, in float64, and loops are measured on them. The largest weight is a multiple of the
mean one. Without steps the flow is the heat bath of blocks that it starts as.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from gauge_flows import trained  # noqa: E402
from latflow.actions.exact_gauge import sun_log_z, sun_wilson_loop  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.doubling import doubling_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups.sun import SU  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.observables.gauge import WilsonLoops  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402

ROWS = ((2, 1.8), (2, 2.2), (2, 2.7), (3, 4.0), (3, 5.0), (3, 6.0), (4, 10.0))
SIZES = {2: {"n_bins": 12, "n_terms": 5}, 3: {"n_bins": 8, "n_terms": 5}, 4: {"n_bins": 12, "n_terms": 5}}
SIDES = (1, 2, 4)
AT_ONCE = 128


@eqx.filter_jit
def columns(sampler, keys):
    """Log-weights, and the averages of square loops on every configuration."""
    loops = WilsonLoops(sampler.action.space, space_steps=4, time_steps=4)

    def one(key):
        drawn = sampler.draw(key)
        found = loops(drawn.x)
        return drawn.log_weight, jnp.stack([found[side - 1, side - 1] for side in SIDES])

    return jax.vmap(one)(keys)


def drawn(flow, action, n):
    """Columns of n draws; CPU seconds of compiling, and of 1000 draws."""
    sampler = FlowSampler(cast(flow, "float64"), action)
    keys = jax.random.split(jax.random.key(9), n)
    start = time.process_time()
    jax.block_until_ready(columns(sampler, keys[:AT_ONCE]))
    compiled = time.process_time()
    parts = [[np.asarray(part) for part in columns(sampler, some)] for some in np.split(keys, n // AT_ONCE)]
    seconds = time.process_time() - compiled
    return [np.concatenate(part) for part in zip(*parts, strict=True)], compiled - start, 1000 * seconds / n


def pulls(found, n, beta, volume):
    """Deviations over errors of log Z and of the loops."""
    log_weights, loops = found
    weights = np.exp(log_weights - log_weights.max())
    error = np.std(weights) / np.mean(weights) / np.sqrt(weights.size)
    yield (np.log(np.mean(weights)) + log_weights.max() - sun_log_z(n, beta, volume=volume)) / error
    shares = weights / weights.sum()
    for values, side in zip(loops.T, SIDES, strict=True):
        mean = np.sum(shares * values)
        error = np.sqrt(np.sum(shares**2 * (values - mean) ** 2))
        yield (mean - sun_wilson_loop(n, beta, volume=volume, area=side**2)) / error if error > 1e-12 else 0.0


def row(n, beta, extent, arguments):
    lattice, group = Lattice((extent, extent)), SU(n)
    action = WilsonAction(lattice, group, beta=beta)
    flow = doubling_flow(jax.random.key(arguments.seed), lattice, group, beta, **SIZES[n])
    training = "none"
    if arguments.steps:
        flow, compiling, seconds = trained(flow, action, arguments)
        training = f"{seconds:.1f} + {compiling:.1f}"
    found, to_compile, draws = drawn(flow, action, arguments.draws)
    weights = np.exp(found[0] - found[0].max())
    numbers = [
        training,
        f"{reweighting_ess(found[0]):.4f}",
        f"{weights.size / weights.sum():.1f}/N",
        f"{draws:.2f} + {to_compile:.1f}",
        *(f"{pull:+.1f}" for pull in pulls(found, n, beta, extent**2)),
    ]
    print(f"| SU({n}) | {extent} | {beta:g} | " + " | ".join(numbers) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="SU(2) on a 4 × 4 lattice, without training")
    parser.add_argument("--group", type=int, choices=(2, 3, 4), help="2, 3 or 4 alone")
    parser.add_argument("--extent", type=int, default=16, help="a power of two from 4 on")
    parser.add_argument("--beta", type=float, nargs="+", help="these couplings alone")
    parser.add_argument("--draws", type=int, default=2048, help="a multiple of 128")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    extent = arguments.extent
    rows = [
        (n, beta, extent) for n, beta in ROWS if arguments.group in (None, n) and beta in (arguments.beta or [beta])
    ]
    if arguments.quick:
        arguments.draws, rows = 256, [(2, 2.2, 4)]
    print(f"N = {arguments.draws}, {arguments.steps} steps of {arguments.batch} draws, seed {arguments.seed}\n")
    names = ("training + compiling", "ESS", "largest weight", "1000 draws + compiling", "log Z")
    heads = ("group", "L", "β", *names, *(f"{side}×{side}" for side in SIDES))
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for n, beta, extent in rows:
        row(n, beta, extent, arguments)


if __name__ == "__main__":
    main()
