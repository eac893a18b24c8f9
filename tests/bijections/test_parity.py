"""Conditioners of definite parity: even where said, odd elsewhere, bit for bit, whatever the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.conditioners import ConvolutionalConditioner, DenseConditioner
from latflow.bijections.parity import Symmetrised
from latflow.bijections.partition import Partition
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled

PARTITION = Partition.of(Lattice((4, 2)).checkerboard(parity=0))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("network", [DenseConditioner, ConvolutionalConditioner])
def test_parities(network, dtype):
    inner = network(jax.random.key(1), PARTITION, hidden=(4, 4), n_parameters=5, dtype=jnp.dtype(dtype))
    conditioner = scrambled(jax.random.key(2), Symmetrised(inner, 2))
    frozen = jax.random.normal(jax.random.key(3), (4,))
    here, there = np.asarray(conditioner(frozen)), np.asarray(conditioner(-frozen))
    assert here.shape == (4, 5)
    assert np.array_equal(there[:, :2], here[:, :2])
    assert np.array_equal(there[:, 2:], -here[:, 2:])
    assert np.all(here != 0)
    assert not np.any(np.asarray(conditioner(jnp.zeros(4)))[:, 2:])
