r"""Symmetries of gauge fields: gauge transformations, the hypercubic group acting on links, charge conjugation.

Each is a map of one configuration that preserves the Haar measure of every link. A link whose orientation is reversed
becomes its adjoint. Reflections and exchanges of directions generate rotations; `link_generators` lists generators of
the whole symmetry group of a lattice.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from latflow._typing import Field, PRNGKey
from latflow.fields.spaces import GaugeSpace
from latflow.fields.symmetry import AbstractSymmetry, NotASymmetryError, Product
from latflow.groups.base import AbstractGroup


class GaugeTransformation(AbstractSymmetry):
    r"""$U_\mu(x)\to\Omega(x)\,U_\mu(x)\,\Omega^\dagger(x+\hat\mu)$.

    Args:
        group: Group of the links and of $\Omega$.
        omega: One element per site.
    """

    group: AbstractGroup
    omega: Field

    @override
    def __call__(self, x: Field) -> Field:
        first = len(self.group.element_shape)
        out = []
        for mu in range(len(x)):
            end = self.group.adjoint(jnp.roll(self.omega, -1, axis=first + mu))
            out.append(self.group.compose(self.group.compose(self.omega, x[mu]), end))
        return jnp.stack(out)

    @override
    def inverse(self) -> "GaugeTransformation":
        return GaugeTransformation(self.group, self.group.adjoint(self.omega))


class LinkTranslation(AbstractSymmetry):
    r"""$(g\cdot U)_\mu(x)=U_\mu(x-s)$.

    Args:
        steps: Displacement s in every direction.
    """

    steps: tuple[int, ...] = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Field:
        first = x.ndim - len(self.steps)
        return jnp.roll(x, self.steps, axis=tuple(range(first, x.ndim)))

    @override
    def inverse(self) -> "LinkTranslation":
        return LinkTranslation(tuple(-step for step in self.steps))


class LinkReflection(AbstractSymmetry):
    """The coordinate `mu` changes sign; the hyperplane through the origin stays, links along `mu` are reversed.

    Args:
        group: Group of the links.
        mu: Direction.
    """

    group: AbstractGroup
    mu: int = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Field:
        axis = x.ndim - len(x) + self.mu - 1
        # the image of the link from x to x + mu begins at the image of x + mu
        turned = self.group.adjoint(jnp.flip(x[self.mu], axis=axis))
        kept = jnp.roll(jnp.flip(x, axis=axis + 1), 1, axis=axis + 1)
        return kept.at[self.mu].set(turned)

    @override
    def inverse(self) -> "LinkReflection":
        return self


class LinkExchange(AbstractSymmetry):
    """Two directions of equal extent are exchanged.

    Args:
        plane: The two directions.

    Raises:
        NotASymmetryError: On call, if their extents differ.
    """

    plane: tuple[int, int] = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Field:
        mu, nu = self.plane
        first = x.ndim - len(x)
        if x.shape[first + mu] != x.shape[first + nu]:
            sites = str(x.shape[first:])
            raise NotASymmetryError(f"exchange of directions {self.plane}", value=sites, allowed="equal extents")
        order = list(range(len(x)))
        order[mu], order[nu] = nu, mu
        return jnp.swapaxes(jnp.stack([x[i] for i in order]), first + mu, first + nu)

    @override
    def inverse(self) -> "LinkExchange":
        return self


class ChargeConjugation(AbstractSymmetry):
    r"""$U\to U^*$, entry by entry.

    Args:
        group: Group of the links.
    """

    group: AbstractGroup

    @override
    def __call__(self, x: Field) -> Field:
        return self.group.conjugate(x)

    @override
    def inverse(self) -> "ChargeConjugation":
        return self


def link_rotation(group: AbstractGroup, plane: tuple[int, int]) -> Product:
    """A quarter turn that takes the first direction of the plane to the second, about the origin."""
    mu, _ = plane
    return Product((LinkReflection(group, mu), LinkExchange(plane)))


def random_gauge_transformation(key: PRNGKey, space: GaugeSpace) -> GaugeTransformation:
    """Independent Haar elements at all sites."""
    return GaugeTransformation(space.group, space.group.haar(key, space.lattice.shape))


def link_generators(key: PRNGKey, space: GaugeSpace) -> tuple[AbstractSymmetry, ...]:
    """Unit translations, reflections, exchanges where extents agree, charge conjugation, two gauge transformations."""
    d, shape, group = space.ndim, space.lattice.shape, space.group
    translations = [LinkTranslation(tuple(int(nu == mu) for nu in range(d))) for mu in range(d)]
    reflections = [LinkReflection(group, mu) for mu in range(d)]
    exchanges = [
        LinkExchange(plane) for plane in itertools.combinations(range(d), 2) if shape[plane[0]] == shape[plane[1]]
    ]
    gauge = [random_gauge_transformation(jax.random.fold_in(key, i), space) for i in range(2)]
    return (*translations, *reflections, *exchanges, ChargeConjugation(group), *gauge)
