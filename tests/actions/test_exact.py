"""The closed forms against tabulated digits, against each other and against brute force."""

import functools

import jax
import numpy as np
import pytest

from latflow.actions import exact
from latflow.actions.scalar import FreeField, PhiFour
from latflow.lattice import Lattice

L8 = Lattice((8, 8))


def test_free_field_digits():
    assert round(exact.free_log_z(L8, mass_squared=1.0), 8) == -11.62288526
    assert round(exact.free_phi_squared(L8, mass_squared=1.0), 8) == 0.12708700
    assert exact.free_susceptibility(mass_squared=1.0) == 0.5


@pytest.mark.parametrize(
    ("coupling", "values"),
    [
        (8.0, {"log_z": 0.91443398, "phi_squared": 0.17143442, "neighbour": 0.09967834, "diagonal": 0.07969055}),
        (8.0, {"susceptibility": 0.45048164}),
        (6.975, {"log_z": 1.17318471, "phi_squared": 0.19562621, "susceptibility": 0.54420963}),
    ],
)
def test_two_by_two_digits(coupling, values):
    ring = exact.phi_four_2x2(mass_squared=-4.0, coupling=coupling)
    assert {name: round(getattr(ring, name), 8) for name in values} == values


def test_one_site_digits():
    site = exact.one_site(quadratic=0.0, quartic=8.0)
    assert round(np.exp(site.log_z), 8) == 1.07790027
    assert round(site.phi_squared, 8) == 0.11949720


def test_one_site_virial_theorem():
    """⟨x dv/dx⟩ = 1 for any weight e^{−v}."""
    for quadratic, quartic in [(-6.0, 1.5), (2.0, 0.0), (0.3, 40.0)]:
        site = exact.one_site(quadratic=quadratic, quartic=quartic)
        assert abs(2 * quadratic * site.phi_squared + 4 * quartic * site.phi_fourth - 1) < 1e-11


@pytest.mark.parametrize("extent", [2, 3, 6])
def test_chain_without_coupling_is_the_free_field(extent):
    """Transfer matrix and momentum space share no line of code."""
    ring = exact.phi_four_chain(extent, mass_squared=0.7, coupling=0.0)
    lattice = Lattice((extent,))
    assert abs(ring.log_z - exact.free_log_z(lattice, mass_squared=0.7)) < 1e-11
    assert np.allclose(ring.two_point, exact.free_propagator(lattice, mass_squared=0.7), rtol=0, atol=1e-13)


def test_two_by_two_without_coupling_is_the_free_field():
    lattice = Lattice((2, 2))
    ring = exact.phi_four_2x2(mass_squared=0.7, coupling=0.0)
    g = exact.free_propagator(lattice, mass_squared=0.7)
    assert abs(ring.log_z - exact.free_log_z(lattice, mass_squared=0.7)) < 1e-11
    assert np.allclose([ring.phi_squared, ring.neighbour, ring.diagonal], [g[0, 0], g[0, 1], g[1, 1]], atol=1e-13)


@functools.cache
def brute_force(shape, coupling):
    """log Z, ⟨φ²⟩ and ⟨φ_0φ_1⟩ by a plain sum over a grid in three variables, through the action itself."""
    action = PhiFour(Lattice(shape), mass_squared=-1.0, coupling=coupling)
    axis = np.linspace(-3.0, 3.0, 61)
    grid = np.stack(np.meshgrid(*[axis] * 3, indexing="ij"), axis=-1).reshape(-1, *shape)
    weight = np.exp(-np.asarray(jax.jit(jax.vmap(action))(grid)))
    flat = grid.reshape(len(grid), -1)
    z = weight.sum()
    log_z = np.log(z * (axis[1] - axis[0]) ** 3)
    return log_z, weight @ flat[:, 0] ** 2 / z, weight @ (flat[:, 0] * flat[:, 1]) / z


def test_chain_against_brute_force():
    ring = exact.phi_four_chain(3, mass_squared=-1.0, coupling=2.0)
    assert np.allclose([ring.log_z, ring.phi_squared, ring.neighbour], brute_force((3,), 2.0), rtol=1e-9)


def test_propagator_inverts_the_action():
    """The Hessian of S is the inverse of the propagator: force(G) = δ at the origin."""
    lattice = Lattice((3, 4))
    g = exact.free_propagator(lattice, mass_squared=0.4)
    source = np.asarray(FreeField(lattice, mass_squared=0.4).force(jax.numpy.asarray(g)))
    delta = np.zeros((3, 4))
    delta[0, 0] = 1
    assert np.allclose(source, delta, rtol=0, atol=1e-14)


def test_zero_momentum_correlator_decays_with_the_pole_mass():
    lattice, mass_squared = Lattice((4, 9)), 0.6
    correlator = exact.free_propagator(lattice, mass_squared=mass_squared).sum(axis=0)
    cosh = (correlator[2:] + correlator[:-2]) / (2 * correlator[1:-1])
    assert np.allclose(np.arccosh(cosh), exact.free_pole_mass(mass_squared=mass_squared), rtol=1e-10)


def test_free_draws_have_the_exact_covariance():
    """All products with the origin within 5σ after the look-elsewhere effect; sees 4 % of ⟨φ²⟩ at n = 20000."""
    lattice, n = Lattice((3, 4)), 20_000
    keys = jax.random.split(jax.random.key(71), n)
    draws = np.asarray(jax.jit(jax.vmap(lambda k: exact.draw_free_field(k, lattice, mass_squared=0.4)))(keys))
    products = (draws[:, :1, :1] * draws).reshape(n, -1)
    expected = exact.free_propagator(lattice, mass_squared=0.4).ravel()
    z = (products.mean(axis=0) - expected) / (products.std(axis=0) / np.sqrt(n))
    assert np.max(np.abs(z)) < np.sqrt(25 + 2 * np.log(expected.size))


@pytest.mark.parametrize("call", [exact.free_log_z, exact.free_propagator, exact.free_phi_squared])
def test_massless_free_field_is_refused(call):
    with pytest.raises(exact.DivergentWeightError, match="mass_squared"):
        call(L8, mass_squared=0.0)


def test_unconfined_weights_are_refused():
    for quadratic, quartic in [(-1.0, 0.0), (1.0, -0.1)]:
        with pytest.raises(exact.DivergentWeightError):
            exact.one_site(quadratic=quadratic, quartic=quartic)
    with pytest.raises(exact.DivergentWeightError):
        exact.phi_four_2x2(mass_squared=-0.5, coupling=0.0)
