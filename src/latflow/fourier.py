r"""Fourier transforms of real fields on periodic lattices in a real orthonormal basis, and lattice momenta.

Per direction the basis is the constant, the pairs $\sqrt{2/L}\cos kn$, $\sqrt{2/L}\sin kn$, and the alternating
function where L is even. A kernel that is even in every direction is diagonal in it, so a convolution is a
multiplication. The transforms are products with L × L matrices, one direction after another, or on small lattices one
product with the matrix of all directions; fields may be the last axes of an array or one of its axes with draws behind.
"""

import functools
import itertools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from latflow.lattice import Lattice


@functools.lru_cache
def basis(extent: int) -> Float[np.ndarray, "L L"]:
    """The orthonormal basis of one direction, one function per row, in the order of `wave_numbers`."""
    n = np.arange(extent)
    rows: list[np.ndarray] = [np.ones(extent) / math.sqrt(extent)]
    for j in range(1, (extent - 1) // 2 + 1):
        angle = 2 * np.pi * j * n / extent
        rows += [math.sqrt(2 / extent) * np.cos(angle), math.sqrt(2 / extent) * np.sin(angle)]
    if extent % 2 == 0:
        rows.append((-1.0) ** n / math.sqrt(extent))
    return np.array(rows)


@functools.lru_cache
def wave_numbers(extent: int) -> Int[np.ndarray, " L"]:
    """The integer wave number of every basis function, from 0 to L/2."""
    pairs = [j for j in range(1, (extent - 1) // 2 + 1) for _ in range(2)]
    return np.array([0, *pairs, *([extent // 2] if extent % 2 == 0 else [])])


# Up to so many sites one product with the matrix of all directions is faster than one product per direction: for fields
# one by one, and for many draws at once.
_SMALL, _SMALL_FOR_DRAWS = 64, 144


def to_momentum(x: Float[Array, "*channels_and_sites"], lattice: Lattice) -> Float[Array, "*channels_and_momenta"]:
    """Coefficients of a real field; the last axes are the sites, those before them are carried along."""
    return _transform(x, lattice, inverse=False)


def from_momentum(x: Float[Array, "*channels_and_momenta"], lattice: Lattice) -> Float[Array, "*channels_and_sites"]:
    """The field of these coefficients: the inverse of `to_momentum`, and its transpose."""
    return _transform(x, lattice, inverse=True)


def transform_draws(
    x: Float[Array, "channels volume draws"], lattice: Lattice, *, inverse: bool = False
) -> Float[Array, "channels volume draws"]:
    """`to_momentum`, or `from_momentum`, of many draws at once: every product has the draws as columns of a matrix.

    Args:
        x: Sites, or momenta, in row-major order.
        lattice: Where the fields live.
        inverse: From momenta to sites.
    """
    before = 1
    for matrix in _matrices(lattice, inverse=inverse, at_once=_SMALL_FOR_DRAWS):
        y = x.reshape(x.shape[0] * before, matrix.shape[0], -1)
        x = jnp.einsum("kn,cnb->ckb", jnp.asarray(matrix, x.dtype), y).reshape(x.shape)
        before *= len(matrix)
    return x


def _transform(x: Float[Array, "*axes"], lattice: Lattice, *, inverse: bool) -> Float[Array, "*axes"]:
    matrices = _matrices(lattice, inverse=inverse, at_once=_SMALL)
    if lattice.volume <= _SMALL:
        channels = x.shape[: x.ndim - lattice.ndim]
        return (x.reshape(*channels, -1) @ jnp.asarray(matrices[0].T, x.dtype)).reshape(x.shape)
    for matrix in reversed(matrices):
        # The last axis is transformed and becomes the first of the sites, until every one has been the last.
        x = jnp.moveaxis(x @ jnp.asarray(matrix.T, x.dtype), -1, x.ndim - lattice.ndim)
    return x


@functools.lru_cache
def _matrices(lattice: Lattice, *, inverse: bool, at_once: int) -> list[Float[np.ndarray, "n n"]]:
    """The matrix of every direction, or the one of all directions up to `at_once` sites."""
    matrices = [basis(n).T if inverse else basis(n) for n in lattice.shape]
    return [functools.reduce(np.kron, matrices)] if lattice.volume <= at_once else matrices


@functools.lru_cache
def momentum_squared(lattice: Lattice) -> Float[np.ndarray, "*momenta"]:
    r"""$\hat k^2=4\sum_\mu\sin^2(k_\mu/2)$ of every basis function."""
    return _squared(lattice, [wave_numbers(n) for n in lattice.shape])


@functools.lru_cache
def complex_momentum_squared(lattice: Lattice) -> Float[np.ndarray, "*momenta"]:
    r"""$\hat k^2$ of every plane wave $e^{ikx}$, in the order of `numpy.fft.fftn`."""
    return _squared(lattice, [np.arange(n) for n in lattice.shape])


def _squared(lattice: Lattice, numbers: list[Int[np.ndarray, " _"]]) -> Float[np.ndarray, "*momenta"]:
    """From the wave numbers of every direction, in units of 2π/L."""
    grids = np.meshgrid(*(2 * np.pi * m / n for m, n in zip(numbers, lattice.shape, strict=True)), indexing="ij")
    return np.asarray(sum(4 * np.sin(k / 2) ** 2 for k in grids))


@functools.lru_cache
def momentum_orbits(lattice: Lattice) -> Int[np.ndarray, "*momenta"]:
    """Number of the orbit of every basis function under reflections and exchanges of directions of equal extent.

    Orbits are numbered from zero in the order of their squared momentum.
    """
    grids = np.meshgrid(*(wave_numbers(n) for n in lattice.shape), indexing="ij")
    labels = [
        tuple(sorted(zip(lattice.shape, momentum, strict=True)))
        for momentum in zip(*(grid.ravel().tolist() for grid in grids), strict=True)
    ]
    squares = dict(zip(labels, momentum_squared(lattice).ravel().tolist(), strict=True))
    number = {label: i for i, label in enumerate(sorted(squares, key=lambda label: (squares[label], label)))}
    return np.array([number[label] for label in labels]).reshape(lattice.shape)


@functools.lru_cache
def orbit_momentum_squared(lattice: Lattice) -> Float[np.ndarray, " n_orbits"]:
    r"""$\hat k^2$ of every orbit of `momentum_orbits`."""
    orbits = momentum_orbits(lattice).ravel()
    _, first = np.unique(orbits, return_index=True)
    return momentum_squared(lattice).ravel()[first]


@functools.lru_cache
def displacements(ndim: int, radius: int) -> tuple[tuple[int, ...], ...]:
    """Representatives of all displacements of at most `radius` in every direction.

    Displacements that differ by reflections and exchanges of directions are one; the zero displacement comes first.
    """
    return tuple(itertools.combinations_with_replacement(range(radius + 1), ndim))


@functools.lru_cache
def kernels(lattice: Lattice, radius: int) -> Float[np.ndarray, "n_displacements *momenta"]:
    r"""Eigenvalues of the symmetric kernels, one for each of the `displacements`.

    Each is $n^{-1/2}\sum_r\cos(k\cdot r)$ over its n displacements r on the infinite lattice, wrapped around this
    one: the same coefficients stand for the same kernel on every lattice, however small.
    """
    momenta = [2 * np.pi * wave_numbers(n) / n for n in lattice.shape]
    values = []
    for representative in displacements(lattice.ndim, radius):
        images = sorted(set(itertools.permutations(representative)))
        # A sum over signs turns the exponential of each image into a product of cosines.
        signs = 2 ** np.count_nonzero(representative)
        waves = [
            np.meshgrid(*(np.cos(k * r) for k, r in zip(momenta, image, strict=True)), indexing="ij")
            for image in images
        ]
        total = sum(math.prod(wave) for wave in waves)
        values.append(np.asarray(total) * signs / math.sqrt(signs * len(images)))
    return np.array(values)
