"""The physics of a theory at given parameters: its action, its observables and estimators, its sectors.

The stages of a study need no more than this.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from latflow.actions.base import AbstractAction
from latflow.observables.base import AbstractObservable
from latflow.stats.gamma import slow_modes
from latflow.stats.quantities import AbstractEstimator
from latflow.stats.replicas import Chains, Replicas
from latflow.theories.sectors import AbstractSectors
from latflow.words import ObservableWords


class Physics(NamedTuple):
    """What the stages of a study need to know of a theory.

    Attributes:
        action: S.
        observables: Columns that are measured of every configuration.
        estimators: They make estimates from the columns.
        sectors: Sectors that a sampler may miss.
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

    def along(self, series: Mapping[str, np.ndarray], replicas: Replicas | None = None) -> Chains:
        """The slow quantities of chains: of all columns of one number per record, and of squares of odd ones.

        Args:
            series: Columns (chains, n, …) by name.
            replicas: Numbers of the records, where they have gaps or replicas of different lengths.
        """
        charges = self.further(series)
        scalars = {name: column for name, column in {**series, **charges}.items() if np.ndim(column) == 2}
        odd = [name for name in (*self.sectors.columns, *charges) if name in scalars]
        squares = {f"{name}²": np.asarray(scalars[name], dtype=float) ** 2 for name in odd}
        return Chains(replicas, slow_modes({**scalars, **squares}, replicas))

    def words(self) -> dict[str, ObservableWords]:
        """How all its estimates are written."""
        return {name: words for each in self.all_estimators for name, words in each.words().items()}
