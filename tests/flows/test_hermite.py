"""Hermite variates: means exactly zero, of the modes that draws are made of."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.elementwise import Scale
from latflow.distributions import FreeFieldPrior
from latflow.flows.hermite import hermite_variates, variates_of_keys, variates_of_points, without_tails
from latflow.fourier import to_momentum


def _by_quadrature(shape, nodes):
    """Means and sizes of all variates by Gauss–Hermite quadrature over all modes."""
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    n = int(np.prod(shape))
    modes = np.array(list(itertools.product(x, repeat=n)))
    p = np.prod(list(itertools.product(weight / weight.sum(), repeat=n)), axis=1)
    lattice = lf.Lattice(shape)
    found = np.asarray(
        jax.jit(jax.vmap(lambda z: hermite_variates(z, lattice)))(jnp.asarray(modes.reshape(-1, *shape)))
    )
    return p @ found, np.sqrt(p @ found**2)


@pytest.mark.parametrize("shape", [(3,), (2, 2)], ids=str)
def test_means_are_zero_exactly(shape):
    """Twenty nodes are enough for products of two waves; a variate is of order 1."""
    mean, size = _by_quadrature(shape, 20)
    assert np.max(np.abs(mean)) < 1e-12
    assert np.all((size > 0.02) & (size < 50))


def test_means_of_polynomials_are_zero_on_a_lattice_of_two_extents():
    """Five nodes are exact up to degree 9 in every mode, and no polynomial has more than 6. Waves are bounded by 2."""
    shape, few = (2, 3), 5
    mean, _ = _by_quadrature(shape, few)
    z = 10.0 * jax.random.normal(jax.random.key(1), (64, *shape))
    largest = np.max(np.abs(jax.vmap(lambda z: hermite_variates(z, lf.Lattice(shape)))(z)), axis=0)
    polynomial = largest > 2 * len(shape)
    assert 20 < polynomial.sum() < len(mean) - 20
    assert np.max(np.abs(mean[polynomial])) < 1e-12


def test_modes_are_those_of_the_draw():
    lattice, key = lf.Lattice((4, 4)), jax.random.key(3)
    prior = FreeFieldPrior.of_mass(lattice, mass_squared=0.6)
    for flow in (lf.Normal((4, 4)), prior, lf.Flow(prior, Scale()), lf.Z2Mixture(lf.Flow(prior, Scale()))):
        x = flow.sample_and_log_prob(key)[0]
        widths = 1.0 if isinstance(flow, lf.Normal) else np.exp(prior._log_widths())
        found = widths * flow.modes(key)
        np.testing.assert_allclose(np.abs(to_momentum(x, lattice)), np.abs(found), atol=1e-12)
        u = jax.random.uniform(key, (flow.n_uniforms,))
        x = flow.of_uniforms(u)[0]
        np.testing.assert_allclose(
            np.abs(to_momentum(x, lattice)), np.abs(widths * flow.modes_of_uniforms(u)), atol=1e-12
        )


def test_variates_of_draws_by_their_numbers():
    lattice, key, flow = lf.Lattice((2, 2)), jax.random.key(4), lf.Normal((2, 2))
    found = variates_of_keys(flow, lattice, key, first=3, n=2)
    kept = without_tails(lattice)
    one = hermite_variates(flow.modes(jax.random.fold_in(key, 4)), lattice)[kept]
    np.testing.assert_allclose(found[1], one, rtol=1e-12, atol=1e-14)
    u = np.full((1, 4), 0.3)
    of_point = hermite_variates(flow.modes_of_uniforms(jnp.asarray(u[0])), lattice)
    np.testing.assert_allclose(variates_of_points(flow, lattice, u)[0], of_point[kept], rtol=1e-12, atol=1e-14)


def test_no_variate_has_a_long_tail():
    """He₂ of the zero mode, of kurtosis 15, comes first. Where that mode is 6σ He₄ is 221 and He₆ of fields 14 000."""
    lattice, flow, u = lf.Lattice((4, 4)), lf.Normal((4, 4)), np.full((1, 16), 0.3)
    kept = without_tails(lattice)
    far = np.abs(hermite_variates(jnp.zeros((4, 4)).at[0, 0].set(6.0), lattice))
    assert kept[0] == 0
    assert np.max(far[kept]) < 150 < np.sort(far)[-8]
    assert variates_of_points(flow, lattice, u).shape == (1, len(kept))
    assert variates_of_keys(flow, lattice, jax.random.key(1), first=0, n=1).shape == (1, len(kept))


def test_more_draws_than_are_made_at_once():
    """1000 draws are not a whole number of the parts in which they are made."""
    lattice, key, flow = lf.Lattice((2, 2)), jax.random.key(4), lf.Normal((2, 2))
    found = variates_of_keys(flow, lattice, key, first=0, n=1000)
    assert found.shape[0] == 1000
    for i in (0, 700, 999):
        one = hermite_variates(flow.modes(jax.random.fold_in(key, i)), lattice)[without_tails(lattice)]
        np.testing.assert_allclose(found[i], one, rtol=1e-12, atol=1e-14)


def test_links_have_no_modes():
    flow = lf.HaarPrior(lf.GaugeSpace(lf.Lattice((2, 2)), lf.SU(2)))
    assert not flow.has_modes
    with pytest.raises(lf.LatflowError, match="HaarPrior is not made of them"):
        flow.modes(jax.random.key(1))
    with pytest.raises(lf.LatflowError, match="HaarPrior is not made of them"):
        flow.modes_of_uniforms(jnp.zeros(0))
