"""Gradients through a flow made for draws: by the adjoint equation, with the error of the scheme and no other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.base import AbstractBijection
from latflow.bijections.ode.runge_kutta import DOP853, RK4
from latflow.flows.continuous import continuous_flow, of_draws, with_integrator

KEY = jax.random.key(5)
LATTICE = lf.Lattice((3, 2))


@pytest.fixture(scope="module")
def flow():
    made = continuous_flow(KEY, LATTICE, mass_squared=0.8, n_contexts=1, n_features=2, n_hidden=2, n_times=2, radius=1)
    return eqx.tree_at(lambda made: made.bijection.velocity.weight, made, replace_fn=lambda w: w + 0.2)


@pytest.fixture(scope="module")
def images():
    keys = jax.random.split(KEY, 2)
    return tuple(jax.random.normal(key, (3, *LATTICE.shape)) for key in keys)


@eqx.filter_jit
def pulled_back(bijection, y, force):
    return jax.vmap(bijection.pulled_back)(y, force)


def test_a_gradient_by_the_adjoint_equation_is_that_of_the_forward_map(flow, images):
    """Reverse differentiation of the same flow, with many steps."""
    fine = with_integrator(flow, DOP853, 6).bijection
    x, gradient = eqx.filter_jit(
        lambda y, force: jax.vmap(lambda *of: AbstractBijection.pulled_back(fine, *of))(y, force)
    )(*images)
    found, of_adjoint = pulled_back(of_draws(flow, DOP853, 6).bijection, *images)
    np.testing.assert_allclose(found, x, atol=1e-9)
    np.testing.assert_allclose(of_adjoint, gradient, atol=1e-8)
    assert np.max(np.abs(gradient - images[1])) > 0.05


def test_its_error_falls_with_the_order_of_the_scheme(flow, images):
    exact = pulled_back(of_draws(flow, DOP853, 6).bijection, *images)[1]
    errors = [np.max(np.abs(pulled_back(of_draws(flow, RK4, n).bijection, *images)[1] - exact)) for n in (4, 8)]
    assert 8 < errors[0] / errors[1] < 40


def test_one_is_that_of_a_batch_and_one_force_serves_many(flow, images):
    bijection = of_draws(flow, RK4, 2).bijection
    y, force = images
    alone = bijection.pulled_back(y[1], force[1])
    for one, many in zip(alone, pulled_back(bijection, y, force), strict=True):
        np.testing.assert_allclose(one, many[1], atol=1e-13)
    shared = jax.vmap(bijection.pulled_back, (0, None))(y, force[1])[1]
    np.testing.assert_allclose(shared[1], alone[1], atol=1e-13)
    assert jnp.ndim(shared) == 3
