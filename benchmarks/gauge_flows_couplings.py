"""Flows of links by layers on stripes, from Haar draws: ESS, log Z and plaquette after training, with what both cost.

Every row trains layers by the path gradient of the reverse KL from the identity. "spline" moves the active link
times the direction of its staples, "plaquette" the active plaquette as published, "projections" by mixtures of
non-compact projections, "stout" takes residual steps along staples. Of SU(3) both splines move the plaquette.
Seconds are CPU time of this process. log Z has the normalised Haar measure and S = β Σ (1 − Re tr P / N). In two
dimensions the pull is that of log Z, its deviation from the exact value in standard deviations; in more, that of the
plaquette from the heat bath's, with both errors. Of several seeds ESS is median and range, and the pull is that of
all draws together.
"""

import argparse
import math
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.exact_gauge import sun_log_z, u1_log_z  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.link_layers import link_coupling_flow, stout_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.observables.base import measure  # noqa: E402
from latflow.observables.gauge import Plaquette  # noqa: E402
from latflow.samplers.chains import advance  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.stats.gamma import gamma_estimate  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import PathGradient, ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

ROWS = (
    "spline:U(1):8x8:1:5", "spline:U(1):8x8:2", "plaquette:U(1):8x8:1:5", "projections:U(1):8x8:1:5",
    "stout:U(1):8x8:1:5",
    "spline:U(1):4x4x4:1", "spline:SU(2):8x8:2.2", "plaquette:SU(2):8x8:2.2", "stout:SU(2):8x8:2.2",
    "spline:SU(3):4x4:2", "stout:SU(3):4x4:2", "spline:SU(3):4x4:4", "spline:SU(2):4x4x4x4:1",
)  # fmt: skip
AT_ONCE = 256
FLAT = 2


def built(kind, group, lattice, arguments, seed):
    key = jax.random.key(seed)
    sizes = {"n_layers": arguments.layers, "period": arguments.period, "width": arguments.width}
    if kind == "stout":
        return stout_flow(key, lattice, group, **sizes)
    transform = "projections" if kind == "projections" else "spline"
    bins = {"n_bins": arguments.bins, "n_terms": arguments.terms}
    return link_coupling_flow(key, lattice, group, transform=transform, centred=kind != "plaquette", **sizes, **bins)


class Trainer:
    """Training and drawing, compiled once for flows of equal shape."""

    def __init__(self, action, arguments):
        curve = schedule("cosine", learning_rate=arguments.learning_rate, n_steps=arguments.steps, warmup_steps=5)
        self.loss = (ReverseKL if arguments.reverse else PathGradient)(arguments.batch)
        self.optimiser, self.action, self.arguments = adam(curve, gradient_clip=20.0), action, arguments

    def trained(self, flow, seed):
        """The flow after training; CPU seconds of the first step, with compiling, and of the other steps."""
        state, key = TrainingState.start(flow, self.optimiser), jax.random.key(seed + 1)
        given = {"action": self.action, "loss": self.loss, "optimiser": self.optimiser}
        times = [time.process_time()]
        for target in (1, self.arguments.steps):
            state, outcome = run_steps(state, key, target, **given)
            jax.block_until_ready(outcome)
            times.append(time.process_time())
        if not bool(outcome.finite):
            raise SystemExit("training: a number was not finite")
        return state.flow, times[1] - times[0], times[2] - times[1]

    def drawn(self, flow, seed):
        """Log-weights and plaquettes, and CPU seconds of 1000 draws."""
        sampler, n = FlowSampler(cast(flow, "float64"), self.action), self.arguments.draws
        keys = jax.random.split(jax.random.key(1000 + seed), n)
        jax.block_until_ready(weighted(sampler, keys[:AT_ONCE]))
        start = time.process_time()
        parts = [jax.block_until_ready(weighted(sampler, keys[i : i + AT_ONCE])) for i in range(0, n, AT_ONCE)]
        seconds = 1000 * (time.process_time() - start) / n
        log_weights, energies = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(2))
        space = self.action.space
        plaquettes = space.ndim * (space.ndim - 1) // 2 * space.lattice.volume
        return log_weights, 1 - energies / (float(self.action.beta) * plaquettes), seconds


@eqx.filter_jit
def weighted(sampler, keys):
    """Log-weights and actions of draws."""

    def one(key):
        drawn = sampler.draw(key)
        return drawn.log_weight, sampler.action(drawn.x)

    return jax.vmap(one)(keys)


def jackknife(w, blocks=32):
    """Error of the ESS per draw."""
    parts = w[: len(w) // blocks * blocks].reshape(blocks, -1)
    one, two = (np.sum(parts**k, axis=1) for k in (1, 2))
    left = (np.sum(one) - one) ** 2 / (np.sum(two) - two) / (len(w) - parts.shape[1])
    return float(np.sqrt((blocks - 1) * np.var(left)))


def log_z_pull(log_weights, group, beta, volume):
    w = np.exp(log_weights - log_weights.max())
    error = np.std(w) / np.mean(w) / math.sqrt(w.size)
    exact = u1_log_z(beta, volume=volume) if group.n == 1 else sun_log_z(group.n, beta, volume=volume)
    return f"log Z {(math.log(np.mean(w)) + log_weights.max() - exact) / error:+.1f}"


def plaquette_pull(log_weights, plaquettes, action, quick):
    """Weighted draws against a heat bath of 16 chains."""
    w = np.exp(log_weights - log_weights.max())
    mean = np.sum(w * plaquettes) / np.sum(w)
    error = math.sqrt(np.sum((w * (plaquettes - mean)) ** 2)) / np.sum(w)
    key, kernel, n = jax.random.key(77), HeatBath(action, n_overrelaxation=1), 20 if quick else 400
    x = jax.vmap(action.space.start)(jax.random.split(key, 16), jnp.arange(16))
    x, _ = advance(kernel, jax.random.fold_in(key, 1), x, first=0, n_records=1, thin=100)
    _, records = advance(kernel, jax.random.fold_in(key, 2), x, first=0, n_records=n, thin=1)
    shape = action.space.shape
    series = measure((Plaquette(action.space),), np.asarray(records.x).reshape(-1, *shape))["plaquette"]
    bath = gamma_estimate(np.asarray(series).reshape(n, 16).T.copy())
    pull = (mean - bath.value) / math.hypot(error, bath.error)
    return f"P {mean:.5f}({error:.5f}), heat bath {bath.value:.5f}({bath.error:.5f}): {pull:+.1f}"


def row(text, arguments):
    kind, name, shape, beta, *seeds = text.split(":")
    lattice, group, beta = Lattice(tuple(int(extent) for extent in shape.split("x"))), named(name), float(beta)
    action = WilsonAction(lattice, group, beta=beta)
    trainer, found, costs = Trainer(action, arguments), [], []
    for seed in range(arguments.seed, arguments.seed + int(*seeds or (1,))):
        flow, compiling, seconds = trainer.trained(built(kind, group, lattice, arguments, seed), seed)
        log_weights, plaquettes, drawing = trainer.drawn(flow, seed)
        found.append((log_weights, plaquettes))
        costs.append((seconds, compiling, drawing))
    log_weights, plaquettes = (np.concatenate(part) for part in zip(*found, strict=True))
    quality = sorted(reweighting_ess(part[0]) for part in found)
    shares = [np.exp(part[0] - part[0].max()) for part in found]
    if len(found) > 1:
        ess = f"{np.median(quality):.3f} ({quality[0]:.3f}…{quality[-1]:.3f})"
    else:
        ess = f"{quality[0]:.3f}({jackknife(shares[0]):.3f})"
    seconds, compiling, drawing = np.median(costs, axis=0)
    flat = lattice.ndim == FLAT
    pull = log_z_pull(log_weights, group, beta, lattice.volume) if flat else ""
    pull = pull or plaquette_pull(log_weights, plaquettes, action, arguments.quick)
    cells = (
        "×".join(map(str, lattice.shape)),
        f"{beta:g}",
        f"{arguments.layers}, {arguments.period}",
        ess,
        f"{len(found)} × {arguments.draws}" if len(found) > 1 else f"{arguments.draws}",
        f"{max(w.max() / w.mean() for w in shares):.0f}/N",
        f"{seconds:.0f} + {max(cost[1] for cost in costs):.0f}",
        f"{drawing:.2f}",
        pull,
    )
    print(f"| {kind} | {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row of a 4 × 4 lattice")
    parser.add_argument("--rows", nargs="*", default=ROWS, help="kind:group:extents:β, and how many seeds")
    parser.add_argument("--draws", type=int, default=8192, help="a multiple of 256")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--period", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--bins", type=int, default=12)
    parser.add_argument("--terms", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=2e-2)
    parser.add_argument("--reverse", action="store_true", help="plain reverse KL")
    parser.add_argument("--seed", type=int, default=1, help="the first one, of networks, training and draws")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.steps, arguments.layers, arguments.rows = 512, 3, 4, ["spline:U(1):4x4:1"]
    print(f"{arguments.steps} steps of {arguments.batch} draws, from seed {arguments.seed}\n")
    heads = (
        "layers", "group", "lattice", "β", "number, period", "ESS", "N", "largest weight", "training + compiling",
        "1000 draws", "pull",
    )  # fmt: skip
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for text in arguments.rows:
        row(text, arguments)


if __name__ == "__main__":
    main()
