"""The free field."""

from latflow.actions.scalar import FreeField
from latflow.lattice import Lattice
from latflow.theories.base import Settings
from latflow.theories.free.table import FreeFieldTable
from latflow.theories.physics import Physics
from latflow.theories.scalar.physics import scalar_physics


def action(table: FreeFieldTable, lattice: Lattice) -> FreeField:
    """S at the parameters of the table."""
    return FreeField(lattice, mass_squared=table.mass_squared)


def physics(table: FreeFieldTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of the free field."""
    del settings
    return scalar_physics(action(table, lattice))
