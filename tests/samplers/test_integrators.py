"""The tables, and the engine against motion that is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.scalar import FreeField, PhiFour
from latflow.lattice import Lattice
from latflow.samplers.integrators import SCHEMES, integrate

FREE = FreeField(Lattice((4,)), mass_squared=0.8)
STEPS = (10, 14, 20, 28, 40)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_table(scheme):
    """Consistent, palindromic (hence reversible), one kick more than drifts."""
    assert len(scheme.kicks) == len(scheme.drifts) + 1
    assert sum(scheme.kicks) == pytest.approx(1, abs=1e-15)
    assert sum(scheme.drifts) == pytest.approx(1, abs=1e-15)
    assert scheme.kicks == pytest.approx(scheme.kicks[::-1], abs=0)
    assert scheme.drifts == pytest.approx(scheme.drifts[::-1], abs=0)


def exact_motion(x, p, time):
    """Normal modes of the free field oscillate with frequency sqrt(2 (k² + m²))."""
    omega = np.sqrt(2 * (Lattice((4,)).momentum_squared() + 0.8))
    a, b = np.fft.fft(x), np.fft.fft(p)
    y = a * np.cos(omega * time) + b * np.sin(omega * time) / omega
    q = b * np.cos(omega * time) - a * omega * np.sin(omega * time)
    return np.fft.ifft(y).real, np.fft.ifft(q).real


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_order_of_the_trajectory(scheme):
    """E6: the distance from the exact end point, not only the energy, falls like step_size**order."""
    x, p = np.random.default_rng(0).normal(size=(2, 4))
    errors = []
    for n in STEPS:
        y, q, _ = jax.jit(lambda x, p, n=n: integrate(FREE, scheme, x, p, step_size=jnp.asarray(1 / n), n_steps=n))(
            x, p
        )
        errors.append(np.max(np.abs(np.concatenate([y, q]) - np.concatenate(exact_motion(x, p, 1.0)))))
    slope = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
    assert slope == pytest.approx(scheme.order, abs={2: 0.05, 4: 0.1}[scheme.order])


def test_returns_the_action_of_the_end_point():
    action = PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)
    x, p = 0.3 * np.random.default_rng(1).normal(size=(2, 4, 4))
    y, _, value = integrate(
        action, SCHEMES["leapfrog"], jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(0.1), n_steps=3
    )
    assert float(value) == pytest.approx(float(action(y)), rel=1e-14)


def test_one_leapfrog_step_by_hand():
    x, p = np.random.default_rng(2).normal(size=(2, 4))
    y, q, _ = integrate(
        FREE, SCHEMES["leapfrog"], jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(0.2), n_steps=1
    )

    def force(x):
        return 2 * (2 + 0.8) * x - 2 * (np.roll(x, 1) + np.roll(x, -1))

    half = p - 0.1 * force(x)
    end = x + 0.2 * half
    np.testing.assert_allclose(y, end, rtol=1e-14)
    np.testing.assert_allclose(q, half - 0.1 * force(end), rtol=1e-13)
