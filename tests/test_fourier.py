"""The real Fourier basis is orthonormal, convolutions are products in it, kernels are those of the infinite lattice."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow import fourier
from latflow.lattice import Lattice

SHAPES = [(1,), (2,), (5,), (4, 6), (10, 8), (3, 3), (4, 4), (2, 3, 4)]


@pytest.mark.parametrize("extent", [1, 2, 3, 6, 7])
def test_basis_is_orthonormal(extent):
    matrix = fourier.basis(extent)
    assert np.allclose(matrix @ matrix.T, np.eye(extent), atol=1e-14)
    assert fourier.wave_numbers(extent).shape == (extent,)


@pytest.mark.parametrize("shape", SHAPES)
def test_transform_inverts_and_keeps_channels(shape):
    x = jax.random.normal(jax.random.key(1), (2, *shape))
    lattice = Lattice(shape)
    coefficients = fourier.to_momentum(x, lattice)
    assert np.allclose(fourier.from_momentum(coefficients, lattice), x, atol=1e-13)
    assert np.allclose(coefficients[1], fourier.to_momentum(x[1], lattice), atol=1e-13)


@pytest.mark.parametrize("shape", [(4, 3), (14, 12), (9,), (5, 4, 8)])
def test_transforms_of_many_draws_are_those_of_single_fields(shape):
    """Small lattices at once, larger ones direction by direction; and back."""
    lattice = Lattice(shape)
    x = jax.random.normal(jax.random.key(3), (2, *shape, 3))
    flat = x.reshape(2, -1, 3)
    modes = fourier.transform_draws(flat, lattice)
    expected = jnp.moveaxis(fourier.to_momentum(jnp.moveaxis(x, -1, 0), lattice), 0, -1)
    np.testing.assert_allclose(modes, expected.reshape(2, -1, 3), atol=1e-13)
    np.testing.assert_allclose(fourier.transform_draws(modes, lattice, inverse=True), flat, atol=1e-13)


def test_momenta_of_plane_waves_are_those_of_the_laplacian():
    """−Δ e^{ikx} = k̂² e^{ikx}, momentum by momentum."""
    lattice = Lattice((3, 4))
    x = np.random.default_rng(0).normal(size=(3, 4))
    laplacian = sum(np.roll(x, 1, axis=mu) + np.roll(x, -1, axis=mu) - 2 * x for mu in range(2))
    spectral = np.fft.ifftn(-fourier.complex_momentum_squared(lattice) * np.fft.fftn(x)).real
    assert np.allclose(laplacian, spectral, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_laplacian_is_diagonal(shape):
    lattice = Lattice(shape)
    x = jax.random.normal(jax.random.key(2), shape)
    expected = sum(2 * x - jnp.roll(x, 1, axis) - jnp.roll(x, -1, axis) for axis in range(len(shape)))
    product = fourier.momentum_squared(lattice) * fourier.to_momentum(x, lattice)
    assert np.allclose(fourier.from_momentum(product, lattice), expected, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_kernels_sum_over_wrapped_displacements(shape, radius):
    """Against the sum over every displacement of the orbit on the infinite lattice, also where it wraps around."""
    lattice = Lattice(shape)
    x = np.random.default_rng(3).normal(size=shape)  # numpy: each of many displacements would be compiled
    eigenvalues = fourier.kernels(lattice, radius)
    assert len(eigenvalues) == len(fourier.displacements(len(shape), radius))
    assert fourier.displacements(len(shape), radius)[0] == (0,) * len(shape)
    modes = fourier.to_momentum(jnp.asarray(x), lattice)
    everywhere = list(itertools.product(range(-radius, radius + 1), repeat=len(shape)))
    for representative, values in zip(fourier.displacements(len(shape), radius), eigenvalues, strict=True):
        orbit = [r for r in everywhere if tuple(sorted(map(abs, r))) == representative]
        expected = sum(np.roll(x, r, tuple(range(len(shape)))) for r in orbit) / np.sqrt(len(orbit))
        got = fourier.from_momentum(values * modes, lattice)
        assert np.allclose(got, expected, atol=1e-12)


def test_momentum_orbits():
    lattice = Lattice((4, 4))
    orbits = fourier.momentum_orbits(lattice)
    assert orbits.max() + 1 == len({tuple(sorted(k)) for k in itertools.product(range(3), repeat=2)})
    assert np.array_equal(orbits, orbits.T)
    squares = fourier.orbit_momentum_squared(lattice)
    assert np.allclose(squares[orbits], fourier.momentum_squared(lattice))
    assert np.all(np.diff(squares) >= 0)
    # directions of different extent are not exchanged
    assert fourier.momentum_orbits(Lattice((2, 4))).max() + 1 == 2 * 3
