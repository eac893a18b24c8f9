"""Known values of Wilson's gauge theory: characters on two-dimensional tori, published and independent numbers in four.

Charge and Polyakov loop vanish by symmetry on every finite torus; these zeros are listed only in two dimensions, where
chains can be expected to reach all sectors.
"""

import math

import numpy as np

from latflow.actions import exact_gauge
from latflow.theories.gauge.estimates import LARGEST_CHARGE
from latflow.theories.gauge.table import ImprovedTable, LinksTable, WilsonTable
from latflow.theories.known_value import MC, Known, exactly

_LARGEST_LOOP = 3

_FOUR_DIMENSIONS = {
    ("SU(3)", (8, 8, 8, 8), 5.5): Known(0.4964, 0.0005, "plaquette in the header of a heat-bath configuration of GPT"),
    ("SU(3)", (8, 8, 8, 8), 6.0): Known(0.59409, 0.00025, MC),
    ("SU(3)", (8, 8, 8, 4), 3.36): Known(0.23439, 0.00018, "SIMULATeQCD"),
    ("SU(2)", (8, 8, 8, 8), 2.2): Known(0.56947, 0.00020, MC),
}
"""The plaquette."""


def known_values(table: WilsonTable | ImprovedTable | LinksTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name; empty where nothing is known."""
    if not isinstance(table, WilsonTable):
        return {}
    if len(shape) == 2:
        return exactly(_two_dimensions(shape, table)) | _distribution(shape, table)
    for (group, table_shape, beta), known in _FOUR_DIMENSIONS.items():
        if (group, table_shape) == (table.group, shape) and math.isclose(beta, table.beta):
            return {"plaquette": known}
    return {}


def _two_dimensions(shape: tuple[int, ...], action: WilsonTable) -> dict[str, float]:
    volume, beta = math.prod(shape), action.beta
    loops = {area: _loop(action, volume, area) for area in (1, 2, 3, 4, 6, 9) if area < volume}
    lines = _polyakov_squared(action, *shape)
    known = {
        "plaquette": loops[1],
        "action_density": beta * (1 - loops[1]),
        "polyakov_loop": 0.0,
        "polyakov_loop_squared": lines,
        "polyakov_susceptibility": shape[0] * lines,
    }
    space, time = (min(_LARGEST_LOOP, extent - 1) for extent in shape)
    if min(shape) > 2:
        known["rectangle"] = loops[2]
    for r in range(1, space + 1):
        for t in range(max(r, 2), time + 1):
            known[f"wilson_loop_{r}x{t}"] = loops[r * t]
    for r in range(2, min(space, time) + 1):
        known[f"creutz_ratio_{r}x{r}"] = -float(np.log(loops[r * r] * loops[(r - 1) ** 2] / loops[r * (r - 1)] ** 2))
    return known | _partition_and_charge(action, volume)


def _loop(action: WilsonTable, volume: int, area: int) -> float:
    if action.group == "U(1)":
        return exact_gauge.u1_wilson_loop(action.beta, volume=volume, area=area)
    return exact_gauge.sun_wilson_loop(_colours(action), action.beta, volume=volume, area=area)


def _polyakov_squared(action: WilsonTable, space: int, time: int) -> float:
    if action.group == "U(1)":
        return exact_gauge.u1_polyakov_squared(action.beta, space=space, time=time)
    return exact_gauge.sun_polyakov_squared(_colours(action), action.beta, space=space, time=time)


def _partition_and_charge(action: WilsonTable, volume: int) -> dict[str, float]:
    if action.group != "U(1)":
        return {"log_z": exact_gauge.sun_log_z(_colours(action), action.beta, volume=volume)}
    squared = exact_gauge.u1_charge_squared(action.beta, volume=volume)
    return {
        "log_z": exact_gauge.u1_log_z(action.beta, volume=volume),
        "topological_charge": 0.0,
        "topological_charge_squared": squared,
        "topological_susceptibility": squared / volume,
    }


def _distribution(shape: tuple[int, ...], action: WilsonTable) -> dict[str, Known]:
    if action.group != "U(1)":
        return {}
    shares = exact_gauge.u1_charge_distribution(action.beta, volume=math.prod(shape), largest=LARGEST_CHARGE)
    return {"topological_charge_distribution": Known(math.nan, 0.0, "exact", tuple(map(float, shares)))}


def _colours(action: WilsonTable) -> int:
    return int(action.group[3:-1])
