"""The two states of a point or of pairs, the energies of this room, and what is known of them exactly."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import Configuration
from latflow.actions import exact_particles
from latflow.actions.exact_particles import PairMoments, PointMoments
from latflow.actions.particles import (
    AbstractEnergy,
    DoubleWell,
    DoubleWellPairs,
    LennardJones,
    MuellerBrown,
)
from latflow.fields.euclidean import pair_distances
from latflow.theories.base import AbstractActionTable
from latflow.theories.particles.table import (
    DoubleWellPairsTable,
    DoubleWellTable,
    LennardJonesTable,
    MuellerBrownTable,
)

DIVIDE = 1.45
"""y − x at the higher saddle of Müller and Brown's potential: below are its two minor minima."""
BOND = 1.5
"""Pairs of a Lennard-Jones cluster nearer than this many r_m are neighbours."""


def built(table: AbstractActionTable) -> AbstractEnergy:
    """S at the parameters of the table."""
    values = dict(table.values())
    match table:
        case DoubleWellTable():
            return DoubleWell(**values)
        case MuellerBrownTable():
            return MuellerBrown(**values)
        case DoubleWellPairsTable():
            return DoubleWellPairs(table.particles, table.dimension, **values)
        case LennardJonesTable():
            return LennardJones(table.particles, table.dimension, **values)
    raise TypeError(f"table: {type(table).__name__}; allowed: a table of this room")


def second_state(table: AbstractActionTable) -> Callable[[Configuration], Float[Array, " n"]]:
    """1 where a point, or a pair, is in the second of two states.

    Of a double well that is the right one; of Müller and Brown's potential the side of its minor minima; of pairs the
    nearer ones.
    """
    match table:
        case DoubleWellTable():
            return lambda x: jnp.where(x[:1] > 0, 1.0, 0.0)
        case MuellerBrownTable():
            return lambda x: jnp.where(x[1:] - x[:1] < DIVIDE, 1.0, 0.0)
        case DoubleWellPairsTable():
            return lambda x: jnp.where(pair_distances(x) < table.offset, 1.0, 0.0)
        case LennardJonesTable():
            return lambda x: jnp.where(pair_distances(x) < BOND * table.radius, 1.0, 0.0)
    raise TypeError(f"table: {type(table).__name__}; allowed: a table of this room")


def point_moments(table: DoubleWellTable | MuellerBrownTable) -> PointMoments:
    """By quadrature."""
    if isinstance(table, DoubleWellTable):
        return exact_particles.double_well_moments(tilt=table.tilt, temperature=table.temperature)
    return _mueller_brown(table.scale, table.temperature)


def pair_moments(table: DoubleWellPairsTable) -> PairMoments | None:
    """By one convolution for every distance of a pair; None but for four particles in the plane."""
    if (table.particles, table.dimension) != (4, 2):
        return None
    return _four_particles(table.quartic, table.quadratic, table.linear, table.offset, table.temperature)


@functools.cache
def _mueller_brown(scale: float, temperature: float) -> PointMoments:
    each = jax.jit(jax.vmap(jax.vmap(MuellerBrown(scale=scale, temperature=temperature))))

    def energy(x: Float[np.ndarray, "m n"], y: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m n"]:
        return np.asarray(each(jnp.stack([jnp.asarray(x), jnp.asarray(y)], axis=-1)))

    return exact_particles.plane_moments(energy, divide=DIVIDE)


@functools.cache
def _four_particles(a: float, b: float, c: float, d0: float, temperature: float) -> PairMoments:
    def pair(d: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        u = d - d0
        return (a * u**4 + b * u**2 + c * u) / temperature

    return exact_particles.four_particles(pair, largest=exact_particles.double_well_reach(pair, d0))
