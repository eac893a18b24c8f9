"""Gauge theories: their actions at given parameters, and their physics for the stages of a study."""

import math

from latflow.actions import exact_gauge
from latflow.actions.gauge import DBW2, IWASAKI, LUESCHER_WEISZ, AbstractLinkAction, ImprovedAction, WilsonAction
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.theories.base import Settings
from latflow.theories.gauge.estimates import LARGEST_CHARGE
from latflow.theories.gauge.fields import gauge_physics, measured_beside
from latflow.theories.gauge.table import ImprovedTable, WilsonTable
from latflow.theories.physics import Physics

COEFFICIENTS = {"luscher-weisz": LUESCHER_WEISZ, "iwasaki": IWASAKI, "dbw2": DBW2}
"""c₁ of the improved actions by their words."""


def action(table: WilsonTable | ImprovedTable, lattice: Lattice) -> AbstractLinkAction:
    """S at the parameters of the table."""
    group = named(table.group)
    if table.kind == "wilson":
        return WilsonAction(lattice, group, beta=table.beta)
    return ImprovedAction(lattice, group, beta=table.beta, c1=COEFFICIENTS[table.improvement])


def physics(table: WilsonTable | ImprovedTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of a gauge theory."""
    built = action(table, lattice)
    return gauge_physics(built, beside=measured_beside(built.space, settings), charges=_charges(table, lattice))


def _charges(table: WilsonTable | ImprovedTable, lattice: Lattice) -> tuple[tuple[int, float], ...]:
    """Exact shares of topological charges; known for Wilson's action of U(1) in two dimensions."""
    if table.kind != "wilson" or table.group != "U(1)" or lattice.ndim != 2:
        return ()
    volume = math.prod(lattice.shape)
    shares = exact_gauge.u1_charge_distribution(table.beta, volume=volume, largest=LARGEST_CHARGE)
    return tuple((q - LARGEST_CHARGE, float(share)) for q, share in enumerate(shares))
