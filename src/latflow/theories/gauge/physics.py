"""Gauge theories: their actions at given parameters, and their physics for the stages of a study."""

import math

from typing_extensions import override

from latflow._typing import Field, Scalar, Tangent
from latflow.actions import exact_gauge
from latflow.actions.base import AbstractAction
from latflow.actions.gauge import DBW2, IWASAKI, LUESCHER_WEISZ, ImprovedAction, WilsonAction
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.observables.gauge import GaugeActionDensity
from latflow.theories.base import Settings
from latflow.theories.gauge.estimates import LARGEST_CHARGE
from latflow.theories.gauge.fields import gauge_physics, measured_beside
from latflow.theories.gauge.table import ImprovedTable, LinksTable, WilsonTable
from latflow.theories.physics import Physics

COEFFICIENTS = {"luscher-weisz": LUESCHER_WEISZ, "iwasaki": IWASAKI, "dbw2": DBW2}
"""c₁ of the improved actions by their words."""


class UnknownAction(AbstractAction):
    """The action of links that another code has made: there is none to evaluate, only the space.

    Args:
        space: Space of the links.
    """

    space: AbstractFieldSpace

    @override
    def __call__(self, x: Field) -> Scalar:
        raise ConfigError(["action.kind: given_links; allowed: a theory whose action is known"])

    @override
    def force(self, x: Field) -> Tangent:
        raise ConfigError(["action.kind: given_links; allowed: a theory whose action is known"])


def action(table: WilsonTable | ImprovedTable | LinksTable, lattice: Lattice) -> AbstractAction:
    """S at the parameters of the table."""
    group = named(table.group)
    if isinstance(table, LinksTable):
        return UnknownAction(GaugeSpace(lattice, group))
    if isinstance(table, WilsonTable):
        return WilsonAction(lattice, group, beta=table.beta)
    return ImprovedAction(lattice, group, beta=table.beta, c1=COEFFICIENTS[table.improvement])


def physics(table: WilsonTable | ImprovedTable | LinksTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of a gauge theory; without an action there is no density of it."""
    built = action(table, lattice)
    beside = measured_beside(GaugeSpace(lattice, named(table.group)), settings)
    found = gauge_physics(built, beside=beside, charges=_charges(table, lattice))
    if not isinstance(table, LinksTable):
        return found
    return found._replace(observables=tuple(o for o in found.observables if type(o) is not GaugeActionDensity))


def _charges(table: WilsonTable | ImprovedTable | LinksTable, lattice: Lattice) -> tuple[tuple[int, float], ...]:
    """Exact shares of topological charges; known for Wilson's action of U(1) in two dimensions."""
    if table.kind != "wilson" or table.group != "U(1)" or lattice.ndim != 2:
        return ()
    volume = math.prod(lattice.shape)
    shares = exact_gauge.u1_charge_distribution(table.beta, volume=volume, largest=LARGEST_CHARGE)
    return tuple((q - LARGEST_CHARGE, float(share)) for q, share in enumerate(shares))
