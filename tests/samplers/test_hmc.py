"""HMC and local updates leave their target invariant: seen from exact draws (E11) and on the free propagator (E14)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from catalogue import resonant
from latflow.actions import exact
from latflow.actions.scalar import FreeField
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.randomness import fold_in, standard_normal, uniform
from latflow.samplers.chains import advance
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import LEAPFROG, OMF2
from latflow.samplers.local import LocalMetropolis

LATTICE = Lattice((4, 4))
MASS_SQUARED = 0.7
ACTION = FreeField(LATTICE, mass_squared=MASS_SQUARED)
KERNELS = {
    "leapfrog": HMC(ACTION, LEAPFROG, step_size=0.34, n_steps=3),
    "omf2": HMC(ACTION, OMF2, step_size=0.6, n_steps=2),
    "local": LocalMetropolis(ACTION, width=0.9),
}
FALSE_ALARM = 1e-6
MODE = np.cos(np.pi * np.arange(4))[:, None] * np.ones(4)  # k = (π, 0)


@functools.partial(jax.jit, static_argnames="n")
def exact_draws(key, n):
    draw = functools.partial(exact.draw_free_field, lattice=LATTICE, mass_squared=MASS_SQUARED)
    return jax.vmap(lambda i: draw(jax.random.fold_in(key, i)))(jnp.arange(n))


def distances(x):
    """Kolmogorov–Smirnov distances of four statistics from their exact distributions."""
    v = LATTICE.volume
    zero, staggered = 1 / (2 * MASS_SQUARED), 1 / (2 * (4 + MASS_SQUARED))
    return {
        "action": stats.kstest(2 * np.asarray(jax.vmap(ACTION)(x)), stats.chi2(v).cdf).statistic,
        "magnetization": stats.kstest(np.mean(x, axis=(1, 2)), stats.norm(scale=np.sqrt(zero / v)).cdf).statistic,
        "staggered": stats.kstest(
            np.mean(x * MODE, axis=(1, 2)), stats.norm(scale=np.sqrt(staggered / v)).cdf
        ).statistic,
        "site": stats.kstest(
            x[:, 1, 2], stats.norm(scale=np.sqrt(exact.free_phi_squared(LATTICE, mass_squared=MASS_SQUARED))).cdf
        ).statistic,
    }


def assert_one_step_invariance(name, n):
    x = exact_draws(jax.random.key(10), n)
    y, records = advance(KERNELS[name], jax.random.key(11), x, first=0, n_records=1, thin=1)
    assert 0.4 < float(np.mean(records.transition.acceptance)) < 0.8
    limit = np.sqrt(np.log(2 / FALSE_ALARM) / (2 * n))
    seen = distances(np.asarray(y))
    assert all(d < limit for d in seen.values()), (seen, limit)
    return limit


@pytest.mark.parametrize("name", KERNELS)
def test_one_step_invariance(name):
    """E11 at CI size: false alarm 1e-6 per statistic; a distribution function off by 0.02 is seen."""
    assert assert_one_step_invariance(name, n=2**15) < 0.02


@pytest.mark.nightly
@pytest.mark.parametrize("name", KERNELS)
def test_one_step_invariance_in_depth(name):
    """E11 at full size: sees 0.0055."""
    assert assert_one_step_invariance(name, n=2**20) < 0.0055


@pytest.mark.parametrize("name", ["leapfrog", "local"])
def test_free_propagator(name):
    """E14: every ⟨φ_k φ_−k⟩ within 5σ of 1/[2(k² + m²)]; the errors are 1 to 2 %, so that 10 % is seen."""
    x = exact_draws(jax.random.key(12), 256)
    _, records = advance(KERNELS[name], jax.random.key(13), x, first=0, n_records=300, thin=10)
    power = np.abs(np.fft.fftn(np.asarray(records.x), axes=(2, 3))) ** 2 / LATTICE.volume
    per_chain = power.mean(axis=0)
    error = per_chain.std(axis=0, ddof=1) / np.sqrt(256)
    expected = exact.momentum_propagator(LATTICE, mass_squared=MASS_SQUARED)
    assert np.max(error / expected) < 0.025
    assert np.max(np.abs(per_chain.mean(axis=0) - expected) / error) < 5


def test_trajectory_length_is_kept():
    kernel = HMC(ACTION, LEAPFROG, step_size=0.13, n_steps=10).with_trajectory(2.0)
    assert kernel.n_steps == 15
    assert float(kernel.step_size) == pytest.approx(2 / 15)


def test_no_steps_is_refused():
    with pytest.raises(ConfigError, match=r"hmc\.n_steps: 0"):
        HMC(ACTION, LEAPFROG, step_size=0.1, n_steps=0)


@pytest.mark.parametrize("jitter", [-0.1, 1.0, float("nan")])
def test_impossible_jitter_is_refused(jitter):
    with pytest.raises(ConfigError, match=r"hmc\.jitter: .*; allowed: at least 0 and less than 1"):
        HMC(ACTION, LEAPFROG, step_size=0.1, n_steps=2, jitter=jitter)


def test_without_jitter_a_mode_can_be_caught_in_resonance():
    """After trajectories of half a period the constant mode is where it was, up to its sign: the target is not seen."""
    x = jnp.broadcast_to(jnp.linspace(2.0, 4.0, 8)[:, None, None], (8, 2, 2))

    def constant_mode(jitter):
        end, _ = advance(resonant(jitter), jax.random.key(15), x, first=0, n_records=1, thin=40)
        return jnp.abs(jnp.mean(end, axis=(1, 2)))

    start = jnp.mean(x, axis=(1, 2))
    assert jnp.max(jnp.abs(constant_mode(0.0) - start)) < 0.02
    # its standard deviation is 0.35
    assert jnp.max(constant_mode(0.3)) < 1.8


def test_step_by_hand():
    """One transition, rebuilt from the leapfrog formula and the key's two streams."""
    kernel = KERNELS["leapfrog"]
    x = exact_draws(jax.random.key(14), 1)[0]
    step = jax.jit(lambda key, state: kernel.step(key, state))
    outcomes = set()
    for seed in range(8):
        key = jax.random.key(seed)
        state, transition = step(key, kernel.init(x))
        p = standard_normal(fold_in(key, 0), (4, 4))
        y, q = x, p
        for _ in range(3):
            q = q - 0.17 * ACTION.force(y)
            y = y + 0.34 * q
            q = q - 0.17 * ACTION.force(y)
        delta = ACTION(y) + 0.5 * jnp.sum(q**2) - ACTION(x) - 0.5 * jnp.sum(p**2)
        accepted = float(uniform(fold_in(key, 1))) < float(jnp.exp(-delta))
        outcomes.add(accepted)
        assert float(transition.log_ratio) == pytest.approx(-float(delta), abs=1e-12)
        assert float(transition.acceptance) == pytest.approx(min(1, np.exp(-float(delta))), abs=1e-12)
        assert bool(transition.accepted) is accepted
        np.testing.assert_allclose(state.x, y if accepted else x, atol=1e-13)
        assert float(state.action) == pytest.approx(float(ACTION(state.x)), rel=1e-13)
    assert outcomes == {True, False}
