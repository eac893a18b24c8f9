"""The column of the gradient flow: what the flow gives configuration by configuration, and t₀ from it."""

import jax
import jax.numpy as jnp
import numpy as np

from catalogue import gauge_space
from latflow.fields.gradient_flow import GradientFlow
from latflow.observables.base import measure
from latflow.observables.flowed import AlongTheFlow
from latflow.stats.flow_scale import flow_scale_estimates


def test_columns_are_those_of_single_flows_and_give_a_scale():
    space = gauge_space("U(1)", (4, 4))
    flow = GradientFlow(space)
    observable = AlongTheFlow(flow, spacing=0.2, n_records=8, tolerance=1e-7)
    keys = jax.random.split(jax.random.key(1), 12)
    x = jax.vmap(lambda k: space.move(space.cold(), 2.0 * space.momentum(k)))(keys)
    column = measure((observable,), np.asarray(x))["gradient_flow"]
    assert column.shape == (12, 3, 9)
    _, one = jax.jit(lambda x: flow.history(x, step_size=0.01, n_records=8, steps_per_record=20))(x[5])
    np.testing.assert_allclose(column[5], jnp.stack([one.plaquette_energy, one.clover_energy, one.charge]), atol=2e-6)
    np.testing.assert_allclose(observable.times, one.time, atol=1e-14)
    # smaller than in four dimensions: 0.01 is reached early
    found = flow_scale_estimates(np.asarray(observable.times), column[None, :, 1], level=0.01)
    assert 0 < found["t0"][0].value < 1.6
    assert found["t0"][0].exists
