"""Exponential-map sums: the radial map in closed form, poles and antipodes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.sphere_maps import ExponentialMapSum
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace

ALPHA, BETA = 0.8, 1.7


@pytest.mark.parametrize("dimension", [2, 3])
def test_one_term_is_a_radial_map(dimension):
    r"""$\vartheta\to\vartheta-\alpha e^{\beta(\cos\vartheta-1)}\sin\vartheta$, and its log-det with the measure."""
    space = SphereSpace(dimension)
    mu = np.zeros(dimension + 1)
    mu[1] = 1.0
    made = ExponentialMapSum(
        space, jnp.log(jnp.asarray([ALPHA, 1 - ALPHA])), jnp.log(jnp.asarray([BETA])), jnp.asarray(mu)[:, None]
    )
    angles = np.linspace(0.05, np.pi - 0.05, 9)
    side = np.zeros(dimension + 1)
    side[[0, -1]] = 0.6, 0.8
    x = np.cos(angles)[:, None] * mu + np.sin(angles)[:, None] * side
    poles = np.stack([mu, -mu])

    @eqx.filter_jit
    def moved(x):
        y, log_det = jax.vmap(made.forward_and_log_det)(x)
        back, inverse = jax.vmap(made.inverse_and_log_det)(y)
        slopes = jax.vmap(jax.grad(lambda v: made.forward_and_log_det(v)[1]))(x)
        return y, log_det, back, inverse, slopes

    y, log_det, back, inverse, slopes = (np.asarray(part) for part in moved(jnp.asarray(np.concatenate([x, poles]))))
    bump = ALPHA * np.exp(BETA * (np.cos(angles) - 1))
    turned = angles - bump * np.sin(angles)
    expected = np.cos(turned)[:, None] * mu + np.sin(turned)[:, None] * side
    np.testing.assert_allclose(y[:9], expected, rtol=0, atol=1e-14)
    slope = 1 - bump * (np.cos(angles) - BETA * np.sin(angles) ** 2)
    measure = (dimension - 1) * np.log(np.sin(turned) / np.sin(angles))
    np.testing.assert_allclose(log_det[:9], np.log(slope) + measure, rtol=0, atol=1e-13)
    # at both ends of the axis nothing moves, and all directions are stretched alike
    np.testing.assert_allclose(y[9:], poles, rtol=0, atol=1e-15)
    ends = np.log([1 - ALPHA, 1 + ALPHA * np.exp(-2 * BETA)])
    np.testing.assert_allclose(log_det[9:], dimension * ends, rtol=0, atol=1e-13)
    np.testing.assert_allclose(back, np.concatenate([x, poles]), rtol=0, atol=1e-10)
    np.testing.assert_allclose(inverse, -log_det, rtol=0, atol=1e-9)
    assert np.all(np.isfinite(slopes))


def test_bad_input():
    with pytest.raises(ConfigError, match="allowed: one vector of at most 4 components"):
        ExponentialMapSum.untrained(jax.random.key(0), SphereSpace(4), 2)
    with pytest.raises(ConfigError, match="allowed: one vector of at most 4 components"):
        ExponentialMapSum.untrained(jax.random.key(0), SphereSpace(2, (3,)), 2)
