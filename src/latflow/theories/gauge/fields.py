"""Observables and sectors of links, whatever their action."""

import functools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Inexact

from latflow.actions.base import AbstractAction
from latflow.fields.field_strength import has_charge
from latflow.fields.gradient_flow import GradientFlow
from latflow.fields.spaces import GaugeSpace
from latflow.groups import U1
from latflow.observables.base import AbstractObservable
from latflow.observables.flowed import AlongTheFlow
from latflow.observables.gauge import gauge_observables, largest_loops
from latflow.observables.smeared import SmearedWilsonLoops
from latflow.stats.flowed import CLOVER_CHARGE, charge_column
from latflow.stats.quantities import AbstractEstimator
from latflow.theories.base import Settings
from latflow.theories.gauge.estimates import ChargeEstimator, FlowedEstimator, LoopEstimator
from latflow.theories.physics import Physics
from latflow.theories.sectors import AbstractSectors, ChargeSectors, NoSectors

STARTS = ("plaquette", "rectangle", "polyakov_squared", "topological_charge", CLOVER_CHARGE)
"""Columns in which chains of all starts must agree."""

COMPARED = ("plaquette", "rectangle", "polyakov_loop_squared", "topological_charge_squared")
"""Estimates in which a flow and chains must agree."""


class Beside(NamedTuple):
    """Measurements that a study may add to the observables of its theory.

    Attributes:
        flowed: Energies and charge along the gradient flow.
        smeared: Loops whose sides in space are smeared.
    """

    flowed: AlongTheFlow | None = None
    smeared: SmearedWilsonLoops | None = None


def gauge_physics(
    action: AbstractAction, *, beside: Beside | None = None, charges: tuple[tuple[int, float], ...] = ()
) -> Physics:
    """Observables, estimators and sectors of links.

    Args:
        action: S on a `GaugeSpace`.
        beside: Further measurements.
        charges: Exact shares of topological charges, where known.
    """
    space = action.space
    if not isinstance(space, GaugeSpace):
        raise TypeError(f"links live on a GaugeSpace, not on {type(space).__name__}")
    beside = beside or Beside()
    flowed = beside.flowed
    asked: tuple[AbstractObservable, ...] = tuple(found for found in beside if found is not None)
    return Physics(
        action=action,
        observables=gauge_observables(space, action) + asked,
        estimators=_estimators(space, flowed),
        sectors=sectors_of_links(space, charges),
        starts=STARTS,
        compared=COMPARED,
        back=functools.partial(_reunitarised, space) if space.group.element_shape else None,
        further=charge_column if flowed is not None and has_charge(space) else lambda columns: {},
    )


def measured_beside(space: GaugeSpace, settings: Settings) -> Beside:
    """The further measurements that the tables of a study name."""
    flow, smearing = settings.get("gradient_flow"), settings.get("smearing")
    flowed = smeared = None
    if flow is not None and flow.kind != "none":
        velocity = GradientFlow(space) if flow.kind == "wilson" else GradientFlow.symanzik(space)
        flowed = AlongTheFlow(velocity, flow.spacing, flow.records, flow.tolerance)
    if smearing is not None and smearing.kind != "none":
        steps = largest_loops(space.lattice.shape)
        smeared = SmearedWilsonLoops(space, *steps, alpha=smearing.alpha, n_steps=smearing.steps)
    return Beside(flowed, smeared)


def _estimators(space: GaugeSpace, flowed: AlongTheFlow | None) -> tuple[AbstractEstimator, ...]:
    shape = space.lattice.shape
    volume = math.prod(shape)
    found: list[AbstractEstimator] = [LoopEstimator(shape, space.group.name)]
    if _has_integer_charge(space):
        found.append(ChargeEstimator(volume))
    if flowed is not None:
        found.append(FlowedEstimator(np.asarray(flowed.times), volume))
    return tuple(found)


def sectors_of_links(space: GaugeSpace, charges: tuple[tuple[int, float], ...] = ()) -> AbstractSectors:
    """Topological charges where they are integers and lattice fields have them; elsewhere none.

    Args:
        space: Of the links.
        charges: Exact shares of charges, where known.
    """
    return ChargeSectors(charges) if _has_integer_charge(space) else NoSectors()


def _has_integer_charge(space: GaugeSpace) -> bool:
    return type(space.group) is U1 and space.ndim == 2


@eqx.filter_jit
def _reunitarised(space: GaugeSpace, x: Inexact[Array, "chains *shape"]) -> Inexact[Array, "chains *shape"]:
    return jax.vmap(space.reunitarised)(x)
