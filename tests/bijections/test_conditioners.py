"""Networks of couplings: zero at the start, in their own precision, and with the weights they claim to share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections import conditioners
from latflow.bijections.conditioners import ConvolutionalConditioner, DenseConditioner, Linear
from latflow.bijections.partition import Partition
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled

F32 = jnp.dtype(jnp.float32)
F64 = jnp.dtype(jnp.float64)


def partition(shape, parity=0):
    return Partition.of(Lattice(shape).checkerboard(parity=parity))


def convolutional(shape, *, kernel_size=3, parity=0, dtype=F64):
    return ConvolutionalConditioner(
        jax.random.key(2), partition(shape, parity), hidden=(3, 5), kernel_size=kernel_size, dtype=dtype
    )


def dense(shape, *, dtype=F64):
    return DenseConditioner(jax.random.key(2), partition(shape), hidden=(6, 5), dtype=dtype)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("make", [dense, convolutional])
def test_zero_at_initialisation_and_back_in_the_precision_of_the_field(make, dtype):
    frozen = jax.random.normal(jax.random.key(3), (8,))
    parameters = make((4, 4), dtype=dtype)(frozen)
    assert parameters.shape == (8, 2)
    assert parameters.dtype == F64
    assert not jnp.any(parameters)


@pytest.mark.parametrize("make", [dense, convolutional])
def test_arithmetic_is_that_of_the_weights(make):
    """Float32 networks differ from float64 ones by float32 rounding: more than 1e-10, less than 1e-5."""
    frozen = jax.random.normal(jax.random.key(3), (8,))
    coarse = scrambled(jax.random.key(4), make((4, 4), dtype=F32))
    fine = jax.tree.map(lambda leaf: leaf.astype(F64), coarse)
    error = float(jnp.max(jnp.abs(coarse(frozen) - fine(frozen))))
    assert 1e-10 < error < 1e-5


def test_linear_acts_on_rows():
    layer = Linear(jnp.arange(6.0).reshape(2, 3), jnp.array([1.0, 0.0, -1.0]))
    x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
    assert layer(x).tolist() == [[7.0, 9.0, 11.0], [4.0, 4.0, 4.0]]
    assert layer(x[0]).tolist() == [7.0, 9.0, 11.0]


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize(("shape", "kernel_size"), [((6,), 3), ((4, 4), 3), ((4, 2), 9), ((4, 2, 2), 3)])
def test_convolution_equals_a_loop_over_sites(shape, kernel_size, parity):
    """Both ways of computing it, against displacements written out one by one."""
    conditioner = convolutional(shape, kernel_size=kernel_size, parity=parity)
    where = conditioner.partition
    x = jax.random.normal(jax.random.key(5), shape)
    sites = np.stack(np.indices(shape), axis=-1).reshape(-1, len(shape))
    half = np.array(shape) // 2
    radius = kernel_size // 2
    kernels = {}
    for a in where.active:
        for f in where.frozen:
            displacement = tuple((sites[f] - sites[a] + half) % np.array(shape) - half)
            if max(abs(d) for d in displacement) <= radius:
                kernels.setdefault(displacement, []).append((a, f))
    expected = np.zeros((len(where.active), 3))
    for number, displacement in enumerate(sorted(kernels)):
        for a, f in kernels[displacement]:
            row = np.searchsorted(where.active, a)
            expected[row] += float(x.reshape(-1)[f]) * np.asarray(conditioner.kernel[number])
    assert len(kernels) == len(conditioner.kernel)
    got = conditioner._convolve(where.split(x)[0])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_gathered_and_circulant_convolutions_agree(monkeypatch):
    conditioner = convolutional((4, 4))
    frozen = jax.random.normal(jax.random.key(6), (8,))
    results = []
    for sparse in (0, 10**6):
        monkeypatch.setattr(conditioners, "_SPARSE", sparse)
        results.append(conditioner._convolve(frozen))
    np.testing.assert_allclose(results[0], results[1], rtol=0, atol=1e-14)


def test_partition_without_translations_falls_back_to_the_matrix(monkeypatch):
    """A single active site in a corner of an open mask: some displacements lead to no frozen site."""
    mask = np.zeros((3, 3), dtype=bool)
    mask[0, :2] = True
    irregular = ConvolutionalConditioner(jax.random.key(2), Partition.of(mask), hidden=(3,), kernel_size=3, dtype=F64)
    frozen = jax.random.normal(jax.random.key(6), (7,))
    expected = irregular._convolve(frozen)
    monkeypatch.setattr(conditioners, "_SPARSE", 0)
    assert jnp.array_equal(irregular._convolve(frozen), expected)


@pytest.mark.parametrize("kernel_size", [0, 1, 2, -3])
def test_windows_that_cannot_be_are_refused(kernel_size):
    with pytest.raises(ConfigError, match=r"flow\.kernel_size"):
        convolutional((4, 4), kernel_size=kernel_size)
