"""Partitions split sites into two sets and put them together again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.partition import Partition
from latflow.errors import ConfigError
from latflow.lattice import Lattice


@pytest.mark.parametrize("shape", [(6,), (4, 2), (2, 4, 2)])
@pytest.mark.parametrize("parity", [0, 1])
def test_merge_undoes_split(shape, parity):
    partition = Partition.of(Lattice(shape).checkerboard(parity=parity))
    x = jax.random.normal(jax.random.key(1), shape)
    assert jnp.array_equal(partition.merge(*partition.split(x)), x)


def test_active_values_stand_where_the_mask_is_true():
    mask = np.array([[True, False, False], [False, False, True]])
    partition = Partition.of(mask)
    frozen, active = partition.split(jnp.arange(6.0).reshape(2, 3))
    assert active.tolist() == [0.0, 5.0]
    assert frozen.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_equal_masks_are_one_static_value():
    """Otherwise every rebuilt flow would be compiled again."""
    one, two = (Partition.of(Lattice((4, 4)).checkerboard(parity=0)) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Partition.of(Lattice((4, 4)).checkerboard(parity=1))


@pytest.mark.parametrize("fill", [True, False])
def test_one_sided_partition_is_refused(fill):
    with pytest.raises(ConfigError, match=r"flow\.mask"):
        Partition.of(np.full((2, 2), fill))
