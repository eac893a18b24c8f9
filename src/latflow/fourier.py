r"""Fourier transforms of real fields on periodic lattices, in a real orthonormal basis.

Per direction the basis is the constant, the pairs $\sqrt{2/L}\cos kn$, $\sqrt{2/L}\sin kn$, and the alternating
function where L is even. A kernel that is even in every direction is diagonal in it, so a convolution is a
multiplication. The transforms are products with L × L matrices, one direction after another.
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


# Up to this many sites one product with the matrix of all directions is faster than one product per direction.
_SMALL = 64


def to_momentum(x: Float[Array, "*channels_and_sites"], lattice: Lattice) -> Float[Array, "*channels_and_momenta"]:
    """Coefficients of a real field; the last axes are the sites, those before them are carried along."""
    return _transform(x, [basis(n) for n in lattice.shape])


def from_momentum(x: Float[Array, "*channels_and_momenta"], lattice: Lattice) -> Float[Array, "*channels_and_sites"]:
    """The field of these coefficients: the inverse of `to_momentum`, and its transpose."""
    return _transform(x, [basis(n).T for n in lattice.shape])


def _transform(x: Float[Array, "*axes"], matrices: list[np.ndarray]) -> Float[Array, "*axes"]:
    ndim = len(matrices)
    channels, sites = x.shape[: x.ndim - ndim], x.shape[x.ndim - ndim :]
    if math.prod(sites) <= _SMALL:
        matrix = jnp.asarray(functools.reduce(np.kron, matrices).T, x.dtype)
        return (x.reshape(*channels, -1) @ matrix).reshape(x.shape)
    for matrix in reversed(matrices):
        # The last axis is transformed and becomes the first of the sites, until every one has been the last.
        x = jnp.moveaxis(x @ jnp.asarray(matrix.T, x.dtype), -1, x.ndim - ndim)
    return x


@functools.lru_cache
def momentum_squared(lattice: Lattice) -> Float[np.ndarray, "*momenta"]:
    r"""$\hat k^2=4\sum_\mu\sin^2(k_\mu/2)$ of every basis function."""
    grids = np.meshgrid(*(2 * np.pi * wave_numbers(n) / n for n in lattice.shape), indexing="ij")
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
