"""A bijection of the sites with even coordinates: the rest stays, whatever the extents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.elementwise import Scale
from latflow.bijections.sublattice import Sublattice, coarse, coarse_mask
from latflow.lattice import Lattice


@pytest.mark.parametrize("shape", [(4, 6), (6,), (3, 4), (2, 2, 4)])
def test_even_sites_move_and_the_others_stay(shape):
    lattice = Lattice(shape)
    x = jax.random.normal(jax.random.key(1), shape)
    y, log_det = Sublattice(Scale(0.5), lattice).forward_and_log_det(x)
    even = tuple(slice(None, None, 2) for _ in shape)
    expected = np.array(x)
    expected[even] *= np.exp(0.5)
    np.testing.assert_allclose(y, expected, rtol=1e-15)
    assert x[even].shape == coarse(lattice).shape
    assert np.array_equal(coarse_mask(lattice), np.asarray(y != x))
    assert jnp.allclose(log_det, 0.5 * coarse(lattice).volume, rtol=1e-15)
