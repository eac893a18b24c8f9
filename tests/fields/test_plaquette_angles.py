"""Links of U(1) made of their plaquettes: the curl, the measure, the order of the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import gauge_space
from latflow.fields.plaquette_angles import curl, curl_transposed, links_of_haar, links_of_plaquettes, plaquette_angles

KEY = jax.random.key(33)


def test_the_transpose_of_the_curl() -> None:
    x, p = (jax.random.normal(jax.random.fold_in(KEY, i), shape) for i, shape in enumerate(((2, 3, 4), (3, 4))))
    np.testing.assert_allclose(jnp.sum(curl(x) * p), jnp.sum(x * curl_transposed(p)), rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (4, 2)])
def test_haar_links_of_plaquettes_keep_the_measure(shape: tuple[int, int]) -> None:
    """An integer matrix of determinant ±1."""
    z = gauge_space("U(1)", shape).random(KEY)
    matrix = np.asarray(jax.jacobian(links_of_haar)(z)).reshape(z.size, z.size)
    np.testing.assert_array_equal(matrix, np.round(matrix))
    assert abs(abs(np.linalg.det(matrix)) - 1) < 1e-9


def test_the_first_numbers_are_plaquettes() -> None:
    z = gauge_space("U(1)", (3, 4)).random(KEY)
    found = np.asarray(plaquette_angles(links_of_haar(z))).ravel()
    np.testing.assert_allclose(found[:-1], np.asarray(z[0]).ravel()[:-1], atol=1e-12)


def test_lines_around_the_torus() -> None:
    x = links_of_plaquettes(jnp.zeros((3, 4)), jnp.asarray([0.3, -0.4]))
    np.testing.assert_allclose(jnp.sum(x[0], axis=0), np.full(4, 0.3), atol=1e-12)
    np.testing.assert_allclose(jnp.sum(x[1], axis=1), np.full(3, -0.4), atol=1e-12)
