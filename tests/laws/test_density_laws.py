"""Distributions, flows and weighted samplers: claimed densities are the true ones (E4, E16)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv
from typing_extensions import override

from catalogue import DISTRIBUTIONS, LOG_WIDTHS, WEIGHTED, two_site_flow
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import GaugeSpace, ScalarSpace
from latflow.testing import (
    density_is_normalised,
    log_prob_is_sampled,
    uniform_numbers_give_the_density,
    weight_is_density_ratio,
    weights_average_to_z,
)


class Gaussian(AbstractDistribution):
    """A reference density that shares nothing with the package's own."""

    space: ScalarSpace
    width: float

    @override
    def sample_and_log_prob(self, key):
        x = self.width * jax.random.normal(key, self.space.shape)
        return x, self.log_prob(x)

    @override
    def log_prob(self, x):
        return jnp.sum(jax.scipy.stats.norm.logpdf(x, scale=self.width))


class MeanFree(AbstractDistribution):
    """A normal density of mean-free particles from the positions of all particles, without a basis.

    One of n free particles has the density of the relative positions times that of the mean, N(0, s²/n) in every
    direction; a step of all particles by one unit is √n long.
    """

    space: EuclideanSpace
    width: float

    @override
    def sample_and_log_prob(self, key):
        raise NotImplementedError

    @override
    def log_prob(self, x):
        d = self.space.shape[1]
        free = jnp.sum(jax.scipy.stats.norm.logpdf(x - jnp.mean(x, axis=0, keepdims=True), scale=self.width))
        return free - d * jax.scipy.stats.norm.logpdf(0.0, scale=self.width)


class Leaning(AbstractDistribution):
    r"""Independent links that lean to the unit element, $\prod e^{\kappa\,\mathrm{Re\,tr}\,U/N}$ over its integral."""

    space: GaugeSpace
    kappa: float = 0.3

    @override
    def sample_and_log_prob(self, key):
        raise NotImplementedError

    @override
    def log_prob(self, x):
        n, links = self.space.group.n, self.space.links(x)
        integral = {1: iv(0, self.kappa), 2: 2 * iv(1, self.kappa) / self.kappa}[n]
        leaning = self.kappa / n * jnp.real(jnp.trace(links, axis1=1, axis2=2))
        return jnp.sum(leaning - math.log(integral))


class Directed(AbstractDistribution):
    """Independent angles or unit vectors that lean to a direction, over their known integral."""

    space: TorusSpace | SphereSpace
    kappa: float = 0.3

    @override
    def sample_and_log_prob(self, key):
        raise NotImplementedError

    @override
    def log_prob(self, x):
        if isinstance(self.space, TorusSpace):
            return jnp.sum(self.kappa * jnp.cos(x - 1) - math.log(iv(0, self.kappa)))
        order = (self.space.dimension - 1) / 2
        integral = math.gamma(order + 1) * (2 / self.kappa) ** order * iv(order, self.kappa)
        return jnp.sum(self.kappa * x[-1] - math.log(integral))


def reference(name, q):
    """A density that shares nothing with the package's own, with tails no heavier than those of q."""
    if isinstance(q.space, GaugeSpace):
        return Leaning(q.space)
    if isinstance(q.space, TorusSpace | SphereSpace):
        return Directed(q.space)
    if isinstance(q.space, EuclideanSpace):
        return MeanFree(q.space, 0.8)
    return Gaussian(q.space, math.exp(LOG_WIDTHS.get(name, -0.3)))


CASES = {name: functools.cache(make) for name, make in WEIGHTED.items()}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_log_prob_is_sampled(name):
    result = log_prob_is_sampled(jax.random.key(41), DISTRIBUTIONS[name]())
    assert result.passed, result.line()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_density_is_normalised(name):
    """Sees a density off by 5 standard errors, at most 10 %; the exact statement is the Jacobian law."""
    q = DISTRIBUTIONS[name]()
    result = density_is_normalised(jax.random.key(42), q, reference(name, q))
    assert result.passed, result.line()


OF_THE_PRIOR = {
    "u1 plaquettes",
    "loops of U(1)",
    "couplings of U(1) links",
    "multiscale flow of U(1) links",
    "sums of spins",
    "pairs of particles",
}
"""Flows that take draws of the prior as they are, or as a map that keeps the Haar measure and has tests of its
own, `fields/test_plaquette_angles.py`: slow ones are not tested again."""


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_uniform_numbers_give_the_density(name):
    q = DISTRIBUTIONS[name]()
    if name in OF_THE_PRIOR:
        assert q.n_uniforms == q.prior.n_uniforms == q.space.dof
        return
    result = uniform_numbers_give_the_density(jax.random.key(45), q, reference(name, q), n=10_000, max_error=0.035)
    assert result.passed, result.line()


def test_a_density_without_a_map_of_uniform_numbers_refuses():
    q = Gaussian(ScalarSpace((2, 2)), 1.0)
    assert q.n_uniforms == 0
    with pytest.raises(ConfigError, match="no map of uniform numbers"):
        q.of_uniforms(jnp.zeros(0))


def test_two_site_density_integrates_to_one():
    """Quadrature of exp(log_prob) over the plane, for a flow whose two sites are coupled both ways."""
    flow = two_site_flow()
    x = np.linspace(-32.0, 32.0, 1001)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    total = np.exp(np.asarray(jax.jit(jax.vmap(flow.log_prob))(grid))).sum() * (x[1] - x[0]) ** 2
    assert abs(total - 1) < 1e-9


@pytest.mark.parametrize("name", CASES)
def test_weight_is_density_ratio(name):
    case = CASES[name]()
    result = weight_is_density_ratio(jax.random.key(43), case.sampler, case.density, case.action)
    assert result.passed, result.line()


@pytest.mark.parametrize("name", CASES)
def test_weights_average_to_z(name):
    """log Z within 5σ of the exact value, and σ ≤ 1e-3."""
    case = CASES[name]()
    result = weights_average_to_z(jax.random.key(44), case.sampler, log_z=case.log_z, n=case.n)
    assert result.passed, result.line()
