"""φ⁴ theory: its action in the house normalisation, whichever one the study used."""

from latflow.actions.scalar import PhiFour
from latflow.lattice import Lattice
from latflow.theories.base import Settings
from latflow.theories.phi4.table import HoppingPhiFourTable, PhiFourTable
from latflow.theories.physics import Physics
from latflow.theories.scalar.physics import scalar_physics


def action(table: PhiFourTable | HoppingPhiFourTable, lattice: Lattice) -> PhiFour:
    """S at the parameters of the table."""
    mass_squared, coupling = table.house(lattice.ndim)
    return PhiFour(lattice, mass_squared=mass_squared, coupling=coupling)


def physics(table: PhiFourTable | HoppingPhiFourTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of φ⁴ theory."""
    del settings
    return scalar_physics(action(table, lattice))
