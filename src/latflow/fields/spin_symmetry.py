"""Symmetries of spins: those of the lattice, spin by spin, and rotations and reflections of all spins together."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.fields.compact import SphereSpace
from latflow.fields.symmetry import AbstractSymmetry, SignFlip, generators
from latflow.lattice import Lattice
from latflow.randomness import standard_normal


class OfEveryComponent(AbstractSymmetry):
    """A symmetry of the sites acting on arrays `x[component, *sites]`.

    Args:
        of_sites: How it acts on one component.
    """

    of_sites: AbstractSymmetry

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
        return jnp.stack([self.of_sites(part) for part in x])

    @override
    def inverse(self) -> "OfEveryComponent":
        return OfEveryComponent(self.of_sites.inverse())


class GlobalRotation(AbstractSymmetry):
    """An element of O(N) acting on all spins: (g·n)ᵢ = Σⱼ gᵢⱼ nⱼ.

    Args:
        matrix: Orthogonal.
    """

    matrix: Float[Array, "n n"]

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
        return jnp.tensordot(self.matrix, x, 1)

    @override
    def inverse(self) -> "GlobalRotation":
        return GlobalRotation(self.matrix.T)


def random_rotation(key: PRNGKey, n: int) -> GlobalRotation:
    """An element of O(N) with the Haar measure: the orthogonal factor of a normal matrix."""
    q, r = jnp.linalg.qr(standard_normal(key, (n, n)))
    return GlobalRotation(q * jnp.sign(jnp.diag(r))[None])


def spin_generators(key: PRNGKey, space: SphereSpace) -> tuple[AbstractSymmetry, ...]:
    """Those of the lattice, without the sign flip, which is in O(N), and two random elements of O(N)."""
    sites = [g for g in generators(Lattice(space.sites)) if not isinstance(g, SignFlip)]
    turns = [random_rotation(k, space.dimension + 1) for k in jax.random.split(key)]
    return (*(OfEveryComponent(g) for g in sites), *turns)
