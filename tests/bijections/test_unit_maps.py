"""Maps of the unit interval and of circles: their formulas, ±π, and derivatives of inverses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.unit_maps import Projection as By
from latflow.bijections.unit_maps import ProjectionMixture, UnitSpline, of_centre, project
from latflow.errors import ConfigError

FAMILIES = {
    "circular spline": UnitSpline(5, circle=True),
    "spline": UnitSpline(5, circle=False),
    "projections": ProjectionMixture(4, moebius=False),
    "centres": ProjectionMixture(4, moebius=True),
}
ANGLES = np.linspace(-np.pi, np.pi, 41)


def numbers(family, scale=2.0):
    return scale * jax.random.normal(jax.random.key(5), (family.n_numbers,))


def test_projections_by_tangents():
    alpha, beta = 2.7, -1.3
    image, slope = project(jnp.asarray(ANGLES), By(jnp.full((1, 1), alpha**0.5), beta / alpha**0.5))
    expected = 2 * np.arctan(alpha * np.tan(ANGLES[1:-1] / 2) + beta)
    np.testing.assert_allclose(image[0, 1:-1], expected, rtol=0, atol=1e-13)
    numeric = np.diff(2 * np.arctan(alpha * np.tan((ANGLES[1:-1, None] + [-1e-6, 1e-6]) / 2) + beta))[:, 0] / 2e-6
    np.testing.assert_allclose(slope[0, 1:-1], numeric, rtol=1e-8)
    # at ±π: the ends stay, with the slope 1/α, without a limit to be taken
    np.testing.assert_allclose(image[0, [0, -1]], [-np.pi, np.pi], rtol=0, atol=1e-15)
    np.testing.assert_allclose(slope[0, [0, -1]], 1 / alpha, rtol=1e-14)


def test_moebius_maps_by_complex_numbers():
    """arXiv:2002.02428, of which the image of −1 is turned back to −1."""
    omega = 0.6 - 0.35j

    def published(z):
        return (1 - abs(omega) ** 2) / abs(z - omega) ** 2 * (z - omega) - omega

    z = np.exp(1j * ANGLES)
    expected = published(z) / published(-1.0) * -1
    image, slope = project(jnp.asarray(ANGLES), of_centre(jnp.full((1, 1), omega.real), jnp.full((1, 1), omega.imag)))
    np.testing.assert_allclose(np.exp(1j * np.asarray(image[0])), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(slope[0], (1 - abs(omega) ** 2) / abs(z - omega) ** 2, rtol=1e-13)
    assert np.all(np.diff(image[0]) > 0)


@functools.cache
def found(name):
    """At numbers of zero, and at wild ones: images of 0 and 1, slopes there, derivatives of a round trip."""
    family = FAMILIES[name]

    @jax.jit
    def all_of(u, some):
        y, log_slope = jax.vmap(family.forward, in_axes=(0, None))(u, some)
        back, inverse = jax.vmap(family.inverse, in_axes=(0, None))(y, some)

        def trip(u, some):
            return family.inverse(family.forward(u, some)[0], some)[0]

        by_u, by_numbers = jax.vmap(jax.grad(trip, argnums=(0, 1)), in_axes=(0, None))(u[1:-1], some)
        return y, log_slope, back, inverse, by_u, by_numbers

    u = jnp.linspace(0.0, 1.0, 33)
    return u, all_of(u, jnp.zeros(family.n_numbers)), all_of(u, numbers(family))


@pytest.mark.parametrize("name", FAMILIES)
def test_ends_stay(name):
    u, (still, flat, *_), (y, log_slope, back, inverse, _, _) = found(name)
    np.testing.assert_allclose(still, u, rtol=0, atol=1e-15)
    np.testing.assert_allclose(flat, 0, atol=1e-14)
    np.testing.assert_allclose(y[jnp.asarray([0, -1])], [0, 1], rtol=0, atol=1e-15)
    assert np.all(np.diff(y) > 0)
    np.testing.assert_allclose(back, u, rtol=0, atol=1e-11)
    np.testing.assert_allclose(inverse, -log_slope, rtol=0, atol=1e-10)
    if name != "spline":
        assert abs(log_slope[0] - log_slope[-1]) < 1e-12


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_of_the_inverse(name):
    """Nothing that the numbers do is left after a round trip; the implicit function theorem says so."""
    *_, by_u, by_numbers = found(name)[2]
    np.testing.assert_allclose(by_u, 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_numbers, 0, atol=1e-9)


def test_bad_input():
    with pytest.raises(ConfigError, match=r"flow\.bins: 0 maps to mix; allowed: 1 to 1000"):
        ProjectionMixture(0, moebius=True)
    with pytest.raises(ConfigError, match=r"flow\.bins: 1; allowed: at least 2"):
        UnitSpline(1, circle=True)
