"""Distributions, flows and weighted samplers: claimed densities are the true ones (E4, E16)."""

import functools

import jax
import numpy as np
import pytest

from catalogue import DISTRIBUTIONS, LOG_WIDTHS, WEIGHTED, two_site_flow
from latflow.bijections.elementwise import Scale
from latflow.distributions import Normal
from latflow.flows.flow import Flow
from latflow.testing import density_is_normalised, log_prob_is_sampled, weight_is_density_ratio, weights_average_to_z

CASES = {name: functools.cache(make) for name, make in WEIGHTED.items()}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_log_prob_is_sampled(name):
    result = log_prob_is_sampled(jax.random.key(41), DISTRIBUTIONS[name]())
    assert result.passed, result.line()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_density_is_normalised(name):
    """Sees a density off by 5 standard errors, at most 10 %; the exact statement is the Jacobian law."""
    q = DISTRIBUTIONS[name]()
    reference = Flow(Normal(q.shape), Scale(LOG_WIDTHS.get(name, -0.3)))
    result = density_is_normalised(jax.random.key(42), q, reference)
    assert result.passed, result.line()


def test_two_site_density_integrates_to_one():
    """Quadrature of exp(log_prob) over the plane, for a flow whose two sites are coupled both ways."""
    flow = two_site_flow()
    x = np.linspace(-16.0, 16.0, 501)
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
