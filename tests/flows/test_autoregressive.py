"""Autoregressive flows: what the laws leave open."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.autoregression import BEND, LEAST_BIN
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.product import ProductSpace
from latflow.fields.spaces import ScalarSpace
from latflow.flows.autoregressive import autoregressive_flow
from latflow.testing.bijections import scrambled

KEY = jax.random.key(0)


def test_an_untrained_flow_is_uniform():
    space = ProductSpace({"angles": TorusSpace((2,)), "vector": SphereSpace(2)})

    @eqx.filter_jit
    def drawn(flow):
        x, log_q = flow.sample_and_log_prob(jax.random.key(1))
        prior, _ = flow.prior.sample_and_log_prob(jax.random.key(1))
        return log_q, space.distance(x, prior), flow.log_prob(x)

    flow = autoregressive_flow(KEY, space, bins=4, hidden=(6,))
    log_q, distance, _ = drawn(flow)
    assert abs(log_q) < 1e-12
    assert distance < 1e-12
    log_q, distance, again = drawn(scrambled(KEY, flow))
    assert abs(log_q) > 1e-3
    assert distance > 1e-3
    assert abs(again - log_q) < 1e-12


def test_slopes_are_bounded():
    """However large the numbers of the network are, the density at a knot is within e of those of its bins."""
    flow = autoregressive_flow(KEY, TorusSpace((1,)), bins=4)
    network = flow.bijection.networks[0]
    wild = jnp.concatenate([jnp.zeros(8), 1e3 * jnp.asarray([1.0, -1, 1, 1])])
    loud = flow.bijection.__class__(
        flow.bijection.space, flow.bijection.features, (type(network)(network.weights, (wild,)),), 4
    )
    x = jnp.linspace(-np.pi, np.pi, 401)[1:, None]
    _, slopes = jax.jit(jax.vmap(loud.forward_and_log_det))(x)
    assert np.abs(slopes).max() <= 2 * BEND + 1e-9


def test_bad_input():
    with pytest.raises(ConfigError, match="uniform coordinates"):
        autoregressive_flow(KEY, ScalarSpace((2,)))
    with pytest.raises(ConfigError, match="uniform coordinates"):
        autoregressive_flow(KEY, SphereSpace(4))
    with pytest.raises(ConfigError, match="65 coordinates; allowed: at most 64"):
        autoregressive_flow(KEY, TorusSpace((65,)))
    with pytest.raises(ConfigError, match="bins: 1; allowed: at least 2"):
        autoregressive_flow(KEY, TorusSpace((2,)), bins=1)
    with pytest.raises(ConfigError, match=f"flow.bins: 1000; allowed: at least 2, less than {1 / LEAST_BIN:g}"):
        autoregressive_flow(KEY, TorusSpace((2,)), bins=1000)
