"""Symmetries of identical particles: their permutations, and rotations and mirrors of all of them together."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spin_symmetry import random_rotation
from latflow.fields.symmetry import AbstractSymmetry


class Permutation(AbstractSymmetry):
    """Particle `order[i]` comes to the place i.

    Args:
        order: Every number once.
    """

    order: tuple[int, ...] = eqx.field(static=True)

    @override
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return x[np.asarray(self.order)]

    @override
    def inverse(self) -> "Permutation":
        return Permutation(tuple(np.argsort(self.order).tolist()))


class Turn(AbstractSymmetry):
    """An element of O(d) acting on every particle.

    Args:
        matrix: Orthogonal.
    """

    matrix: Float[Array, "d d"]

    @override
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return x @ self.matrix.T

    @override
    def inverse(self) -> "Turn":
        return Turn(self.matrix.T)


def particle_generators(key: PRNGKey, space: EuclideanSpace) -> tuple[AbstractSymmetry, ...]:
    """An exchange, a cycle of all particles, and two random elements of O(d)."""
    n, d = space.shape
    turns = [Turn(random_rotation(k, d).matrix) for k in jax.random.split(key)]
    return (Permutation((1, 0, *range(2, n))), Permutation((*range(1, n), 0)), *turns)
