"""Boltzmann generators: a double well, Müller and Brown's potential, DW4 and LJ13, by flows and by annealing.

Of every way reweighting ESS, log Z and the free-energy difference of two states beside exact values, and CPU seconds.
Annealing goes from a normal density along powers of the weights, one Metropolis sweep of single particles at each, with
widths that a pilot run finds and that are fixed afterwards.
"""

import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.particles import LennardJones  # noqa: E402
from latflow.distributions import IsotropicNormal  # noqa: E402
from latflow.flows.architectures import rational_quadratic_spline  # noqa: E402
from latflow.flows.flow import Flow  # noqa: E402
from latflow.flows.networks import Networks  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.randomness import fold_in, root_key, split  # noqa: E402
from latflow.theories.catalogue import table_of, theory_of  # noqa: E402
from latflow.training.evaluation import Evaluation  # noqa: E402
from latflow.training.fit import fit  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.stop import StopCriterion  # noqa: E402

BLOCK = 4096
KNOTS = 25
"""Powers at which the pilot run finds a width; in between they are interpolated."""
PILOT = 256
TARGET = 0.45
"""Acceptance that the pilot run aims at."""


def plain(kind):
    """Table, action and known values of a theory at its defaults."""
    table = table_of(kind).model_validate({"kind": kind})
    theory = theory_of(kind)
    return theory.physics.action(table), theory.known_values(table, table.own_shape())


# annealing ------------------------------------------------------------------------------------------------------------


def path(action):
    """Width of the normal density where annealing begins, power of the schedule of λ, strength of the oscillator."""
    if isinstance(action, LennardJones):
        return 1.0, 4, float(action.oscillator)
    return 2.2, 2, 0.0


def sweeps(action, lambdas):
    """One annealed draw per row: draws and logarithms of weights from a key and the widths of all steps."""
    n, d = action.space.shape
    width, _, spring = path(action)
    kt, rows = float(action.temperature), jnp.arange(n)

    def gain(x, i, step, power):
        """S at a power after moving particle i, less S before; from its pairs alone, and nothing is added up."""
        here, others = x[i], rows != i
        before = jnp.sqrt(jnp.sum((x - here) ** 2, axis=1))
        after = jnp.sqrt(jnp.sum((x - here - step) ** 2, axis=1))
        pairs = jnp.sum(jnp.where(others, action.pair(after) - action.pair(before), 0.0))
        square = (here - jnp.mean(x, axis=0)) @ step + 0.5 * (step @ step) * (1 - 1 / n)
        return (1 - power) * square / width**2 + power * (pairs + spring * square) / kt

    def one_sweep(x, key, power, step_width):
        move, decide = split(key, 2)
        steps = step_width * standard_normal(move, (n, d))
        logs = jnp.log(uniform(decide, (n,)))

        def one(x, given):
            i, step, log = given
            taken = log < -gain(x, i, step, power)
            return x.at[i].add(jnp.where(taken, step, 0.0)), taken

        x, taken = jax.lax.scan(one, x, (rows, steps, logs))
        return x - jnp.mean(x, axis=0), jnp.mean(taken.astype(float))

    prior = IsotropicNormal.of_width(action.space, width)

    def excess(x):
        """Log-density of the target over that of the beginning."""
        return -action(x) - prior.log_prob(x)

    def draws(key, widths, rate, n_chains):
        """With a rate, widths follow the acceptance of all chains: for pilot runs, whose weights mean nothing."""
        start, walk = split(key, 2)
        x = jax.vmap(lambda k: prior.sample_and_log_prob(k)[0])(split(start, n_chains))

        def step(state, given):
            x, log_w, scale = state
            before, power, step_width, number = given
            log_w = log_w + (power - before) * jax.vmap(excess)(x)
            keys = split(fold_in(walk, number), n_chains)
            x, taken = jax.vmap(one_sweep, in_axes=(0, 0, None, None))(x, keys, power, scale * step_width)
            used = scale * step_width
            scale = scale * jnp.exp(rate * (jnp.mean(taken) - TARGET))
            return (x, log_w, scale), (used, jnp.mean(taken))

        given = (jnp.asarray(lambdas[:-1]), jnp.asarray(lambdas[1:]), widths, jnp.arange(len(lambdas) - 1))
        (x, log_w, _), (used, taken) = jax.lax.scan(step, (x, jnp.zeros(n_chains), jnp.ones(())), given)
        return x, log_w, used, taken

    return draws


def annealed(action, arguments, n_sweeps):
    """A function from a key to a block of draws and logarithms of weights, with fixed widths; CPU seconds it took."""
    begin = time.process_time()
    lambdas = np.linspace(0, 1, n_sweeps + 1) ** path(action)[1]
    draws = sweeps(action, lambdas)
    pilot = jax.jit(lambda key: draws(key, jnp.full(n_sweeps, 0.5 * path(action)[0]), 0.5, PILOT))
    used, taken = (np.asarray(part) for part in pilot(root_key(7))[2:])
    knots = np.linspace(0, n_sweeps - 1, min(KNOTS, n_sweeps))
    edges = np.linspace(0, n_sweeps, len(knots) + 1).astype(int)
    smooth = np.exp([np.mean(np.log(used[a:b])) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    widths = jnp.asarray(np.interp(np.arange(n_sweeps), knots, smooth))
    block = jax.jit(lambda key: draws(key, widths, 0.0, CHAINS)[:2])
    jax.block_until_ready(block(root_key(0)))
    del taken
    return block, time.process_time() - begin


# flows ----------------------------------------------------------------------------------------------------------------


def spline_flow(action, arguments, seed):
    """Couplings of the two coordinates, trained by the path gradient of the reverse KL at falling temperatures."""
    networks = Networks("dense", (32, 32))
    built = rational_quadratic_spline(
        root_key(seed), Lattice((2,)), n_layers=8, n_splines=4, n_bins=16, half_width=4.0, networks=networks
    )
    flow = Flow(IsotropicNormal.of_width(action.space), built.bijection)
    return trained(flow, action, arguments, seed, temperatures=(4.0, 2.0, 1.0))


def trained(flow, action, arguments, seed, *, temperatures, rate=None):
    """The flow after some steps at every temperature, half of all at the last one."""
    shares = [0.5 / max(1, len(temperatures) - 1)] * (len(temperatures) - 1) + [0.5 if len(temperatures) > 1 else 1.0]
    for i, (temperature, share) in enumerate(zip(temperatures, shares, strict=True)):
        steps = max(1, round(share * arguments.steps))
        peak = arguments.rate if rate is None else rate
        last = i == len(temperatures) - 1
        curve = schedule("cosine" if last else "constant", learning_rate=peak, n_steps=steps, warmup_steps=steps // 20)
        flow = fit(
            fold_in(root_key(50 + seed), i),
            flow,
            action.with_parameters(temperature=temperature * action.temperature),
            stop=StopCriterion(steps=steps),
            loss=PathGradient(arguments.batch),
            optimiser=adam(curve, gradient_clip=1.0, beta2=0.99),
            evaluation=Evaluation(every=steps, draws=BLOCK),
        ).flow
    return flow
