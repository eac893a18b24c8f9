"""The improved clover: covariance, weak waves by their derivative, and the charge of a known flux."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.fields.field_strength import IMPROVED, PLAIN, charge, clover
from latflow.fields.gauge_symmetry import LinkReflection, random_gauge_transformation
from latflow.fields.spaces import GaugeSpace
from latflow.groups import named
from latflow.lattice import Lattice


def space_of(group, shape):
    return GaugeSpace(Lattice(shape), named(group))


@functools.cache
def charge_of(space, loops):
    return jax.jit(lambda x: charge(space, x, loops=loops))


def test_weights_leave_one_power_of_three():
    """Loops of n links a side see n² F with corrections in n⁴ and n⁶."""
    n = np.arange(1, 4)
    for power, expected in ((2, 1.0), (4, 0.0), (6, 0.0)):
        assert float(np.dot(IMPROVED, n**power)) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(("loops", "error"), [(PLAIN, 0.05), (IMPROVED, 0.001)])
def test_a_weak_wave(loops, error):
    """A_1 = ε sin k x_0 has F = ε k cos k x_0; squares of n links see n sin(nk) in place of n² k."""
    space, k, small = space_of("U(1)", (12, 4)), 2 * np.pi / 12, 1e-5
    phase = k * np.arange(12)[:, None] * np.ones(4)
    x = jnp.stack([jnp.zeros((12, 4)), jnp.asarray(small * np.sin(phase))])
    found = np.asarray(clover(space, x, mu=0, nu=1, loops=loops)) / small
    seen = sum(w * n * np.sin(n * k) for n, w in enumerate(loops, start=1))
    np.testing.assert_allclose(found, seen * np.cos(phase), atol=1e-8)
    assert abs(seen / k - 1) < error


def test_constant_fluxes_carry_two_units_of_charge():
    """One quantum of flux of σ₃ in the planes (0, 1) and (2, 3): Q = 2, and closer to it with larger loops."""
    extent = 8
    space, flux = space_of("SU(2)", (extent,) * 4), 2 * np.pi / extent**2
    grid, theta = np.indices((extent,) * 4), np.zeros((4, *(extent,) * 4))
    for mu, nu in ((0, 1), (2, 3)):
        theta[nu] = flux * grid[mu]
        theta[mu] = np.where(grid[mu] == extent - 1, -2 * np.pi / extent * grid[nu], 0.0)
    zero = np.zeros_like(theta)
    x = jnp.asarray(np.moveaxis(np.array([[np.exp(1j * theta), zero], [zero, np.exp(-1j * theta)]]), 2, 0))
    deviations = {}
    for loops in (PLAIN, IMPROVED):
        seen = sum(w * np.sin(n**2 * flux) for n, w in enumerate(loops, start=1)) / flux
        found = float(charge_of(space, loops)(x))
        assert found == pytest.approx(2 * seen**2, abs=1e-10)
        deviations[loops] = abs(found - 2)
    assert 0.006 < deviations[PLAIN] < 0.007
    assert deviations[IMPROVED] < 0.0016


def test_the_improved_charge_is_invariant_and_odd():
    space = space_of("SU(2)", (4, 3, 3, 3))
    q = charge_of(space, IMPROVED)
    x = space.random(jax.random.key(1))
    assert abs(float(q(x))) > 1e-2
    for g, sign in (
        (random_gauge_transformation(jax.random.key(2), space), 1),
        (LinkReflection(space.group, 0), -1),
        (LinkReflection(space.group, 3), -1),
    ):
        assert float(q(g(x))) == pytest.approx(sign * float(q(x)), abs=1e-12)
    assert float(q(space.cold())) == 0
