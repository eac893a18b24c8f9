r"""Null tests of control variates: what must hold if their mean is zero, and how large a bias would be seen.

Means are compared with zero in units of their scatter over independent groups: whole chains, or where chains are few,
blocks of them that are long against the autocorrelation time. Over n groups this is Student's t with n − 1 degrees of
freedom, whose tails are far from normal where n is small. Every test looks at many numbers, and its probability is
that of the farthest one times their number (Bonferroni).

A test says as much as it can see. `NullTests.seen` is the bias that would be refused in 95 of 100 cases, by the
noncentral t distribution: with three chains that are too short to be cut, hardly any.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, stats

from latflow.stats.cross_fitting import CrossFit, Series
from latflow.stats.gamma import gamma_estimate

LEAST_PROBABILITY = 1e-3
"""Null tests fail below this probability: a false alarm in one of 1000 analyses for every test."""

POWER = 0.95
"""Share of the cases in which a bias of the size that is called seen is refused."""

GROUPS = 16
"""Where there are fewer chains, they are cut into blocks until there are so many groups."""

BLOCK = 40
"""Least length of a block in autocorrelation times: the means of neighbours are correlated by about 1/80 then."""


_SIGHTED = 3
"""With fewer degrees of freedom a mean must be off by fifty errors and more to be refused: nothing is seen."""


@dataclasses.dataclass(frozen=True)
class NullTests:
    """What must hold of variates of mean zero, as probabilities of a larger deviation, times the numbers looked at.

    Attributes:
        variates: Mean of every variate in units of its error.
        means: All of them are zero: by the one that is farthest from it.
        corrections: The mean correction of every observable is zero: plain and corrected value agree.
        folds: The coefficients of one other fold alone give the same value, for every observable; 1 where there are
            two folds only, which have no other.
        seen: The bias that `corrections` refuses with probability `POWER`, for every observable; zero for one that is
            not corrected.
        plain_errors: Errors of the plain means from the same groups, to compare it with.
        groups: Least number of independent groups that a mean correction was compared over.
    """

    variates: Float[np.ndarray, " variates"]
    means: float
    corrections: Float[np.ndarray, " observables"]
    folds: Float[np.ndarray, " observables"]
    seen: Float[np.ndarray, " observables"]
    plain_errors: Float[np.ndarray, " observables"]
    groups: int

    @property
    def passed(self) -> Bool[np.ndarray, " observables"]:
        """Whether the corrected value of every observable may be shown: no probability below `LEAST_PROBABILITY`."""
        each = np.minimum(self.corrections, self.folds)
        return (each > LEAST_PROBABILITY) & (self.means > LEAST_PROBABILITY)


def null_tests(fit: CrossFit, f: Series) -> NullTests:
    """Test that the variates have mean zero, by their means and by what they do to the averages.

    Args:
        fit: Of `cross_fit`.
        f: The variates it was made with.
    """
    correction = fit.plain - fit.corrected
    variates, corrections = _Means.of(f), _Means.of(correction)
    # of two folds, the others of one are the other one alone: the difference is rounding
    folds = _Means.of(fit.another - fit.corrected) if len(fit.coefficients) > 2 else None
    return NullTests(
        variates=variates.pulls,
        means=float(variates.probabilities().min(initial=1.0)),
        corrections=corrections.probabilities(),
        folds=np.ones(correction.shape[2]) if folds is None else folds.probabilities(),
        seen=corrections.seen(),
        plain_errors=np.array([_scatter(each, groups) for each, groups in _columns(fit.plain, corrections.groups)]),
        groups=int(min(corrections.groups[corrections.moving], default=len(f))),
    )


@dataclasses.dataclass(frozen=True)
class _Means:
    """Means of series that should be zero, with their scatter over independent groups."""

    values: Float[np.ndarray, " n"]
    errors: Float[np.ndarray, " n"]
    groups: np.ndarray

    @classmethod
    def of(cls, series: Series) -> "_Means":
        groups = np.array([_groups(series[:, :, i]) for i in range(series.shape[2])], dtype=int)
        errors = [_scatter(each, n) for each, n in _columns(series, groups)]
        return cls(series.mean(axis=(0, 1)), np.array(errors), groups)

    @property
    def moving(self) -> Bool[np.ndarray, " n"]:
        """Series that are not zero everywhere."""
        return (self.values != 0) | (self.errors > 0)

    @property
    def pulls(self) -> Float[np.ndarray, " n"]:
        """Means in units of their errors, 0 for what is zero everywhere."""
        errors = np.maximum(self.errors, np.finfo(float).tiny)
        return np.divide(self.values, errors, where=self.moving, out=np.zeros_like(self.values))

    def probabilities(self) -> Float[np.ndarray, " n"]:
        """Of a larger deviation on either side, times the number of series that were looked at."""
        return np.minimum(1.0, 2 * stats.t.sf(np.abs(self.pulls), self.groups - 1) * max(self.moving.sum(), 1))

    def seen(self) -> Float[np.ndarray, " n"]:
        """Shifts of the means that make these probabilities fall below the least one in a share `POWER` of cases."""
        level = LEAST_PROBABILITY / max(int(self.moving.sum()), 1)
        shifts = {int(n): _shift(level, int(n) - 1) for n in set(self.groups[self.moving])}
        return self.errors * np.array([shifts.get(int(n), 0.0) for n in self.groups])


def _columns(series: Series, groups: np.ndarray) -> list[tuple[Float[np.ndarray, "chains n"], int]]:
    return [(series[:, :, i], int(n)) for i, n in enumerate(groups)]


def _groups(series: Float[np.ndarray, "chains n"]) -> int:
    """Into how many groups chains are cut: as they are, or each into as many blocks as it may and as are needed."""
    chains, records = series.shape
    wanted = -(-GROUPS // chains)
    if wanted == 1 or not np.any(series != series[0, 0]):
        return chains
    tau = max(gamma_estimate(series).tau_int or 0.5, 0.5)
    return chains * max(1, min(wanted, int(records / (BLOCK * tau))))


def _scatter(series: Float[np.ndarray, "chains n"], groups: int) -> float:
    """Error of the mean, from the scatter of the means of equally long blocks; what is left over begins the chains."""
    chains, records = series.shape
    length = records // (groups // chains)
    means = series[:, records % length :].reshape(groups, length).mean(axis=1)
    return float(means.std(ddof=1) / math.sqrt(groups))


def _shift(level: float, degrees: int) -> float:
    """How many errors a mean must be off to be refused with probability `POWER`; infinite below `_SIGHTED` degrees."""
    limit = float(stats.t.isf(level / 2, degrees))
    if degrees < _SIGHTED:
        return math.inf
    found = optimize.root_scalar(
        lambda shift: float(stats.nct.sf(limit, degrees, shift)) - POWER, bracket=(0.0, 2 * limit + 10)
    )
    return float(found.root)
