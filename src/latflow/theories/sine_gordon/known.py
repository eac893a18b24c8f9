"""Exact values of sine-Gordon theory: the free field at α = 0, rings of sites by their transfer matrix."""

import functools
import math

import numpy as np

from latflow.actions import exact
from latflow.theories.known_value import Known, exactly
from latflow.theories.scalar.known import free_values, ring_values
from latflow.theories.sine_gordon.table import SineGordonTable

_TAIL = 120.0
"""The nodes end where the Gaussian part of the weight has fallen by e^−120."""

_SPACING, _WIDTHS = 0.12, 0.4
"""Largest distance of the nodes, and in units of the width of a site; trapezoidal sums then err by e^−40 or less."""

_LARGEST = 2500
"""Largest number of nodes for which the transfer matrix is used."""


def known_values(table: SineGordonTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name; empty where nothing is known."""
    if table.alpha == 0:
        free = free_values(shape, mass_squared=table.mass_squared)
        return free | exactly({"cos_phi": math.exp(-free["phi_squared"].value / 2)})
    if shape == (2, 2):
        # both neighbours in a direction are the same site: a ring of four whose bonds count twice
        return _ring(table.mass_squared, table.alpha, 4, 4.0)
    return _ring(table.mass_squared, table.alpha, shape[0], 2.0) if len(shape) == 1 and shape[0] > 1 else {}


@functools.cache
def _ring(mass_squared: float, alpha: float, n: int, bond: float) -> dict[str, Known]:
    half = math.sqrt(_TAIL / mass_squared)
    stiffness = bond + mass_squared + alpha / 2
    nodes = math.ceil(2 * half / min(_SPACING, _WIDTHS / math.sqrt(stiffness))) + 1
    if nodes > _LARGEST:
        return {}
    x = np.linspace(-half, half, nodes)
    site = (bond + mass_squared) * x**2 + alpha * (1 - np.cos(x))
    moments = exact.ring(n, x, site, bond=bond, observables={"cos_phi": np.cos(x)})
    return ring_values(moments) | exactly({"cos_phi": moments.means["cos_phi"]})
