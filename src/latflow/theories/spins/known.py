"""Exact values of spin models: rings, 2×2 sites, narrow strips of the XY model."""

import functools
import math

from latflow.actions import exact_spins
from latflow.theories.known_value import Known, exactly
from latflow.theories.spins.estimates import second_moment
from latflow.theories.spins.table import ONTable, XYTable


def known_values(table: XYTable | ONTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name; empty where nothing is known."""
    components = table.components if isinstance(table, ONTable) else 2
    return _known(components, table.beta, shape)


@functools.cache
def _known(components: int, beta: float, shape: tuple[int, ...]) -> dict[str, Known]:
    found = _moments(components, beta, shape)
    if found is None:
        return {}
    length = float(second_moment(found.susceptibility, found.structure)) / (2 * math.sin(math.pi / max(shape)))
    values = {
        "spin_product": found.spin_product,
        "spin_susceptibility": found.susceptibility,
        "spin_correlation_length": length,
        "log_z": found.log_z,
    }
    return exactly(values | ({} if math.isnan(found.helicity) else {"helicity_modulus": found.helicity}))


def _moments(components: int, beta: float, shape: tuple[int, ...]) -> exact_spins.SpinMoments | None:
    if len(shape) == 1 and shape[0] > 1:
        return exact_spins.ring(shape[0], components=components, beta=beta)
    if len(shape) != 2:
        return None
    width, length = sorted(shape)
    if components == 2 and exact_spins.strip_is_narrow(width, beta):
        return exact_spins.xy_strip(width, length, beta=beta)
    return exact_spins.two_by_two(components=components, beta=beta) if shape == (2, 2) else None
