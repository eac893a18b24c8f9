"""Autoregressive flows: what the laws leave open."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.directional import CorrelatedAngles, TurnedSphere
from latflow.bijections.rational import BEND
from latflow.bijections.unit_maps import LEAST_BIN
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.product import ProductSpace
from latflow.fields.spaces import ScalarSpace
from latflow.flows.autoregressive import autoregressive_flow, likely_windings
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
    bijection = autoregressive_flow(KEY, TorusSpace((1,)), bins=4).bijection
    wild = jnp.concatenate([jnp.zeros(8), 1e3 * jnp.asarray([1.0, -1, 1, 1])])
    loud = eqx.tree_at(lambda each: each.networks[0].biases[-1], bijection, wild)
    x = jnp.linspace(-np.pi, np.pi, 401)[1:, None]
    _, slopes = jax.jit(jax.vmap(loud.forward_and_log_det))(x)
    assert np.abs(slopes).max() <= 2 * BEND + 1e-9


def test_windings():
    """Of correlated angles and of a sphere that turns."""
    pulled = CorrelatedAngles(concentration=3.0)
    assert likely_windings(KEY, pulled) == ((), (-1,))
    assert likely_windings(KEY, TurnedSphere(concentration=10.0)) == ((), (1,), (0, 0), (-1, 0, 0))
    flow = autoregressive_flow(KEY, pulled.space, bins=4, windings=((), (-1,)))
    x = jnp.asarray([0.4, 2.0])
    # the second one is counted from minus the first one, on the circle whose zero is π
    image, log_det = flow.bijection.forward_and_log_det(x)
    np.testing.assert_allclose(image, [0.4, 2.0 - 0.4 + np.pi - 2 * np.pi], rtol=0, atol=1e-14)
    assert abs(log_det) < 1e-14


def test_bad_windings():
    make = functools.partial(autoregressive_flow, KEY, TorusSpace((2,)))
    with pytest.raises(ConfigError, match=r"rows of \[1, 0\]; allowed: 2 rows of 0, 1, … factors"):
        make(windings=((1,), ()))
    with pytest.raises(ConfigError, match="1 in row 1, place 0; allowed: 0, for coordinate 0 is no circle"):
        autoregressive_flow(KEY, SphereSpace(2), windings=((), (1,)))
    with pytest.raises(ConfigError, match="circle_map: spiral; allowed: spline"):
        make(circle_map="spiral")


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
