"""The free field is solved on every lattice."""

from latflow.theories.free.table import FreeFieldTable
from latflow.theories.known_value import Known
from latflow.theories.scalar.known import free_values


def known_values(table: FreeFieldTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name."""
    return free_values(shape, mass_squared=table.mass_squared)
