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

NODES = 5
"""Of Gauss–Hermite quadrature: exact up to degree 9 in every mode, and no variate has more than 6."""


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 3)], ids=str)
def test_means_are_zero_exactly(shape):
    """By quadrature over all modes; a variate is of order 1."""
    x, weight = np.polynomial.hermite_e.hermegauss(NODES)
    n = int(np.prod(shape))
    modes = np.array(list(itertools.product(x, repeat=n)))
    p = np.prod(list(itertools.product(weight / weight.sum(), repeat=n)), axis=1)
    lattice = lf.Lattice(shape)
    of_each = jax.jit(jax.vmap(lambda z: hermite_variates(z, lattice)))
    found = np.asarray(of_each(jnp.asarray(modes.reshape(-1, *shape))))
    assert np.max(np.abs(p @ found)) < 1e-12
    size = np.sqrt(p @ found**2)
    assert np.all((size > 0.05) & (size < 50))


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
    one = hermite_variates(flow.modes(jax.random.fold_in(key, 4)), lattice)
    np.testing.assert_allclose(found[1], one, rtol=1e-12, atol=1e-14)
    u = np.full((1, 4), 0.3)
    of_point = hermite_variates(flow.modes_of_uniforms(jnp.asarray(u[0])), lattice)
    kept = of_point[without_tails(lattice)]
    np.testing.assert_allclose(variates_of_points(flow, lattice, u)[0], kept, rtol=1e-12, atol=1e-14)


def test_points_have_no_polynomials_with_long_tails():
    """He₂ of the zero mode comes first, of kurtosis 15, then He₄ and He₆, of 644 and 35 000; no points decide."""
    lattice, flow, u = lf.Lattice((2, 2)), lf.Normal((2, 2)), np.array([[0.04, 0.3, 0.8, 0.6]])
    kept = without_tails(lattice)
    assert kept[0] == 0
    assert not {1, 2} & set(kept.tolist())
    assert not {1, 2} & set(without_tails(lf.Lattice((6, 6))).tolist())
    assert variates_of_points(flow, lattice, u).shape == (1, len(kept))
    assert len(kept) < len(hermite_variates(jnp.ones((2, 2)), lattice))


def test_more_draws_than_are_made_at_once():
    """1000 draws are not a whole number of the parts in which they are made."""
    lattice, key, flow = lf.Lattice((2, 2)), jax.random.key(4), lf.Normal((2, 2))
    found = variates_of_keys(flow, lattice, key, first=0, n=1000)
    assert found.shape[0] == 1000
    for i in (0, 700, 999):
        one = hermite_variates(flow.modes(jax.random.fold_in(key, i)), lattice)
        np.testing.assert_allclose(found[i], one, rtol=1e-12, atol=1e-14)


def test_links_have_no_modes():
    flow = lf.HaarPrior(lf.GaugeSpace(lf.Lattice((2, 2)), lf.SU(2)))
    assert not flow.has_modes
    with pytest.raises(lf.LatflowError, match="HaarPrior is not made of them"):
        flow.modes(jax.random.key(1))
    with pytest.raises(lf.LatflowError, match="HaarPrior is not made of them"):
        flow.modes_of_uniforms(jnp.zeros(0))
