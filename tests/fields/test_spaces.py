"""What the laws of a space leave open: shapes and the defect of a damaged field."""

import jax
import jax.numpy as jnp
import numpy as np

from latflow.fields.spaces import ScalarSpace


def test_shapes():
    space = ScalarSpace((2, 3))
    assert space.shape == space.tangent_shape == (2, 3)
    assert space.random(jax.random.key(0)).shape == space.momentum(jax.random.key(0)).shape == (2, 3)


def test_defect_of_a_damaged_field():
    space = ScalarSpace((2,))
    assert space.defect(jnp.array([1.0, -2.0])) == 0
    assert np.isinf(space.defect(jnp.array([1.0, jnp.nan])))
    assert np.isinf(space.defect(jnp.array([jnp.inf, 0.0])))


def test_momentum_and_random_use_their_key():
    space = ScalarSpace((4,))
    a, b = space.momentum(jax.random.key(1)), space.momentum(jax.random.key(2))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, space.momentum(jax.random.key(1)))
