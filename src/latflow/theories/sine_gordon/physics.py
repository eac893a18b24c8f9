r"""Sine-Gordon theory, $S=\sum_x[\sum_\mu(\phi_{x+\hat\mu}-\phi_x)^2+m^2\phi_x^2+\alpha(1-\cos\phi_x)]$.

A small mass makes the weight normalisable: the vacua φ = 2πn are then not degenerate, and a sampler may
miss one of them.
"""

import math
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.actions.base import AbstractLocalAction
from latflow.actions.scalar import HOUSE_BOND, FreeField
from latflow.arguments import finite, positive
from latflow.fields.spaces import AbstractFieldSpace
from latflow.lattice import Lattice
from latflow.observables.cosine import MeanCosine
from latflow.theories.base import Settings
from latflow.theories.physics import Physics
from latflow.theories.scalar.physics import scalar_physics
from latflow.theories.sectors import VacuumSectors
from latflow.theories.sine_gordon.table import SineGordonTable


class CosinePotential(AbstractLocalAction):
    r"""$S=\sum_x\alpha(1-\cos\phi_x)$: sites without bonds, cheap to integrate finely.

    Args:
        lattice: In any dimension.
        alpha: $\alpha\ge0$.
    """

    space: AbstractFieldSpace
    alpha: Scalar

    def __init__(self, lattice: Lattice, *, alpha: float | Scalar) -> None:
        self.space = FreeField(lattice, mass_squared=1.0).space
        self.alpha = finite("action.alpha", alpha)

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        self.space.require(x)
        return self.alpha * jnp.sum(1 - jnp.cos(x))

    @override
    def force(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        self.space.require(x)
        return self.alpha * jnp.sin(x)

    @override
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self.alpha * (jnp.cos(x) - jnp.cos(proposal))


class SineGordon(AbstractLocalAction):
    r"""$S=\sum_x[\sum_\mu(\phi_{x+\hat\mu}-\phi_x)^2+m^2\phi_x^2+\alpha(1-\cos\phi_x)]$.

    Args:
        lattice: Periodic lattice in any dimension.
        mass_squared: $m^2>0$ in lattice units.
        alpha: $\alpha\ge0$; at zero the free field.
    """

    space: AbstractFieldSpace
    mass_squared: Scalar
    alpha: Scalar

    def __init__(self, lattice: Lattice, *, mass_squared: float | Scalar, alpha: float | Scalar) -> None:
        self.space = FreeField(lattice, mass_squared=1.0).space
        self.mass_squared = positive("action.mass_squared", mass_squared)
        self.alpha = finite("action.alpha", alpha)

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        positive("action.mass_squared", values["mass_squared"])

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        return sum((term(x) for term in self.terms), jnp.zeros(()))

    @override
    def force(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        free, potential = self.terms
        return free.force(x) + potential.force(x)

    @property
    @override
    def terms(self) -> tuple[AbstractLocalAction, ...]:
        lattice = Lattice(self.space.shape)
        return FreeField(lattice, mass_squared=self.mass_squared), CosinePotential(lattice, alpha=self.alpha)

    @property
    @override
    def bond(self) -> float:
        return HOUSE_BOND

    @override
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        free, potential = self.terms
        return free.site_difference(x, proposal) + potential.site_difference(x, proposal)


def action(table: SineGordonTable, lattice: Lattice) -> SineGordon:
    """S at the parameters of the table."""
    return SineGordon(lattice, mass_squared=table.mass_squared, alpha=table.alpha)


def physics(table: SineGordonTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of sine-Gordon theory."""
    del settings
    cost = table.mass_squared * (2 * math.pi) ** 2 * lattice.volume
    return scalar_physics(action(table, lattice), sectors=VacuumSectors(cost), observables=(MeanCosine(),))
