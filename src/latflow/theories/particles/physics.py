"""Energies of points and particles at given parameters, and their physics for the stages of a study."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Configuration
from latflow.actions.base import AbstractAction
from latflow.actions.particles import AbstractEnergy
from latflow.lattice import Lattice
from latflow.observables.directional import Mode
from latflow.observables.particles import Energy, PairDistance, Place, SquaredPairDistance, StateShare
from latflow.observables.scalar import ActionDensity
from latflow.theories.base import AbstractActionTable, Settings
from latflow.theories.particles.estimates import state_estimator
from latflow.theories.particles.states import built, point_moments, second_state
from latflow.theories.particles.table import DoubleWellTable, MuellerBrownTable
from latflow.theories.physics import Physics
from latflow.theories.sectors import ModeSectors, NoSectors

_NAMES = {
    "double-well": ("the left well", "the right well"),
    "mueller-brown": ("the deepest minimum", "the other minima"),
}


def action(table: AbstractActionTable, lattice: Lattice | None = None) -> AbstractEnergy:
    """S at the parameters of the table; there is no lattice."""
    del lattice
    return built(table)


def physics(table: AbstractActionTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of an energy."""
    del settings
    within = second_state(table)
    of_energy = energy_physics(action(table, lattice))
    sectors, further = NoSectors(), (StateShare(within),)
    if isinstance(table, DoubleWellTable | MuellerBrownTable):
        share = point_moments(table).share
        further = (*further, Mode(_both(within)))
        sectors = ModeSectors(_NAMES[table.kind], (1 - share, share))
    return of_energy._replace(
        observables=(*of_energy.observables, *further),
        estimators=(state_estimator(),),
        sectors=sectors,
    )


def energy_physics(built: AbstractAction) -> Physics:
    """What is measured of any energy: itself, and distances of pairs or the place of a point."""
    own = (PairDistance(), SquaredPairDistance()) if len(built.space.shape) == 2 else (Place(),)
    energy = (Energy(built.energy),) if isinstance(built, AbstractEnergy) else ()
    return Physics(
        action=built,
        observables=(ActionDensity(built), *energy, *own),
        estimators=(),
        sectors=NoSectors(),
        starts=("action_density",),
        compared=(),
    )


def _both(within: Callable[[Configuration], Float[Array, " n"]]) -> Callable[[Configuration], Float[Array, "2"]]:
    """The larger number is that of the state in which a point is."""
    return lambda x: jnp.concatenate([1 - within(x), within(x)])
