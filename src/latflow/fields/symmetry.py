r"""Symmetries of the periodic lattice as maps of one configuration.

Each class is a group element that acts on a field by permuting sites or flipping signs, so the reference measure and
the flat metric are preserved: an invariant action has a covariant force, F(g·x) = g·F(x). `generators` lists generators
of the symmetry group of a lattice; tests and `latflow selfcheck` use random products of them.
"""

import abc
import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from latflow._typing import Field
from latflow.errors import UsageError
from latflow.lattice import Lattice


class NotASymmetryError(UsageError):
    """The map is not a symmetry of this lattice: it would change its shape."""


class AbstractSymmetry(eqx.Module):
    """A group element acting on configurations (and on tangent vectors of flat spaces)."""

    @abc.abstractmethod
    def __call__(self, x: Field) -> Field:
        """The transformed field g·x."""

    @abc.abstractmethod
    def inverse(self) -> "AbstractSymmetry":
        """The inverse element."""


class Translation(AbstractSymmetry):
    """(g·x)(n) = x(n − steps).

    Args:
        steps: Displacement in every direction.
    """

    steps: tuple[int, ...] = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Field:
        return jnp.roll(x, self.steps, axis=tuple(range(x.ndim)))

    @override
    def inverse(self) -> "Translation":
        return Translation(tuple(-step for step in self.steps))


class Reflection(AbstractSymmetry):
    """The coordinate `mu` changes sign; the hyperplane through the origin stays.

    Args:
        mu: Direction.
    """

    mu: int = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Field:
        return jnp.roll(jnp.flip(x, axis=self.mu), 1, axis=self.mu)

    @override
    def inverse(self) -> "Reflection":
        return self


class Rotation(AbstractSymmetry):
    """Quarter turns in the plane of two directions of equal extent, about the centre of the array.

    Args:
        plane: The two directions.
        turns: Number of quarter turns.

    Raises:
        NotASymmetryError: On call, if the number of turns is odd and the extents differ.
    """

    plane: tuple[int, int] = eqx.field(static=True)
    turns: int = eqx.field(static=True, default=1)

    @override
    def __call__(self, x: Field) -> Field:
        mu, nu = self.plane
        if self.turns % 2 and x.shape[mu] != x.shape[nu]:
            raise NotASymmetryError(
                f"quarter turn in plane {self.plane}", value=str(x.shape), allowed="equal extents in the plane"
            )
        return jnp.rot90(x, self.turns, axes=self.plane)

    @override
    def inverse(self) -> "Rotation":
        return Rotation(self.plane, -self.turns)


class SignFlip(AbstractSymmetry):
    """Z₂: φ → −φ."""

    @override
    def __call__(self, x: Field) -> Field:
        return -x

    @override
    def inverse(self) -> "SignFlip":
        return self


class Product(AbstractSymmetry):
    """A product of group elements; the last acts first, as in g₁g₂·x = g₁·(g₂·x).

    Args:
        factors: The elements, outermost first.
    """

    factors: tuple[AbstractSymmetry, ...]

    @override
    def __call__(self, x: Field) -> Field:
        for factor in reversed(self.factors):
            x = factor(x)
        return x

    @override
    def inverse(self) -> "Product":
        return Product(tuple(factor.inverse() for factor in reversed(self.factors)))


def generators(lattice: Lattice) -> tuple[AbstractSymmetry, ...]:
    """Unit translations, reflections, quarter turns where extents agree, and the sign flip."""
    d = lattice.ndim
    translations = [Translation(tuple(int(nu == mu) for nu in range(d))) for mu in range(d)]
    reflections = [Reflection(mu) for mu in range(d)]
    rotations = [
        Rotation((mu, nu)) for mu, nu in itertools.combinations(range(d), 2) if lattice.shape[mu] == lattice.shape[nu]
    ]
    return (*translations, *reflections, *rotations, SignFlip())


def random_words(
    elements: tuple[AbstractSymmetry, ...], *, seed: int, n_words: int, length: int = 6
) -> tuple[Product, ...]:
    """Random products of `elements`, reproducible from `seed`."""
    rng = np.random.default_rng(seed)
    return tuple(Product(tuple(elements[i] for i in rng.integers(len(elements), size=length))) for _ in range(n_words))
