"""Euclidean space: its basis, its distances, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.fields.euclidean import EuclideanSpace, helmert, pair_distances


@pytest.mark.parametrize("n", [2, 3, 13])
def test_the_basis_is_orthonormal_and_mean_free(n):
    """So that Lebesgue measure in its coordinates is that of the subspace, and its log-volume is zero."""
    rows = helmert(n)
    assert np.abs(rows @ rows.T - np.eye(n - 1)).max() < 1e-14
    assert np.abs(rows.sum(axis=1)).max() < 1e-13


def test_moves_keep_the_mean_and_have_their_length():
    space = EuclideanSpace((4, 3), mean_free=True)
    x, p = space.random(jax.random.key(1)), space.momentum(jax.random.key(2))
    y = space.move(x, p)
    assert float(space.defect(y)) < 1e-14
    assert abs(float(jnp.sum((y - x) ** 2) - jnp.sum(p**2))) < 1e-12
    assert float(space.defect(x + 1.0)) > 0.9


def test_cold_particles_do_not_coincide():
    for shape in ((4, 2), (13, 3), (5, 1)):
        assert float(jnp.min(pair_distances(EuclideanSpace(shape, mean_free=True).cold()))) > 0.99


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: EuclideanSpace((1, 3), mean_free=True), r"shape: \[1, 3\]; allowed: \(n, d\) of at least two"),
        (lambda: EuclideanSpace((3,), mean_free=True), r"shape: \[3\]; allowed: \(n, d\) of at least two"),
        (lambda: EuclideanSpace((1, 2, 3)), r"shape: \[1, 2, 3\]; allowed: \(d,\) of a point"),
        (lambda: EuclideanSpace((0,)), "shape: 0; allowed: at least 1"),
    ],
)
def test_bad_input(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
