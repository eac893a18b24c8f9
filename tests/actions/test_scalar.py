"""Scalar actions against a naive loop over sites and against the other normalisations in the literature."""

import itertools
import math

import jax
import numpy as np
import pytest

from latflow.actions.scalar import FreeField, PhiFour
from latflow.lattice import Lattice
from latflow.testing import agrees_with

SHAPES = [(5,), (2,), (3, 4), (2, 2), (1, 3), (2, 3, 2)]


def sites(shape):
    return itertools.product(*map(range, shape))


def neighbour(x, site, mu):
    moved = list(site)
    moved[mu] = (moved[mu] + 1) % x.shape[mu]
    return x[tuple(moved)]


def naive(x, *, kinetic, mass, quartic):
    """Σ_x [kinetic Σ_μ (φ_{x+μ} − φ_x)² + mass φ² + quartic φ⁴], one site after another in Python floats."""
    total = 0.0
    for site in sites(x.shape):
        phi = float(x[site])
        gradient = sum((float(neighbour(x, site, mu)) - phi) ** 2 for mu in range(x.ndim))
        total += kinetic * gradient + mass * phi**2 + quartic * phi**4
    return total


def naive_hopping(x, *, kappa, coupling):
    """Σ_x [−2κ Σ_μ φ_x φ_{x+μ} + (1 − 2λ) φ² + λ φ⁴]."""
    total = 0.0
    for site in sites(x.shape):
        phi = float(x[site])
        hops = sum(phi * float(neighbour(x, site, mu)) for mu in range(x.ndim))
        total += -2 * kappa * hops + (1 - 2 * coupling) * phi**2 + coupling * phi**4
    return total


def assert_agrees(action, reference):
    result = agrees_with(jax.random.key(61), action, reference)
    assert result.passed, result.line()


@pytest.mark.parametrize("shape", SHAPES)
def test_free_field(shape):
    action = FreeField(Lattice(shape), mass_squared=0.7)
    assert_agrees(action, lambda x: naive(x, kinetic=1, mass=0.7, quartic=0))


@pytest.mark.parametrize("shape", SHAPES)
def test_house_normalisation(shape):
    action = PhiFour(Lattice(shape), mass_squared=-4.0, coupling=6.975)
    assert_agrees(action, lambda x: naive(x, kinetic=1, mass=-4.0, quartic=6.975))


@pytest.mark.parametrize("shape", SHAPES)
def test_half_normalisation(shape):
    action = PhiFour.half(Lattice(shape), mu_squared=-1.3, g=0.8)
    assert_agrees(action, lambda x: naive(math.sqrt(2) * x, kinetic=0.5, mass=0.5 * -1.3, quartic=0.25 * 0.8))


@pytest.mark.parametrize("shape", SHAPES)
def test_factorial_normalisation(shape):
    action = PhiFour.factorial(Lattice(shape), mass_squared=-1.3, coupling=2.2)
    assert_agrees(action, lambda x: naive(math.sqrt(2) * x, kinetic=0.5, mass=0.5 * -1.3, quartic=2.2 / 24))


@pytest.mark.parametrize("shape", SHAPES)
def test_hopping_normalisation(shape):
    kappa, coupling = 0.23, 0.4
    action = PhiFour.hopping(Lattice(shape), kappa=kappa, coupling=coupling)
    assert_agrees(action, lambda x: naive_hopping(x / math.sqrt(kappa), kappa=kappa, coupling=coupling))


def test_couplings_are_differentiable():
    """dS/dλ = Σφ⁴: couplings are leaves, not constants of the program."""
    action = PhiFour(Lattice((3,)), mass_squared=-1.0, coupling=2.0)
    x = action.space.random(jax.random.key(62))
    slope = jax.grad(lambda action: action(x))(action)
    assert np.isclose(slope.coupling, np.sum(np.asarray(x) ** 4), rtol=1e-14)
    assert np.isclose(slope.mass_squared, np.sum(np.asarray(x) ** 2), rtol=1e-14)
