"""The physics of a theory at given parameters: its action, what is measured of its fields, what may be lost.

The stages of a study ask only this. An action of one's own, in no room, is served by the space of its fields.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from latflow.actions.base import AbstractAction
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.observables.base import AbstractObservable
from latflow.stats.quantities import AbstractEstimator
from latflow.theories.sectors import AbstractSectors
from latflow.words import ObservableWords


class Physics(NamedTuple):
    """What the stages of a study need to know of a theory.

    Attributes:
        action: S.
        observables: Columns that are measured of every configuration.
        estimators: What makes estimates from the columns.
        sectors: What a sampler may lose.
        starts: Columns in which chains of all starts must agree; one that no chain changes is passed over.
        compared: Estimates in which the draws of a flow and chains must agree; the same in every sector.
        back: Re-projects configurations, one per chain, after rounding drift; None where there is none.
        further: Columns of one number per record that stand inside a measured one, by name.
    """

    action: AbstractAction
    observables: tuple[AbstractObservable, ...]
    estimators: tuple[AbstractEstimator, ...]
    sectors: AbstractSectors
    starts: tuple[str, ...]
    compared: tuple[str, ...]
    back: Callable[[Array], Array] | None = None
    further: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]] = lambda columns: {}

    @property
    def all_estimators(self) -> tuple[AbstractEstimator, ...]:
        """The estimators of the theory, then those that observables bring themselves."""
        own = (observable.estimator() for observable in self.observables)
        return (*self.estimators, *(found for found in own if found is not None))

    @property
    def all_compared(self) -> tuple[str, ...]:
        """The estimates that a verdict compares, those of observables that are blind to sectors included."""
        return (*self.compared, *(o.name for o in self.observables if o.sector_blind and o.words is not None))

    def words(self) -> dict[str, ObservableWords]:
        """How all its estimates are written."""
        return {name: words for each in self.all_estimators for name, words in each.words().items()}


def physics_of(action: AbstractAction) -> Physics:
    """What is known of any action by the space of its fields.

    Raises:
        TypeError: If nothing is known of fields of this space.
    """
    return _physics(action.space, action)


@functools.singledispatch
def _physics(space: AbstractFieldSpace, action: AbstractAction) -> Physics:
    del action
    raise TypeError(f"no observables are known for {type(space).__name__}; allowed: ScalarSpace, GaugeSpace")


@_physics.register
def _scalar(space: ScalarSpace, action: AbstractAction) -> Physics:
    from latflow.theories.scalar.physics import scalar_physics

    del space
    return scalar_physics(action)


@_physics.register
def _gauge(space: GaugeSpace, action: AbstractAction) -> Physics:
    from latflow.theories.gauge.fields import gauge_physics

    del space
    return gauge_physics(action)
