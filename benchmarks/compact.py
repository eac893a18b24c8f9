"""Autoregressive flows on tori and spheres: reweighting ESS and log Z beside exact values.

Every flow starts as the uniform density and is trained by the path gradient of the reverse KL, first at a smaller
concentration. Seconds are CPU seconds of training, and of compiling.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.directional import (  # noqa: E402
    FOUR_ON_S2,
    FOUR_ON_S3,
    ONE_ON_T2,
    THREE_ON_T2,
    CorrelatedAngles,
    SphereModes,
    TorusModes,
    TurnedSphere,
)
from latflow.bijections.autoregression import CIRCLE_MAPS  # noqa: E402
from latflow.bijections.compose import Chain  # noqa: E402
from latflow.bijections.sphere_maps import ExponentialMapSum  # noqa: E402
from latflow.distributions import HaarPrior  # noqa: E402
from latflow.flows.autoregressive import autoregressive_flow, likely_windings  # noqa: E402
from latflow.flows.flow import Flow  # noqa: E402
from latflow.randomness import fold_in, root_key, split  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import PathGradient, ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

CASES = {
    "S² four modes": lambda: SphereModes(FOUR_ON_S2, concentration=10.0),
    "T² unimodal": lambda: TorusModes(ONE_ON_T2, concentration=4.0),
    "T² three modes": lambda: TorusModes(THREE_ON_T2, concentration=4.0),
    "T² correlated": lambda: CorrelatedAngles(concentration=4.0),
    "S³ four modes": lambda: SphereModes(FOUR_ON_S3, concentration=10.0),
    "SU(2) one matrix": lambda: SphereModes([(1.0, 0.0, 0.0, 0.0)], concentration=2.2),
    "T² × S²": lambda: TurnedSphere(concentration=10.0),
}
STAGES = ((0.25, 0.2), (0.5, 0.2), (1.0, 0.6))
"""Share of the concentration, and share of the steps."""
BLOCK = 8192


def built(key, action, windings, arguments):
    """The untrained flow."""
    if arguments.bumps:
        n = arguments.layers
        layers = [ExponentialMapSum.untrained(fold_in(key, i), action.space, arguments.bumps) for i in range(n)]
        return Flow(HaarPrior(action.space), Chain(tuple(layers)))
    sizes = {"bins": arguments.bins, "hidden": (arguments.width,) * 2}
    return autoregressive_flow(key, action.space, **sizes, circle_map=arguments.map, windings=windings)


def trained(flow, action, arguments, seed):
    """The flow after all stages; CPU seconds of the steps and of compiling."""
    times, loss = [], (ReverseKL if arguments.bumps else PathGradient)(batch_size=arguments.batch)
    optimiser = adam(
        schedule("cosine", learning_rate=arguments.rate, n_steps=arguments.steps, warmup_steps=arguments.steps // 30),
        gradient_clip=1.0,
        beta2=0.99,
    )
    state, done = TrainingState.start(flow, optimiser), 0
    for part, share in STAGES:
        soft = action.with_parameters(concentration=part * action.concentration)
        target = done + round(share * arguments.steps)
        for end in (done + 1, target) if not times else (target,):
            start = time.process_time()
            state, _ = run_steps(
                state, root_key(100 + seed), jnp.asarray(end), action=soft, loss=loss, optimiser=optimiser
            )
            jax.block_until_ready(state)
            times.append(time.process_time() - start)
        done = target
    return state.flow, sum(times[1:]), times[0]


def log_weights(flow, action, arguments, seed):
    """Of independent draws."""

    @jax.jit
    def block(key):
        def one(key):
            x, log_q = flow.sample_and_log_prob(key)
            return -action(x) - log_q

        return jax.vmap(one)(split(key, BLOCK))

    return np.concatenate([block(fold_in(root_key(200 + seed), i)) for i in range(-(-arguments.draws // BLOCK))])


def row(name, arguments):
    """Median and range over the seeds."""
    action, found, pulls = CASES[name](), [], []
    for seed in range(1, arguments.seeds + 1):
        windings = likely_windings(root_key(300 + seed), action) if arguments.windings else ()
        flow = built(root_key(seed), action, windings, arguments)
        flow, seconds, compiling = trained(flow, action, arguments, seed)
        logs = log_weights(flow, action, arguments, seed)
        w = np.exp(logs - logs.max())
        log_z = np.log(np.mean(w)) + logs.max()
        error = np.std(w) / np.mean(w) / np.sqrt(w.size)
        found.append((reweighting_ess(logs), action.log_z - np.mean(logs), w.max() / w.mean(), seconds, compiling))
        pulls.append((log_z - action.log_z) / error)
    ess, kl, largest, seconds, compiling = np.asarray(found).T
    cells = (
        f"{np.median(ess):.4f}" + (f" ({ess.min():.4f}…{ess.max():.4f})" if len(ess) > 1 else ""),
        f"{np.median(kl):.4f}",
        f"{largest.max():.1f}/N",
        f"{action.log_z:.6f}",
        " ".join(f"{pull:+.1f}" for pull in pulls),
        f"{np.median(seconds):.1f} + {compiling.max():.1f}",
    )
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one target, little training")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--bins", type=int, default=24)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--map", choices=CIRCLE_MAPS, default="spline")
    parser.add_argument("--bumps", type=int, default=0, help="of exponential-map sums, in the place of splines")
    parser.add_argument("--layers", type=int, default=8, help="such sums")
    parser.add_argument("--windings", action=argparse.BooleanOptionalAction, default=True, help="look for them")
    parser.add_argument("--rate", type=float, default=1e-2)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.steps, arguments.cases = BLOCK, 30, arguments.cases[:1]
        arguments.bins, arguments.width, arguments.batch = 8, 16, 64
    print(f"{arguments.steps} steps of {arguments.batch} draws, {arguments.bins} bins, N = {arguments.draws}\n")
    heads = ("target", "ESS", "KL", "largest weight", "log Z exact", "log Z pulls", "training + compiling")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for name in arguments.cases:
        row(name, arguments)


if __name__ == "__main__":
    main()
