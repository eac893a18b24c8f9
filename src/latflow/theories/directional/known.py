"""Exact values of densities on tori and spheres: their integrals, moments and shares of modes."""

import numpy as np

from latflow.actions.directional import SphereModes, TorusModes
from latflow.theories.directional.physics import action
from latflow.theories.directional.table import AbstractDirectionalTable
from latflow.theories.known_value import Known, exactly


def known_values(table: AbstractDirectionalTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name."""
    del shape
    built = action(table)
    found = exactly({"log_z": built.log_z})
    if isinstance(built, TorusModes):
        cosines, sines = built.mean_directions
        return found | arrays({"cosines": cosines, "sines": sines, "shares": _equal(built.n_parts)})
    if isinstance(built, SphereModes):
        return found | arrays({"direction": built.mean_vector, "shares": _equal(built.n_parts)})
    # the density depends on the sum alone
    return found | arrays({"cosines": np.zeros(2), "sines": np.zeros(2)})


def arrays(values: dict[str, np.ndarray]) -> dict[str, Known]:
    """Closed forms of several numbers each."""
    return {name: Known(float("nan"), 0.0, "exact", tuple(map(float, row))) for name, row in values.items()}


def _equal(n: int) -> np.ndarray:
    return np.full(n, 1 / n)
