"""The physics of an action that belongs to no theory of the catalogue: what is known by the space of its fields."""

import functools
from collections.abc import Mapping
from typing import Any

from latflow.actions.base import AbstractAction
from latflow.actions.spins import SpinModel
from latflow.fields.compact import SphereSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.observables.base import AbstractObservable
from latflow.observables.plaquette_moments import plaquette_correlator, plaquette_susceptibility, rough_plaquette
from latflow.theories.gauge.fields import gauge_physics, sectors_of_links
from latflow.theories.particles.physics import energy_physics
from latflow.theories.physics import Physics
from latflow.theories.scalar.physics import scalar_physics
from latflow.theories.sectors import AbstractSectors, NoSectors, SignSectors
from latflow.theories.spins.physics import spin_physics


def physics_of(action: AbstractAction) -> Physics:
    """What is measured of the fields of any action.

    Raises:
        TypeError: If nothing is known of fields of its space.
    """
    return _physics(action.space, action)


def sectors_of(action: AbstractAction) -> AbstractSectors:
    """Sectors of the fields of any action; none where nothing is known of its space."""
    return _sectors(action.space)


def stein_fields_of(action: AbstractAction) -> str:
    """The family of control variates of chains of any action, in `latflow.variates.catalogue`.

    Raises:
        TypeError: If there is none for fields of its space.
    """
    return _stein_fields(action.space)


@functools.singledispatch
def _stein_fields(space: AbstractFieldSpace) -> str:
    raise TypeError(f"no Stein fields are known for {type(space).__name__}; allowed: ScalarSpace, GaugeSpace")


@_stein_fields.register
def _lattice_fields(space: ScalarSpace) -> str:
    del space
    return "lattice"


@_stein_fields.register
def _loops(space: GaugeSpace) -> str:
    del space
    return "loops"


def stein_settings_of(action: AbstractAction) -> Mapping[str, Any]:
    """What `AbstractSteinFields.create` needs to know of an action: nothing, or of links roughly their plaquette."""
    return {"centre": rough_plaquette(action)} if _second_moments(action.space, action) else {}


def second_moments_of(action: AbstractAction) -> tuple[AbstractObservable, ...]:
    """Observables of second order that are measured for a reduction of errors, beside those of the theory."""
    return _second_moments(action.space, action)


@functools.singledispatch
def _second_moments(space: AbstractFieldSpace, action: AbstractAction) -> tuple[AbstractObservable, ...]:
    del space, action
    return ()


@_second_moments.register
def _of_plaquettes(space: GaugeSpace, action: AbstractAction) -> tuple[AbstractObservable, ...]:
    del space
    return (plaquette_susceptibility(action), plaquette_correlator(action))


@functools.singledispatch
def _sectors(space: AbstractFieldSpace) -> AbstractSectors:
    del space
    return NoSectors()


@_sectors.register
def _of_scalars(space: ScalarSpace) -> AbstractSectors:
    del space
    return SignSectors()


@_sectors.register
def _of_links(space: GaugeSpace) -> AbstractSectors:
    return sectors_of_links(space)


@functools.singledispatch
def _physics(space: AbstractFieldSpace, action: AbstractAction) -> Physics:
    del action
    raise TypeError(
        f"no observables are known for {type(space).__name__}; "
        "allowed: ScalarSpace, GaugeSpace, EuclideanSpace, or a SpinModel"
    )


@_physics.register
def _scalar(space: ScalarSpace, action: AbstractAction) -> Physics:
    del space
    return scalar_physics(action)


@_physics.register
def _gauge(space: GaugeSpace, action: AbstractAction) -> Physics:
    del space
    return gauge_physics(action)


@_physics.register
def _spins(space: SphereSpace, action: AbstractAction) -> Physics:
    if not isinstance(action, SpinModel):
        raise TypeError(f"no observables are known for {type(action).__name__} on {space.summary}; allowed: SpinModel")
    return spin_physics(action)


@_physics.register
def _particles(space: EuclideanSpace, action: AbstractAction) -> Physics:
    del space
    return energy_physics(action)
