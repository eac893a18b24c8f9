"""Densities about a field: means from ratios of Bessel functions, derivatives, and what is not a number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from latflow.bijections.spin_tilts import LARGEST_FIELD, _angle_of, _ratios, log_normaliser, tilted, turned, untilted

N_DRAWS = 1 << 16


def uniform(seed: int, n: int, draws: int = N_DRAWS) -> np.ndarray:
    z = np.random.default_rng(seed).standard_normal((n, draws))
    return z / np.sqrt(np.sum(z**2, axis=0))


def along(n: int, kappa: float, draws: int = N_DRAWS) -> np.ndarray:
    """A field of that length in no special direction."""
    return kappa * uniform(99, n, 1) * np.ones((1, draws))


def mean_cosine(n: int, kappa: float) -> float:
    """$I_{n/2}/I_{n/2-1}$."""
    return special.ive(n / 2, kappa) / special.ive(n / 2 - 1, kappa)


def test_ratios_of_bessel_functions() -> None:
    kappa = np.array([1e-3, 0.5, 3.0, LARGEST_FIELD])
    wanted = [special.ive(j, kappa) / special.ive(0, kappa) for j in range(1, 41)]
    np.testing.assert_allclose(_ratios(jnp.asarray(kappa)), wanted, atol=1e-15)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_normaliser(n: int) -> None:
    """Γ(n/2) (2/κ)^{n/2−1} I_{n/2−1}(κ), the average of e^{κ cos θ} over the sphere."""
    kappa = np.array([1e-9, 1e-4, 0.3, 2.0, LARGEST_FIELD])
    order = n / 2 - 1
    wanted = np.log(special.gamma(n / 2) * (2 / kappa) ** order * special.ive(order, kappa)) + kappa
    np.testing.assert_allclose(log_normaliser(jnp.asarray(kappa), n=n), wanted, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kappa", [0.4, 4.0, 15.0])
def test_images_of_uniform_vectors_have_the_density(n: int, kappa: float) -> None:
    """Means of cos θ and cos² θ within 5σ of the exact ones."""
    z, h = uniform(n, n), along(n, kappa)
    x, _ = jax.jit(tilted)(jnp.asarray(z), jnp.asarray(h))
    cosine = np.asarray(jnp.sum(x * h, axis=0)) / kappa
    first = mean_cosine(n, kappa)
    second = 1 - (n - 1) * first / kappa
    for values, exact in ((cosine, first), (cosine**2, second)):
        assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(N_DRAWS)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kappa", [0.0, 1e-9, 1e-5, 1.0, 20.0, 60.0])
def test_it_is_undone(n: int, kappa: float) -> None:
    """Also where there is hardly a field, and where it is shortened."""
    z, h = jnp.asarray(uniform(n + 10, n, 512)), jnp.asarray(along(n, kappa, 512))
    x, log_det = jax.jit(tilted)(z, h)
    back, of_inverse = jax.jit(untilted)(x, h)
    np.testing.assert_allclose(back, z, atol=1e-11)
    np.testing.assert_allclose(of_inverse, -log_det, atol=1e-11)
    np.testing.assert_allclose(jnp.sum(x**2, axis=0), 1.0, atol=1e-14)


def test_derivatives_go_through_the_angle_that_was_found() -> None:
    """Of an XY spin by its own angle and by the field, against central differences."""

    def image(angle: jax.Array, h: jax.Array) -> jax.Array:
        x, _ = tilted(jnp.stack([jnp.cos(angle), jnp.sin(angle)]), h)
        return jnp.arctan2(x[1], x[0])

    angle, h, step = jnp.asarray(0.7), jnp.array([1.1, 0.4]), 1e-5
    numeric = (image(angle + step, h) - image(angle - step, h)) / (2 * step)
    assert jax.grad(image)(angle, h) == pytest.approx(float(numeric), rel=1e-8)
    for i in range(2):
        off = step * jnp.eye(2)[i]
        numeric = (image(angle, h + off) - image(angle, h - off)) / (2 * step)
        assert jax.grad(image, argnums=1)(angle, h)[i] == pytest.approx(float(numeric), rel=1e-7)


@pytest.mark.parametrize("n", [2, 4])
def test_an_angle_that_is_not_found_is_not_a_number(n: int) -> None:
    assert jnp.isnan(_angle_of(jnp.asarray(4.0), jnp.asarray(1.0), n=n))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_first_axis_is_turned_to_the_field(n: int) -> None:
    """By a rotation, also where the field points the other way."""
    h = jnp.concatenate([jnp.asarray(uniform(5, n, 7)), -jnp.eye(n)[:, :1], jnp.eye(n)[:, :1]], axis=1)
    axes = jnp.stack([turned(jnp.broadcast_to(jnp.eye(n)[:, i : i + 1], h.shape), 3 * h) for i in range(n)])
    np.testing.assert_allclose(axes[0], h, atol=1e-14)
    np.testing.assert_allclose(
        jnp.einsum("ips,jps->sij", axes, axes), np.broadcast_to(np.eye(n), (9, n, n)), atol=1e-14
    )
