"""The posterior of a robot arm three ways: backward messages, weights on the prior, annealed importance sampling.

Of every way reweighting ESS, log Z and shares of goals beside their exact values, and CPU seconds. Of draws by messages
also the census: how many come to which maximum when they climb.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.robot_arm import RobotArm  # noqa: E402
from latflow.flows.robot_arm import arm_flow  # noqa: E402
from latflow.randomness import fold_in, root_key, split  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402

BLOCK = 4096
CLIMB = 3000
"""Draws whose maximum is looked for."""


def messages(action, arguments):
    """Blocks of draws by messages, by key."""
    flow = arm_flow(action, angles=arguments.angles, spacing=arguments.spacing)

    def one(key):
        x, log_q = flow.sample_and_log_prob(key)
        return x, -action(x) - log_q

    return one


def prior(action, arguments):
    """Draws of the prior, with the evidence as weight."""
    del arguments

    def one(key):
        x = von_mises(key, action)
        return x, action.log_evidence(action.tip(x))

    return one


def annealed(action, arguments):
    """From the prior along powers λ = f⁴ of the evidence, one Metropolis step of all joints at each, widths fixed."""
    powers = np.linspace(0, 1, arguments.anneal + 1) ** 4
    widths = 0.8 / np.sqrt(1 + powers / float(action.width) ** 2 / 8)

    def one(key):
        start, walk = split(key, 2)

        def step(state, given):
            x, log_w = state
            before, power, width, key = given
            log_w = log_w + (power - before) * action.log_evidence(action.tip(x))
            move, decide = split(key, 2)
            proposal = action.space.move(x, width * action.space.momentum(move))
            gain = tempered(action, proposal, power) - tempered(action, x, power)
            taken = jnp.log(jax.random.uniform(decide)) < gain
            return (jnp.where(taken, proposal, x), log_w), None

        given = (
            jnp.asarray(powers[:-1]),
            jnp.asarray(powers[1:]),
            jnp.asarray(widths[1:]),
            split(walk, len(powers) - 1),
        )
        (x, log_w), _ = jax.lax.scan(step, (von_mises(start, action), jnp.zeros(())), given)
        return x, log_w

    return one


def tempered(action, x, power):
    """Log-density at a power of the evidence, up to a constant."""
    return action.concentration * jnp.sum(jnp.cos(x)) + power * action.log_evidence(action.tip(x))


def von_mises(key, action, n=2001):
    """Angles of the prior, by a table of the distribution function that is fine enough for all digits shown."""
    grid = np.linspace(-np.pi, np.pi, n)
    density = np.exp(float(action.concentration) * (np.cos(grid) - 1))
    steps = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return jnp.interp(jax.random.uniform(key, action.space.shape), jnp.asarray(steps / steps[-1]), jnp.asarray(grid))


WAYS = {"messages": messages, "prior": prior, "annealing": annealed}


def run(way, action, arguments, seed):
    """Draws, logarithms of weights, and CPU seconds without and of compiling."""
    begin = time.process_time()
    one = WAYS[way](action, arguments)
    block = jax.jit(lambda key: jax.vmap(one)(split(key, BLOCK)))
    jax.block_until_ready(block(root_key(0)))
    compiled = time.process_time()
    n_blocks = -(-arguments.draws // BLOCK)
    parts = [jax.block_until_ready(block(fold_in(root_key(100 + seed), i))) for i in range(n_blocks)]
    x, logs = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x, logs, time.process_time() - compiled, compiled - begin


def row(way, action, arguments):
    """One line of the table, over the seeds."""
    exact, found = action.exact, []
    tell = jax.jit(jax.vmap(action.parts))
    for seed in range(1, arguments.seeds + 1):
        x, logs, seconds, compiling = run(way, action, arguments, seed)
        w = np.exp(logs - logs.max())
        log_z = np.log(np.mean(w)) + logs.max()
        error = np.std(w) / np.mean(w) / np.sqrt(w.size)
        shares = w @ np.asarray(jax.nn.softmax(tell(jnp.asarray(x)), axis=1)) / np.sum(w)
        off = np.max(np.abs(shares / exact.shares - 1))
        found.append(
            (reweighting_ess(logs), (log_z - exact.log_z) / error, error, off, w.max() / w.mean(), seconds, compiling)
        )
    ess, pulls, errors, off, largest, seconds, compiling = np.asarray(found).T
    spread = f" ({ess.min():.5f}…{ess.max():.5f})" if len(ess) > 1 else ""
    cells = (
        way,
        f"{np.median(ess):.5f}{spread}",
        " ".join(f"{pull:+.1f}" for pull in pulls),
        f"{np.median(errors):.1e}",
        f"{100 * off.max():.2f} %",
        f"{largest.max():.1f}/N",
        f"{np.median(seconds):.1f} + {np.median(compiling):.1f}",
    )
    print("| " + " | ".join(cells) + " |", flush=True)


def census(action, arguments):
    """Maxima to which draws by messages climb: goal, side of the elbow, log-density and how many draws."""
    x, logs, _, _ = run("messages", action, arguments, 1)
    chosen = jnp.asarray(x[:CLIMB])
    climb = jax.jit(jax.vmap(lambda x: ascended(action, x)))
    tops, heights, goals, bends = map(np.asarray, climb(chosen))
    found: dict = {}
    for height, goal, bend, w in zip(heights, goals, bends, np.exp(logs[:CLIMB]), strict=True):
        key = (int(goal) + 1, "right" if bend > 0 else "left")
        highest, weight = found.get(key, (-np.inf, 0.0))
        found[key] = (max(highest, float(height)), weight + w)
    total = sum(weight for _, weight in found.values())
    print(f"\nof {len(tops)} draws that climb:\n\n| goal | elbow | log-density | share |\n|---|---|---|---|")
    for (goal, side), (highest, weight) in sorted(found.items(), key=lambda item: -item[1][0]):
        print(f"| {goal} | {side} | {highest:.2f} | {weight / total:.3f} |")


def ascended(action, x, steps=4000):
    """The maximum above a configuration, by gradients with steps short enough for the narrowest direction."""
    rate = 0.1 * action.width**2 / jnp.sum(action.lengths**2) / len(action.lengths)

    # towards the goal the density is narrow, along the others wide: momentum makes up for it
    def step(_, state):
        x, v = state
        v = 0.95 * v - rate * action.force(x)
        return action.space.move(x, v), v

    x, _ = jax.lax.fori_loop(0, steps, step, (x, jnp.zeros_like(x)))
    return x, -action(x), jnp.argmax(action.parts(x)), action.bend(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an arm of two links, few draws")
    parser.add_argument("--widths", nargs="+", type=float, default=[0.1, 0.05])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--anneal", type=int, default=300, help="steps of annealing")
    parser.add_argument("--angles", type=int, default=None)
    parser.add_argument("--spacing", type=float, default=None)
    parser.add_argument("--census", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.seeds, arguments.anneal, arguments.widths = BLOCK, 1, 10, [0.3]
    heads = (
        "way",
        "ESS",
        "log Z pulls",
        "error of log Z",
        "largest error of a share",
        "largest weight",
        "CPU-s + compiling",
    )
    for width in arguments.widths:
        action = RobotArm((0.5, 0.4), width=width) if arguments.quick else RobotArm(width=width)
        shares = ", ".join(f"{share:.4f}" for share in action.exact.shares)
        print(f"\nσ = {width:g}, N = {arguments.draws}, exact log Z {action.log_z:.7f}, shares {shares}\n")
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
        for way in arguments.ways:
            row(way, action, arguments)
        if arguments.census and not arguments.quick:
            census(action, arguments)


if __name__ == "__main__":
    main()
