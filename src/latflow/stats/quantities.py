"""From measured columns to estimates: quantities that carry their columns, their formula and their words.

An estimator serves Markov chains, columns (chains, n, …), and weighted draws, columns (n, …), alike. `Derived` covers
smooth functions of means, fits included; what needs more brings an estimator of its own.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from latflow.stats.estimates import ConstantSeriesError, Estimate
from latflow.stats.gamma import chain_covariance, chain_estimates
from latflow.stats.propagation import Derive
from latflow.stats.replicas import Along, Chains, Replicas
from latflow.stats.weights import NO_DEGREES, AbstractDraws, weighted_covariance, weighted_estimates
from latflow.words import ObservableWords, plain_words

Series: TypeAlias = Mapping[str, np.ndarray]
"""Measured columns by name."""

Estimates: TypeAlias = dict[str, list[Estimate]]
"""One estimate per component of every quantity."""

LogWeights: TypeAlias = Float[np.ndarray, " n"] | AbstractDraws | Along
"""Of weighted draws, random, quasi-random or with variates; for chains None, `Replicas` for one (1, n, …) whose records
have numbers, or `Chains`."""


Value: TypeAlias = np.ndarray | np.floating | float
"""A number or a vector."""

Formula: TypeAlias = Callable[[Mapping[str, np.ndarray], np.ndarray], Value]
"""From means by column name and the covariance matrix of the data of a fit, empty without one, to a quantity."""


class AbstractEstimator(abc.ABC):
    """Makes estimates of some quantities from measured columns."""

    @abc.abstractmethod
    def words(self) -> Mapping[str, ObservableWords]:
        """The quantities it may give, in the order of tables, and how they are written."""

    @abc.abstractmethod
    def revisions(self) -> Mapping[str, int]:
        """Number of each quantity, raised whenever its formula changes: results of another number are made anew."""

    @abc.abstractmethod
    def columns(self, names: Collection[str]) -> frozenset[str]:
        """The columns that these quantities are made of; names of others are passed over."""

    @abc.abstractmethod
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        """The quantities whose columns are there.

        Args:
            series: Columns (chains, n, …), or (n, …) of weighted draws.
            log_weights: Of weighted draws; None, `Replicas` or `Chains` for chains, see `are_weighted`.

        Raises:
            DataError: If a column cannot be analysed.
        """


def are_weighted(log_weights: LogWeights) -> bool:
    """Whether columns are those of weighted draws, not of chains."""
    return not (log_weights is None or isinstance(log_weights, Replicas | Chains))


@dataclasses.dataclass(frozen=True)
class Fit:
    """Data of a correlated fit: `derive` makes them from the means of `columns`; a fit reads their covariance."""

    columns: tuple[str, ...]
    derive: Derive


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One number or array derived from means.

    Args:
        name: Of the estimate.
        columns: What it is made of.
        derive: Its formula.
        words: How it is written.
        fit: Data whose covariance it needs.
        revision: Raised whenever the formula changes.
    """

    name: str
    columns: tuple[str, ...]
    derive: Formula
    words: ObservableWords
    fit: Fit | None = None
    revision: int = 1


class Derived(AbstractEstimator):
    """Smooth functions of means, linearised together.

    Args:
        quantities: In the order of tables.
        degrees: Powers of the field that columns are proportional to, by name, where above zero: averages of fourth
            powers over quasi-random points are judged by it (`latflow.stats.quasi_tails`).
    """

    def __init__(self, quantities: tuple[Quantity, ...], degrees: Mapping[str, int] = NO_DEGREES) -> None:
        self.quantities = quantities
        self._degrees = degrees

    @override
    def words(self) -> Mapping[str, ObservableWords]:
        return {quantity.name: quantity.words for quantity in self.quantities}

    @override
    def revisions(self) -> Mapping[str, int]:
        return {quantity.name: quantity.revision for quantity in self.quantities}

    @override
    def columns(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(c for quantity in self.quantities if quantity.name in names for c in quantity.columns)

    @override
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        usable = [quantity for quantity in self.quantities if set(quantity.columns) <= set(series)]
        needed = {column for quantity in usable for column in quantity.columns}
        if not usable:
            return {}
        columns = {name: np.asarray(series[name]) for name in series if name in needed}
        covariances = {id(q.fit): _covariance(columns, log_weights, q.fit) for q in usable if q.fit is not None}

        def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {q.name: np.asarray(q.derive(means, covariances.get(id(q.fit), _NONE))) for q in usable}

        return propagated(columns, log_weights, derive, self._degrees)


_NONE = np.zeros((0, 0))


class MeanOf(AbstractEstimator):
    """The mean of one column, under the name of the column; one that never changes has a value and no error.

    Args:
        name: Of the column.
        words: How it is written; its name, spaced, where None.
        revision: Raised whenever the column comes to mean something else.
    """

    def __init__(self, name: str, words: ObservableWords | None = None, *, revision: int = 1) -> None:
        self._name = name
        self._words = words or plain_words(name)
        self._revision = revision

    @override
    def words(self) -> Mapping[str, ObservableWords]:
        return {self._name: self._words}

    @override
    def revisions(self) -> Mapping[str, int]:
        return {self._name: self._revision}

    @override
    def columns(self, names: Collection[str]) -> frozenset[str]:
        return frozenset({self._name} & set(names))

    @override
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        if self._name not in series:
            return {}
        column = np.asarray(series[self._name])
        leading = 1 if are_weighted(log_weights) else 2
        degrees = {self._name: self._words.power}
        try:
            return propagated({self._name: column}, log_weights, lambda means: means, degrees)
        except ConstantSeriesError:
            flat = column.reshape(math.prod(column.shape[:leading]), -1)
            return {self._name: [Estimate(float(v), math.nan, n=len(flat)) for v in flat.mean(axis=0)]}


def propagated(
    columns: Series, log_weights: LogWeights, derive: Derive, degrees: Mapping[str, int] = NO_DEGREES
) -> Estimates:
    """Estimates of chains by the Γ method, of weighted draws by ratios, of others as they say themselves."""
    if log_weights is None or isinstance(log_weights, Replicas | Chains):
        return chain_estimates(columns, derive, replicas=log_weights)
    if isinstance(log_weights, AbstractDraws):
        return log_weights.estimates(columns, derive, degrees)
    return weighted_estimates(columns, log_weights, derive)


def all_estimates(estimators: Collection[AbstractEstimator], series: Series, log_weights: LogWeights) -> Estimates:
    """What all estimators make of the columns; where two give a quantity, the later one counts."""
    return {name: found for each in estimators for name, found in each.estimates(series, log_weights).items()}


def _covariance(series: Series, log_weights: LogWeights, fit: Fit) -> np.ndarray:
    columns = {name: series[name] for name in fit.columns}
    if log_weights is None or isinstance(log_weights, Replicas | Chains):
        return chain_covariance(columns, fit.derive)
    if isinstance(log_weights, AbstractDraws):
        return log_weights.propagated(columns, fit.derive)[1]
    return weighted_covariance(columns, log_weights, fit.derive)
