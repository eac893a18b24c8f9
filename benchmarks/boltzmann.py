"""Boltzmann generators: a double well, Müller and Brown's potential, DW4 and LJ13, by flows and by annealing.

Of every way reweighting ESS, log Z and the free-energy difference of two states beside exact values, and CPU seconds.
Annealing goes from a normal density along powers of the weights, one Metropolis sweep of single particles at each, with
widths that a pilot run finds and that are fixed afterwards.
"""

import argparse
import itertools
import time
from typing import NamedTuple

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.particles import LennardJones  # noqa: E402
from latflow.bijections.ode.runge_kutta import RK4  # noqa: E402
from latflow.distributions import AbstractDistribution, IsotropicNormal  # noqa: E402
from latflow.flows.architectures import cast, rational_quadratic_spline  # noqa: E402
from latflow.flows.continuous import with_integrator  # noqa: E402
from latflow.flows.flow import Flow  # noqa: E402
from latflow.flows.networks import Networks  # noqa: E402
from latflow.flows.particles import pair_flow  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.randomness import fold_in, root_key, split, standard_normal, uniform  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.theories.catalogue import table_of, theory_of  # noqa: E402
from latflow.theories.particles.estimates import difference  # noqa: E402
from latflow.theories.particles.states import second_state  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

KINDS = ("double-well", "mueller-brown", "dw4", "lj13")
BLOCK = 4096
STEPS = 10
"""Steps of the integrator of production draws."""
KNOTS = 25
"""Powers at which the pilot run finds a width; in between they are interpolated."""
PILOT = 256
CHAINS = 512
"""Annealed draws of a block: few enough for the cache."""
TARGET = 0.45
"""Acceptance that the pilot run aims at."""


def plain(kind):
    """Table, action and known values of a theory at its defaults."""
    table = table_of(kind).model_validate({"kind": kind})
    theory = theory_of(kind)
    return theory.physics.action(table), theory.known_values(table, table.own_shape())


# annealing ------------------------------------------------------------------------------------------------------------


class Path(NamedTuple):
    """Densities exp(−a |x|²/2s² − b S) from one that draws are made of: a and b at every step, and s."""

    start: AbstractDistribution
    base: np.ndarray
    power: np.ndarray
    width: float


def from_normal(action, n_sweeps):
    """From a normal density of the width of the oscillator, or about as wide as the particles."""
    cluster = isinstance(action, LennardJones)
    width = 1.0 if cluster else 2.2
    powers = np.linspace(0, 1, n_sweeps + 1) ** (4 if cluster else 2)
    return Path(IsotropicNormal.of_width(action.space, width), 1 - powers, powers, width)


def from_flow(flow, temperature, n_sweeps):
    """From a flow that draws the target at a higher temperature."""
    return Path(flow, np.zeros(n_sweeps + 1), np.linspace(1 / temperature, 1, n_sweeps + 1), 1.0)


def annealing(action, path):
    """A function from a key, the widths of all steps and a rate to draws, logarithms of weights and widths.

    With a rate, widths follow the acceptance of all chains: for pilot runs, whose weights mean nothing.
    """
    n, d = action.space.shape
    spring = float(action.oscillator) if isinstance(action, LennardJones) else 0.0
    kt, rows, base_unit = float(action.temperature), jnp.arange(n), 1 / path.width**2

    def gain(x, i, step, base, power):
        """The exponent after moving particle i, less that before; of its pairs alone, and nothing is added up."""
        here, others = x[i], rows != i
        before = jnp.sqrt(jnp.sum((x - here) ** 2, axis=1))
        after = jnp.sqrt(jnp.sum((x - here - step) ** 2, axis=1))
        pairs = jnp.sum(jnp.where(others, action.pair(after) - action.pair(before), 0.0))
        square = (here - jnp.mean(x, axis=0)) @ step + 0.5 * (step @ step) * (1 - 1 / n)
        return base * base_unit * square + power * (pairs + spring * square) / kt

    def sweep(x, key, base, power, step_width):
        move, decide = split(key, 2)
        steps = step_width * standard_normal(move, (n, d))
        logs = jnp.log(uniform(decide, (n,)))

        def one(x, given):
            i, step, log = given
            taken = log < -gain(x, i, step, base, power)
            return x.at[i].add(jnp.where(taken, step, 0.0)), taken

        x, taken = jax.lax.scan(one, x, (rows, steps, logs))
        return x - jnp.mean(x, axis=0), jnp.mean(taken.astype(float))

    def exponent(x, base, power):
        """The whole energy, computed anew at every step."""
        return base * base_unit * 0.5 * jnp.sum((x - jnp.mean(x, axis=0)) ** 2) + power * action(x)

    def draws(key, widths, rate, n_chains):
        start, walk = split(key, 2)
        x, log_q = jax.vmap(path.start.sample_and_log_prob)(split(start, n_chains))
        exponents = jax.vmap(exponent, in_axes=(0, None, None))

        def step(state, given):
            x, log_w, scale = state
            (base_before, base), (power_before, power), width, number = given
            log_w = log_w - exponents(x, base - base_before, power - power_before)
            keys = split(fold_in(walk, number), n_chains)
            used = scale * width
            x, taken = jax.vmap(sweep, in_axes=(0, 0, None, None, None))(x, keys, base, power, used)
            return (x, log_w, scale * jnp.exp(rate * (jnp.mean(taken) - TARGET))), used

        steps = (
            (jnp.asarray(path.base[:-1]), jnp.asarray(path.base[1:])),
            (jnp.asarray(path.power[:-1]), jnp.asarray(path.power[1:])),
            widths,
            jnp.arange(len(widths)),
        )
        log_w = -exponents(x, path.base[0], path.power[0]) - log_q
        (x, log_w, _), used = jax.lax.scan(step, (x, log_w, jnp.ones(())), steps)
        return x, log_w, used

    return draws


def annealed(action, path):
    """A function from a key to a block of draws and logarithms of weights, with widths that a pilot run found."""
    draws, n_sweeps = annealing(action, path), len(path.power) - 1
    used = np.asarray(jax.jit(lambda key: draws(key, jnp.full(n_sweeps, 0.5), 0.5, PILOT)[2])(root_key(7)))
    edges = np.linspace(0, n_sweeps, min(KNOTS, n_sweeps) + 1).astype(int)
    smooth = [np.mean(np.log(used[a:b])) for a, b in itertools.pairwise(edges)]
    widths = jnp.asarray(np.exp(np.interp(np.arange(n_sweeps), (edges[1:] + edges[:-1]) / 2, smooth)))
    return lambda key: draws(key, widths, 0.0, CHAINS)[:2], CHAINS


# flows ----------------------------------------------------------------------------------------------------------------


def spline_flow(action, arguments, seed):
    """Couplings of the two coordinates, trained by the path gradient of the reverse KL at falling temperatures."""
    networks = Networks("dense", (32, 32))
    built = rational_quadratic_spline(
        root_key(seed), Lattice((2,)), n_layers=6, n_splines=4, n_bins=16, half_width=4.0, networks=networks
    )
    flow = Flow(IsotropicNormal.of_width(action.space), built.bijection)
    return drawn(trained(flow, action, arguments, seed, temperatures=(4.0, 2.0, 1.0, 1.0)), action)


def pairs(action, arguments, seed, temperature=1.0):
    """The continuous flow of particles at some temperature."""
    sizes = {"n_local": 8, "n_total": 8, "n_bells": 16, "n_steps": 5, "reach": 9.0}
    flow = pair_flow(root_key(seed), action.space, width=2.0, **sizes, dtype="float32")
    found = trained(flow, action, arguments, seed, temperatures=(temperature,), batch=arguments.pair_batch)
    return with_integrator(cast(found, "float64"), RK4, STEPS)


def drawn(flow, action):
    """A function from a key to a block of draws and logarithms of weights."""

    def one(key):
        x, log_q = flow.sample_and_log_prob(key)
        return x, -action(x) - log_q

    return lambda key: jax.vmap(one)(split(key, BLOCK)), BLOCK


def trained(flow, action, arguments, seed, *, temperatures, batch=None):
    """The flow after as many steps at every temperature, in one compiled program; the rate falls over all of them."""
    loss, n = PathGradient(arguments.batch if batch is None else batch), len(temperatures)
    rate = schedule("cosine", learning_rate=arguments.rate, n_steps=arguments.steps, warmup_steps=arguments.steps // 20)
    optimiser = adam(rate, gradient_clip=1.0, beta2=0.99)
    state = TrainingState.start(flow, optimiser)
    for i, temperature in enumerate(temperatures):
        target = jnp.asarray(arguments.steps * (i + 1) // n)
        there = action.with_parameters(temperature=temperature * action.temperature)
        state, _ = run_steps(state, root_key(50 + seed), target, action=there, loss=loss, optimiser=optimiser)
    return state.flow


# table ----------------------------------------------------------------------------------------------------------------


def ways(kind, action, arguments):
    """What is done of a theory: name, and a function from a seed to blocks and their size."""
    if kind in ("double-well", "mueller-brown"):
        return {"flow": lambda seed: spline_flow(action, arguments, seed)}
    found: dict = {
        f"annealing, {n} sweeps": lambda seed, n=n: annealed(action, from_normal(action, n)) for n in arguments.sweeps
    }
    if kind == "dw4":
        found["flow"] = lambda seed: drawn(pairs(action, arguments, seed), action)
        hot = arguments.temperature
        name = f"flow at temperature {hot:g}, then annealing, {arguments.further} sweeps"
        found[name] = lambda seed: annealed(
            action, from_flow(pairs(action, arguments, seed, temperature=hot), hot, arguments.further)
        )
    return found


def row(kind, way, make, action, known, arguments):
    """One line of the table, over the seeds."""
    found = []
    within = jax.jit(jax.vmap(second_state(table_of(kind).model_validate({"kind": kind}))))
    for seed in range(1, arguments.seeds + 1):
        begin = time.process_time()
        block, size = make(seed)
        block = jax.jit(block)
        jax.block_until_ready(block(root_key(0)))
        made = time.process_time()
        n_blocks = -(-arguments.draws // size)
        parts = [jax.block_until_ready(block(fold_in(root_key(100 + seed), i))) for i in range(n_blocks)]
        seconds = time.process_time() - made
        x, logs = (np.concatenate(part) for part in zip(*parts, strict=True))
        w = np.exp(logs - logs.max())
        log_z, error = np.log(np.mean(w)) + logs.max(), np.std(w) / np.mean(w) / np.sqrt(w.size)
        state = np.mean(np.asarray(within(jnp.asarray(x))), axis=1)
        share = w @ state / np.sum(w)
        share_error = np.sqrt(np.sum((w * (state - share)) ** 2)) / np.sum(w)
        found.append(
            (
                reweighting_ess(logs),
                log_z,
                error,
                difference(share),
                share_error / (share * (1 - share)),
                made - begin,
                1000 * seconds / w.size,
            )
        )
        keep(kind, x, w, arguments)
    ess, log_z, error, delta, delta_error, made, each = np.asarray(found).T
    pulls = " | ".join(
        " ".join(f"{pull:+.1f}" for pull in (values - known[name].value) / np.hypot(errors, known[name].error))
        if name in known
        else ""
        for name, values, errors in (("log_z", log_z, error), ("free_energy_difference", delta, delta_error))
    )
    spread = f" ({ess.min():.3f}…{ess.max():.3f})" if len(ess) > 1 else ""
    middle = np.argsort(ess)[len(ess) // 2]
    cells = (
        way,
        f"{np.median(ess):.3f}{spread}",
        f"{log_z[middle]:.4f} ± {error[middle]:.4f}",
        f"{delta[middle]:.4f} ± {delta_error[middle]:.4f}",
        pulls,
        f"{np.median(made):.0f}",
        f"{np.median(each):.2f}",
        f"{np.median(each / ess):.2f}",
    )
    print("| " + " | ".join(cells) + " |", flush=True)


def keep(kind, x, w, arguments):
    """Draws and weights for the figure, of the last way of a theory."""
    if arguments.figure:
        np.savez(f"{arguments.figure}-{kind}.npz", x=x[:100_000], w=w[:100_000])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few draws, steps and sweeps; one flow, one cluster")
    parser.add_argument("--theories", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--ways", default="", help="only those whose name begins so")
    parser.add_argument("--draws", type=int, default=16_384)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=900, help="training steps of a flow")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--pair-batch", type=int, default=256, help="of the flow of particles")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--sweeps", nargs="+", type=int, default=[300, 1000, 3000], help="of annealing")
    parser.add_argument("--temperature", type=float, default=3.0, help="of the flow that annealing goes on from")
    parser.add_argument("--further", type=int, default=300, help="sweeps from there")
    parser.add_argument("--figure", default="", help="where draws are kept for the figure")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.steps, arguments.batch, arguments.pair_batch = 512, 4, 16, 16
        arguments.sweeps, arguments.further = [5], 5
        arguments.theories = ["double-well", "lj13"]
    heads = (
        "way",
        "ESS",
        "log Z",
        "ΔF",
        "log Z pulls",
        "ΔF pulls",
        "CPU-s to make",
        "CPU-ms per draw",
        "CPU-ms per effective draw",
    )
    for kind in arguments.theories:
        action, known = plain(kind)
        names = [name for name in ("log_z", "free_energy_difference") if name in known]
        values = ", ".join(f"{name} {known[name].value:.6f} ({known[name].source})" for name in names)
        print(f"\n{kind}, N = {arguments.draws}, {values}\n")
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
        for way, make in ways(kind, action, arguments).items():
            if way.startswith(arguments.ways):
                row(kind, way, make, action, known, arguments)


if __name__ == "__main__":
    main()
