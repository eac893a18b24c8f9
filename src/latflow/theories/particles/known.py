"""Exact values of a point, by quadrature, and of four particles in the plane, by convolution; LJ13 by Monte Carlo."""

from latflow.theories.base import AbstractActionTable
from latflow.theories.known_value import MC, Known, exactly
from latflow.theories.particles.estimates import difference
from latflow.theories.particles.states import pair_moments, point_moments
from latflow.theories.particles.table import (
    DoubleWellPairsTable,
    DoubleWellTable,
    LennardJonesTable,
    MuellerBrownTable,
)

LJ13 = {"log_z": Known(39.2494, 0.0045, MC), "energy": Known(0.543, 0.020, MC)}
"""Of the defaults, ε = 1: tempering in the strength of the pairs from the Gaussian, differences by Bennett's ratio."""


def known_values(table: AbstractActionTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name; empty where nothing is known."""
    del shape
    if isinstance(table, DoubleWellTable | MuellerBrownTable):
        point = point_moments(table)
        found = {"log_z": point.log_z, "energy": table.temperature * point.energy, "state_share": point.share}
    elif isinstance(table, DoubleWellPairsTable) and (pairs := pair_moments(table)) is not None:
        found = {
            "log_z": pairs.log_z,
            "energy": table.temperature * pairs.energy,
            "state_share": pairs.share_below(table.offset),
            "pair_distance": pairs.mean(pairs.distances),
            "squared_pair_distance": pairs.mean(pairs.distances**2),
        }
    elif table == LennardJonesTable(kind="lj13"):
        return LJ13
    else:
        return {}
    return exactly(found | {"free_energy_difference": float(difference(found["state_share"]))})
