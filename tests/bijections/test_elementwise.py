"""Elementwise bijections."""

import jax.numpy as jnp
import numpy as np

from latflow.bijections.elementwise import Scale


def test_scale_multiplies_and_counts_every_site():
    x = jnp.arange(6.0).reshape(2, 3)
    y, log_det = Scale(np.log(2.0)).forward_and_log_det(x)
    assert jnp.allclose(y, 2 * x, rtol=1e-15)
    assert np.isclose(log_det, 6 * np.log(2.0), rtol=1e-15)


def test_scale_starts_as_the_identity():
    x = jnp.arange(6.0).reshape(2, 3)
    y, log_det = Scale().forward_and_log_det(x)
    assert jnp.array_equal(y, x)
    assert log_det == 0
