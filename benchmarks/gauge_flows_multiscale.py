"""Multiscale flows of links, 2^d → 4^d: ESS, log Z and plaquette before and after training.

A flow starts as the heat bath about known staples, its couplings of coarse and fine links as the identity; it is then
trained by the path gradient of the reverse KL. "link-coupling" has as many couplings on stripes as are named, from
Haar links. log Z has the normalised Haar measure and S = β Σ (1 − Re tr P / N). Beside it stands annealing by heat
bath from Haar links, one sweep at every one of n equidistant couplings; chains that go on at β give the plaquette, with
errors from the spread of chains. Deviations stand in standard deviations of both. Seconds are CPU time of this process.
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.link_layers import link_coupling_flow  # noqa: E402
from latflow.flows.multiscale_links import multiscale_link_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

ROWS = (
    "multiscale:U(1):3:1", "link-coupling:U(1):3:1", "multiscale:U(1):3:2",
    "multiscale:SU(2):4:1", "multiscale:SU(3):4:1",
)  # fmt: skip


def built(kind, group, lattice, beta, arguments):
    key = jax.random.key(arguments.seed)
    sizes = {"width": arguments.width, "n_bins": arguments.bins}
    if kind == "link-coupling":
        return link_coupling_flow(key, lattice, group, n_layers=arguments.layers, **sizes)
    layers = {"n_coarse": arguments.coarse, "n_fine": arguments.fine, "reach": arguments.reach}
    return multiscale_link_flow(key, lattice, group, beta, **sizes, **layers)


def trained(flow, action, arguments):
    """The flow after training; CPU seconds of compiling, with the first step, and of the other steps."""
    curve = schedule("cosine", learning_rate=arguments.learning_rate, n_steps=arguments.steps, warmup_steps=5)
    loss, optimiser = PathGradient(arguments.batch), adam(curve, gradient_clip=20.0)
    state, key = TrainingState.start(flow, optimiser), jax.random.key(arguments.seed + 1)
    times = [time.process_time()]
    for target in (1, arguments.steps):
        state, outcome = run_steps(state, key, target, action=action, loss=loss, optimiser=optimiser)
        jax.block_until_ready(outcome)
        times.append(time.process_time())
    if not bool(outcome.finite):
        raise SystemExit("training: a number was not finite")
    return state.flow, f"{times[2] - times[1]:.0f} + {times[1] - times[0]:.0f}"


def plaquette(action, x):
    return 1 - action(x) / (action.beta * action.n_plaquettes)


@eqx.filter_jit
def drawn(sampler, action, keys):
    """Log-weights and plaquettes of draws."""

    def one(key):
        draw = sampler.draw(key)
        return draw.log_weight, plaquette(action, draw.x)

    return jax.vmap(one)(keys)


@eqx.filter_jit
def references(action, keys, n_sweeps):
    """Annealed log-weights, and plaquettes of the chains that go on, averaged over the second half."""
    unit = eqx.tree_at(lambda a: a.beta, action, jnp.ones(()))

    def one(key):
        def sweep(i, state):
            x, log_weight, total = state
            growing = i < n_sweeps
            log_weight = log_weight - jnp.where(growing, action.beta / n_sweeps * unit(x), 0.0)
            beta = action.beta * jnp.minimum(1.0, (i + 1) / n_sweeps)
            kernel = HeatBath(eqx.tree_at(lambda a: a.beta, action, beta))
            x = kernel.step(jax.random.fold_in(key, i), kernel.init(x))[0].x
            return x, log_weight, total + jnp.where(growing, 0.0, plaquette(action, x))

        x = action.space.random(jax.random.fold_in(key, 2**31))
        _, log_weight, total = jax.lax.fori_loop(0, 2 * n_sweeps, sweep, (x, jnp.zeros(()), jnp.zeros(())))
        return log_weight, total / n_sweeps

    return jax.vmap(one)(keys)


def log_mean(log_weights):
    """Logarithm of the mean weight, and its error."""
    w = np.exp(log_weights - log_weights.max())
    return np.log(w.mean()) + log_weights.max(), w.std() / w.mean() / np.sqrt(w.size)


def reweighted(log_weights, values):
    """A weighted average and its error."""
    w = np.exp(log_weights - log_weights.max())
    mean = np.sum(w * values) / np.sum(w)
    return mean, np.sqrt(np.sum((w * (values - mean)) ** 2)) / np.sum(w)


def measured(flow, action, arguments):
    """Log-weights and plaquettes of draws in float64, and the CPU seconds of a thousand."""
    sampler = FlowSampler(cast(flow, "float64"), action)
    keys = jax.random.split(jax.random.key(9), arguments.draws)
    drawn(sampler, action, keys[: arguments.at_once])[0].block_until_ready()
    start = time.process_time()
    parts = keys.reshape(-1, arguments.at_once)
    found = [[np.asarray(part) for part in drawn(sampler, action, some)] for some in parts]
    seconds = 1000 * (time.process_time() - start) / arguments.draws
    return *map(np.concatenate, zip(*found, strict=True)), seconds


def ess(log_weights):
    """With an error from sixteen parts."""
    parts = [reweighting_ess(part) for part in np.array_split(log_weights, 16)]
    return f"{reweighting_ess(log_weights):.3f}({1000 * np.std(parts, ddof=1) / 4:.0f})"


def row(text, arguments):
    kind, name, d, beta = text.split(":")
    lattice, group, beta = Lattice((4,) * int(d)), named(name), float(beta)
    action = WilsonAction(lattice, group, beta=beta)
    flow = built(kind, group, lattice, beta, arguments)
    log_weights, plaquettes, seconds = measured(flow, action, arguments)
    before, took = log_weights, "–"
    if arguments.steps:
        flow, took = trained(flow, action, arguments)
        log_weights, plaquettes, seconds = measured(flow, action, arguments)
    w = np.exp(log_weights - log_weights.max())
    (value, error), (mean_plaquette, width) = log_mean(log_weights), reweighted(log_weights, plaquettes)
    cells = [ess(before), ess(log_weights), f"{w.max() / w.mean():.0f}/N", took, f"{seconds:.2f}"]
    cells += [f"{value:.3f}({1000 * error:.0f})", f"{mean_plaquette:.5f}({1e5 * width:.0f})"]
    if arguments.chains:
        keys = jax.random.split(jax.random.key(7), arguments.chains)
        work, averages = (np.asarray(part) for part in references(action, keys, arguments.sweeps))
        other, spread = log_mean(work)
        mean, its = averages.mean(), averages.std(ddof=1) / np.sqrt(len(averages))
        cells += [f"{other:.3f}({1000 * spread:.0f})", f"{(value - other) / np.hypot(error, spread):+.1f}"]
        cells += [f"{mean:.5f}({1e5 * its:.0f})", f"{(mean_plaquette - mean) / np.hypot(width, its):+.1f}"]
    print(f"| {kind} | {name} | 4^{d} | {beta:g} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row in two dimensions, without training")
    parser.add_argument("--rows", nargs="*", default=ROWS, help="kind:group:d:β")
    parser.add_argument("--draws", type=int, default=4096, help="a multiple of those at once")
    parser.add_argument("--at-once", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100, help="0: without training")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--coarse", type=int, default=6, help="couplings of the coarse lattice")
    parser.add_argument("--fine", type=int, default=6, help="couplings of the fine lattice")
    parser.add_argument("--layers", type=int, default=12, help="of link-coupling")
    parser.add_argument("--reach", type=int, default=0)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--bins", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--chains", type=int, default=128, help="of heat bath; 0: without")
    parser.add_argument("--sweeps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.coarse, arguments.fine, arguments.reach = ["multiscale:U(1):2:1"], 0, 0, 1
        arguments.draws, arguments.at_once, arguments.steps, arguments.chains, arguments.sweeps = 256, 64, 0, 16, 5
    sizes = f"{arguments.coarse} coarse and {arguments.fine} fine couplings, {arguments.steps} steps"
    print(f"N = {arguments.draws}, {sizes} of {arguments.batch} draws, seed {arguments.seed}\n")
    heads = ["layers", "group", "lattice", "β", "ESS before", "ESS", "largest weight", "training + compiling"]
    heads += ["1000 draws", "log Z", "plaquette"]
    heads += ["annealing", "pull", "heat bath", "pull"] if arguments.chains else []
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for text in arguments.rows:
        row(text, arguments)


if __name__ == "__main__":
    main()
