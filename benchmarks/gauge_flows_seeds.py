"""Doubling flows as they start, by streams of draws, beside two ways that need no training either.

Log-weights come from halves of plaquettes (`latflow.flows.reduced`), which have the same distribution as those of
links. ESS is the reweighting ESS per draw: median and range of independent streams; the pull of log Z is that of all
draws together. Plaquettes alone: all but one are independent, the last closes the torus. Annealing: Haar links, and a
sweep of heat bath at every one of equidistant couplings up to β, weighted by the work. Two-dimensional gauge theory is
solved, so this tests architectures. Seconds are CPU seconds of 1000 draws, compilation apart.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.exact_gauge import sun_log_z, sun_open_log_z, u1_log_z, u1_open_log_z  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.conditional import flow_for  # noqa: E402
from latflow.flows.doubling import doubling_flow  # noqa: E402
from latflow.flows.reduced import reduced  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups.names import named  # noqa: E402
from latflow.in_memory import load_model  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402

BINS = {"SU(2)": 12, "SU(3)": 8, "SU(4)": 12}
SIZES = {"U(1)": {}, **{group: {"n_bins": n_bins, "n_terms": 5} for group, n_bins in BINS.items()}}
U1 = [f"U(1):16:{beta}" for beta in range(1, 8)] + ["U(1):8:1.75", "U(1):32:28", "U(1):32:7", "U(1):64:7"]
SU2 = [f"SU(2):16:{beta}" for beta in (1.8, 2.2, 2.7)] + ["SU(2):32:2.7"]
SU3 = [f"SU(3):16:{beta}" for beta in (4, 5, 6)] + ["SU(3):32:6"]
AT_ONCE = 32


def log_z(group, beta, volume):
    return u1_log_z(beta, volume=volume) if group == "U(1)" else sun_log_z(int(group[3]), beta, volume=volume)


@eqx.filter_jit
def of_flow(sampler, keys):
    """Log-weights of draws, a part of them at once."""
    return jax.lax.map(lambda some: jax.vmap(sampler.draw)(some).log_weight, keys.reshape(-1, AT_ONCE)).ravel()


@eqx.filter_jit
def of_annealing(action, keys, n_sweeps):
    """Minus the work done on Haar links while the coupling grows to that of the action in equal steps."""
    unit = eqx.tree_at(lambda a: a.beta, action, jnp.ones(()))

    def one(key):
        def sweep(i, state):
            x, log_weight = state
            log_weight = log_weight - action.beta / n_sweeps * unit(x)
            kernel = HeatBath(eqx.tree_at(lambda a: a.beta, action, action.beta * (i + 1) / n_sweeps))
            return kernel.step(jax.random.fold_in(key, i), kernel.init(x))[0].x, log_weight

        x = action.space.random(jax.random.fold_in(key, 2**31))
        return jax.lax.fori_loop(0, n_sweeps, sweep, (x, jnp.zeros(())))[1]

    return jax.vmap(one)(keys)


def timed(program, *arguments):
    """What a compiled program returns, and its CPU seconds."""
    jax.block_until_ready(program(*arguments))
    start = time.process_time()
    found = np.asarray(jax.block_until_ready(program(*arguments)))
    return found, time.process_time() - start


def alone(group, beta):
    """ESS of many plaquettes of which the last closes the torus and carries the weight: z(β)²/z(2β)."""
    n = group[3:-1] if group != "U(1)" else ""
    one, two = (
        sun_open_log_z(int(n), factor * beta, plaquettes=1) if n else u1_open_log_z(factor * beta, plaquettes=1)
        for factor in (1, 2)
    )
    return float(np.exp(2 * one - two))


def row(group, extent, beta, arguments):
    lattice = Lattice((extent, extent))
    action = WilsonAction(lattice, named(group), beta=beta)
    start = time.process_time()
    if arguments.model:
        flow = flow_for(load_model(arguments.model), action)
    else:
        flow = doubling_flow(jax.random.key(1), lattice, named(group), beta, **SIZES[group])
    built = time.process_time() - start
    sampler = FlowSampler(*reduced(cast(flow, "float64"), action))
    streams, seconds = [], 0.0
    for seed in range(arguments.streams):
        keys = jax.random.split(jax.random.key(seed), arguments.draws)
        if not seed:
            jax.block_until_ready(of_flow(sampler, keys))
        start = time.process_time()
        streams.append(np.asarray(of_flow(sampler, keys)))
        seconds += time.process_time() - start
    ess = [float(reweighting_ess(stream)) for stream in streams]
    together = np.concatenate(streams)
    weights = np.exp(together - together.max())
    error = np.std(weights) / np.mean(weights) / np.sqrt(weights.size)
    pull = (np.log(np.mean(weights)) + together.max() - log_z(group, beta, extent**2)) / error
    cells = [
        f"{np.median(ess):.4f} ({min(ess):.4f}…{max(ess):.4f})",
        f"{together.size}",
        f"{weights.size / weights.sum():.1f}/N",
        f"{pull:+.1f}",
        f"{1000 * seconds / together.size:.2f}",
        f"{built:.1f}",
        f"{alone(group, beta):.3f}",
    ]
    if arguments.sweeps:
        keys = jax.random.split(jax.random.key(7), arguments.annealed)
        found, took = timed(of_annealing, action, keys, arguments.sweeps)
        cells += [f"{reweighting_ess(found):.3f}", f"{1000 * took / len(found):.1f}"]
    print(f"| {group} | {extent} | {beta:g} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row of a 4 × 4 lattice")
    parser.add_argument("--rows", nargs="*", default=U1 + SU2 + SU3, help="group:L:β")
    parser.add_argument("--model", help="a model such as zoo:u1-16-b1to7 in the place of the start at β")
    parser.add_argument("--streams", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20480, help="of a stream, a multiple of 32")
    parser.add_argument("--sweeps", type=int, default=100, help="of annealing; 0: without")
    parser.add_argument("--annealed", type=int, default=256, help="draws by annealing")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.streams, arguments.draws, arguments.sweeps, arguments.annealed = 2, 256, 10, 32
        arguments.rows = ["U(1):4:2"]
    heads = ["group", "L", "β", "ESS", "N", "largest weight", "log Z", "1000 draws", "start", "plaquettes alone"]
    heads += [f"annealing, {arguments.sweeps} sweeps", "1000 of these"] if arguments.sweeps else []
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for text in arguments.rows:
        group, extent, beta = text.split(":")
        row(group, int(extent), float(beta), arguments)


if __name__ == "__main__":
    main()
