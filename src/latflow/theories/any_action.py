"""The physics of an action that belongs to no theory of the catalogue: what is known by the space of its fields."""

import functools

from latflow.actions.base import AbstractAction
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.theories.gauge.fields import gauge_physics
from latflow.theories.physics import Physics
from latflow.theories.scalar.physics import scalar_physics


def physics_of(action: AbstractAction) -> Physics:
    """What is measured of the fields of any action.

    Raises:
        TypeError: If nothing is known of fields of its space.
    """
    return _physics(action.space, action)


@functools.singledispatch
def _physics(space: AbstractFieldSpace, action: AbstractAction) -> Physics:
    del action
    raise TypeError(f"no observables are known for {type(space).__name__}; allowed: ScalarSpace, GaugeSpace")


@_physics.register
def _scalar(space: ScalarSpace, action: AbstractAction) -> Physics:
    del space
    return scalar_physics(action)


@_physics.register
def _gauge(space: GaugeSpace, action: AbstractAction) -> Physics:
    del space
    return gauge_physics(action)
