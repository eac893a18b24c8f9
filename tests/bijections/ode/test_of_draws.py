"""Gradients through a flow made for draws: by the adjoint equation, with the error of the scheme and no other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.ode.runge_kutta import RK4
from latflow.flows.continuous import continuous_flow, of_draws

KEY = jax.random.key(5)
LATTICE = lf.Lattice((2, 2))
STEPS = (2, 4, 32)


@pytest.fixture(scope="module")
def flow():
    made = continuous_flow(KEY, LATTICE, mass_squared=0.8, n_contexts=1, n_features=2, n_hidden=2, n_times=2, radius=1)
    return eqx.tree_at(lambda made: made.bijection.velocity.weight, made, replace_fn=lambda w: w + 0.2)


@eqx.filter_jit
def pulled_back(bijection, y, force):
    return jax.vmap(bijection.pulled_back)(y, force)


@eqx.filter_jit
def along(bijection, x, direction, force):
    """The derivative along a direction of force · y − log-det."""

    def energies(x):
        y, log_det = jax.vmap(bijection.forward_and_log_det)(x)
        return jnp.sum(force * y, axis=(1, 2)) - log_det

    return jax.jvp(energies, (x,), (direction,))[1]


def test_a_gradient_by_the_adjoint_equation_is_that_of_the_forward_map(flow):
    """Against forward differentiation with many steps; the error of few falls with the order of the scheme, four."""
    y, force, direction = (jax.random.normal(key, (3, *LATTICE.shape)) for key in jax.random.split(KEY, 3))
    found = {n: pulled_back(of_draws(flow, RK4, n).bijection, y, force) for n in STEPS}
    x, gradient = found[STEPS[-1]]
    expected = along(of_draws(flow, RK4, STEPS[-1]).bijection, x, direction, force)
    np.testing.assert_allclose(jnp.sum(gradient * direction, axis=(1, 2)), expected, atol=1e-6)
    assert np.max(np.abs(gradient - force)) > 0.05
    errors = [np.max(np.abs(found[n][1] - gradient)) for n in STEPS[:2]]
    assert errors[1] > 1e-7
    assert 8 < errors[0] / errors[1] < 40
    # one force for many
    few = of_draws(flow, RK4, 2).bijection
    shared = jax.vmap(few.pulled_back, (0, None))(y, force[1])[1]
    np.testing.assert_allclose(shared[1], found[2][1][1], atol=1e-13)
