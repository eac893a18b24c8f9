"""Lattices: shifts, momenta and masks that are exact partitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.lattice import Lattice


@pytest.mark.parametrize("shape", [(), (0,), (4, -2)])
def test_impossible_shapes_are_refused(shape):
    with pytest.raises(ConfigError, match="positive extents"):
        Lattice(shape)


def test_counts():
    lattice = Lattice((3, 4, 2))
    assert (lattice.ndim, lattice.volume) == (3, 24)


def test_shift_looks_ahead():
    x = jnp.asarray([[0, 1, 2], [3, 4, 5]])
    lattice = Lattice((2, 3))
    assert np.array_equal(lattice.shift(x, mu=1), [[1, 2, 0], [4, 5, 3]])
    assert np.array_equal(lattice.shift(x, mu=0), [[3, 4, 5], [0, 1, 2]])
    assert np.array_equal(lattice.shift(lattice.shift(x, mu=1, steps=2), mu=1, steps=-2), x)


@pytest.mark.parametrize("shape", [(2,), (4, 6), (2, 2, 4)])
def test_checkerboards_partition_the_sites_and_never_touch(shape):
    lattice = Lattice(shape)
    even, odd = lattice.checkerboard(parity=0), lattice.checkerboard(parity=1)
    assert np.array_equal(even, ~odd)
    assert even.sum() == lattice.volume // 2
    assert even[(0,) * len(shape)]
    for mu in range(len(shape)):
        assert not np.any(even & np.roll(even, 1, axis=mu))


@pytest.mark.parametrize("shape", [(3,), (4, 5)])
def test_checkerboard_refuses_odd_extents(shape):
    with pytest.raises(ConfigError, match="even extents"):
        Lattice(shape).checkerboard(parity=0)


def test_stripes_partition_the_sites():
    lattice = Lattice((4, 6))
    stripes = [lattice.stripe(mu=1, period=3, offset=offset) for offset in range(3)]
    assert np.array_equal(np.sum(stripes, axis=0), np.ones((4, 6)))
    assert stripes[1][0, 1]
    assert stripes[1][0, 4]
    with pytest.raises(ConfigError, match="multiple of 4"):
        lattice.stripe(mu=1, period=4, offset=0)


def test_lattices_are_values():
    assert Lattice((2, 3)) == Lattice((2, 3))
    assert hash(Lattice((2, 3))) == hash(Lattice((2, 3)))
