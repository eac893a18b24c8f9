"""Flows of links by layers on stripes, from Haar draws: ESS and log Z after training, with what both cost.

Every row trains 16 layers by the path gradient of the reverse KL from the identity. "spline" moves the active link
times the direction of its staples, "plaquette" the active plaquette as published, "projections" by mixtures of
non-compact projections, "stout" takes residual steps along staples. Seconds are CPU time of this process. log Z
has the normalised Haar measure and S = β Σ (1 − Re tr P / N); its deviation from the exact value stands in
standard deviations.
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import numpy as np  # noqa: E402

from latflow.actions.exact_gauge import sun_log_z, u1_log_z  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.link_layers import link_coupling_flow, stout_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import PathGradient, ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

ROWS = (
    "spline:U(1):8:1", "spline:U(1):8:2", "plaquette:U(1):8:1", "projections:U(1):8:1", "stout:U(1):8:1",
    "spline:SU(2):4:2.2", "plaquette:SU(2):4:2.2", "stout:SU(2):4:2.2", "spline:SU(2):8:2.2", "spline:SU(3):4:4",
)  # fmt: skip
AT_ONCE = 512


def built(kind, group, lattice, arguments):
    key = jax.random.key(arguments.seed)
    sizes = {"n_layers": arguments.layers, "period": arguments.period, "width": arguments.width}
    if kind == "stout":
        return stout_flow(key, lattice, group, **sizes)
    transform = "projections" if kind == "projections" else "spline"
    bins = {"n_bins": arguments.bins, "n_terms": arguments.terms}
    return link_coupling_flow(key, lattice, group, transform=transform, centred=kind != "plaquette", **sizes, **bins)


def trained(flow, action, arguments):
    """The flow after training; CPU seconds of compiling, with the first step, and of the other steps."""
    curve = schedule("cosine", learning_rate=arguments.learning_rate, n_steps=arguments.steps, warmup_steps=5)
    loss = (ReverseKL if arguments.reverse else PathGradient)(arguments.batch)
    optimiser = adam(curve, gradient_clip=20.0)
    state, key = TrainingState.start(flow, optimiser), jax.random.key(arguments.seed + 1)
    times = [time.process_time()]
    for target in (1, arguments.steps):
        state, outcome = run_steps(state, key, target, action=action, loss=loss, optimiser=optimiser)
        jax.block_until_ready(outcome)
        times.append(time.process_time())
    if not bool(outcome.finite):
        raise SystemExit("training: a number was not finite")
    return state.flow, times[1] - times[0], times[2] - times[1]


def row(text, arguments):
    kind, name, extent, beta = text.split(":")
    lattice, group, beta = Lattice((int(extent),) * 2), named(name), float(beta)
    action = WilsonAction(lattice, group, beta=beta)
    flow, compiling, seconds = trained(built(kind, group, lattice, arguments), action, arguments)
    sampler = FlowSampler(cast(flow, "float64"), action)
    program = eqx.filter_jit(lambda sampler, keys: jax.vmap(lambda key: sampler.draw(key).log_weight)(keys))
    keys = jax.random.split(jax.random.key(9), arguments.draws)
    program(sampler, keys[:AT_ONCE]).block_until_ready()
    start = time.process_time()
    found = [np.asarray(program(sampler, keys[i : i + AT_ONCE])) for i in range(0, arguments.draws, AT_ONCE)]
    drawing = 1000 * (time.process_time() - start) / arguments.draws
    log_weights = np.concatenate(found)
    w = np.exp(log_weights - log_weights.max())
    error = np.std(w) / np.mean(w) / np.sqrt(w.size)
    volume = lattice.volume
    exact = u1_log_z(beta, volume=volume) if name == "U(1)" else sun_log_z(group.n, beta, volume=volume)
    cells = (
        f"{reweighting_ess(log_weights):.3f}",
        f"{w.max() / w.mean():.0f}/N",
        f"{seconds:.0f} + {compiling:.0f}",
        f"{drawing:.2f}",
        f"{(np.log(np.mean(w)) + log_weights.max() - exact) / error:+.1f}",
    )
    print(f"| {kind} | {name} | {extent} | {beta:g} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row of a 4 × 4 lattice")
    parser.add_argument("--rows", nargs="*", default=ROWS, help="kind:group:L:β")
    parser.add_argument("--draws", type=int, default=8192, help="a multiple of 512")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--period", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--bins", type=int, default=12)
    parser.add_argument("--terms", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=2e-2)
    parser.add_argument("--reverse", action="store_true", help="plain reverse KL")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.steps, arguments.layers, arguments.rows = 512, 3, 4, ["spline:U(1):4:1"]
    size = f"{arguments.layers} layers, {arguments.steps} steps of {arguments.batch} draws"
    print(f"N = {arguments.draws}, {size}, seed {arguments.seed}\n")
    heads = ("layers", "group", "L", "β", "ESS", "largest weight", "training + compiling", "1000 draws", "log Z")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for text in arguments.rows:
        row(text, arguments)


if __name__ == "__main__":
    main()
