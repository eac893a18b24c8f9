"""The log-det of a map of few steps is that of its Jacobian, which automatic differentiation gives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from catalogue import scrambled
from latflow.bijections.ode.discrete import discrete_log_dets
from latflow.bijections.ode.runge_kutta import RK4
from latflow.flows.continuous import continuous_flow, of_draws, with_integrator
from latflow.lattice import Lattice

SHAPE = (3, 4)


def test_it_is_the_determinant_of_the_map() -> None:
    sizes = {"n_contexts": 2, "n_features": 3, "n_hidden": 3, "n_times": 2, "radius": 2, "dtype": "float64"}
    flow = scrambled(jax.random.key(4), continuous_flow(jax.random.key(3), Lattice(SHAPE), **sizes), scale=0.4)
    x = jax.random.normal(jax.random.key(5), (2, *SHAPE))
    plain = with_integrator(flow, RK4, 2).bijection

    def moved(x: jax.Array) -> jax.Array:
        return plain.forward_and_log_det(x.reshape(SHAPE))[0].ravel()

    flat = x.reshape(2, -1)
    expected = jnp.linalg.slogdet(eqx.filter_jit(jax.vmap(jax.jacfwd(moved)))(flat))[1]
    found = jax.jit(discrete_log_dets)(of_draws(flow.bijection, RK4, 2), flat)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # The integral of the divergence is another number.
    reported = jax.vmap(plain.forward_and_log_det)(x)[1]
    assert np.min(np.abs(reported - expected)) > 1e-7
