"""Densities on tori and spheres at given parameters, and their physics for the stages of a study."""

from latflow.actions.directional import (
    AbstractDirectional,
    AbstractModes,
    CorrelatedAngles,
    SphereModes,
    TorusModes,
)
from latflow.fields.compact import SphereSpace
from latflow.lattice import Lattice
from latflow.observables.base import AbstractObservable
from latflow.observables.directional import Cosines, Direction, Mode, Shares, Sines
from latflow.observables.scalar import ActionDensity
from latflow.theories.base import Settings
from latflow.theories.directional.table import (
    AbstractDirectionalTable,
    SphereModesTable,
    TorusCorrelatedTable,
    TorusModesTable,
)
from latflow.theories.physics import Physics
from latflow.theories.sectors import ModeSectors, NoSectors


def action(table: AbstractDirectionalTable, lattice: Lattice | None = None) -> AbstractDirectional:
    """S at the parameters of the table; there is no lattice."""
    del lattice
    match table:
        case TorusModesTable():
            return TorusModes(table.centres, concentration=table.concentration)
        case SphereModesTable():
            return SphereModes(table.directions, concentration=table.concentration)
        case TorusCorrelatedTable():
            return CorrelatedAngles(concentration=table.concentration, centre=table.centre)
    raise TypeError(f"table: {type(table).__name__}; allowed: a table of this room")


def physics(table: AbstractDirectionalTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of a density on a torus or a sphere."""
    del settings
    built = action(table, lattice)
    moments: tuple[AbstractObservable, ...] = (
        (Direction(),) if isinstance(built.space, SphereSpace) else (Cosines(), Sines())
    )
    if not isinstance(built, AbstractModes):
        return physics_of(built, moments, NoSectors())
    names = tuple(f"mode {i + 1}" for i in range(built.n_parts))
    sectors = ModeSectors(names) if built.n_parts > 1 else NoSectors()
    return physics_of(built, (*moments, Shares(built.parts), Mode(built.parts)), sectors)


def physics_of(
    built: AbstractDirectional, observables: tuple[AbstractObservable, ...], sectors: ModeSectors | NoSectors
) -> Physics:
    """Of any density of angles or unit vectors: S itself tells whether chains of all starts agree."""
    return Physics(
        action=built,
        observables=(ActionDensity(built), *observables),
        estimators=(),
        sectors=sectors,
        starts=("action_density",),
        compared=(),
    )
