r"""Weighted averages with variates: polynomials of what draws are made of, whose means over the draws are zero.

The mean $\hat\mu=\sum_iw_ix_i/\sum_iw_i$ moves with every draw by its influence $w_i(x_i-\hat\mu)/\sum_jw_j$. What
variates $h_i$ explain of it by least squares is noise with mean zero, and $\hat\mu-\frac1N\sum_ih_i\cdot c$ is the
better mean. Coefficients come from other draws than those they correct: of random draws from other shares, of
quasi-random ones from other scramblings (`latflow.stats.cross_fitting`). So does the decision whether to correct a mean
at all; a mean whose error would rest on a few draws of the tail is left as it is.

Over scramblings the variates' part in the *scatter of their means* counts, which the points have evened out already
where averages are smooth. There the correction is multiplied by the factor that serves the other scramblings best.
Polynomials whose outermost draws most scramblings miss should not be among them (`latflow.flows.hermite`).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from latflow.stats.cross_fitting import LEAST_GAIN, CrossFit, Series, cross_fit
from latflow.stats.estimates import Estimate, NonFiniteSeriesError, SeriesShapeError
from latflow.stats.propagation import Derive, Layout, Linearisation, linearise, pack, require_usable
from latflow.stats.quasi_tails import missed_tails, rests_on_tail
from latflow.stats.replicas import Along
from latflow.stats.scramblings import Scrambled, scattered
from latflow.stats.weights import NO_DEGREES, AbstractDraws, influences, named_estimates, relative_weights

SHARES = 16
"""Shares of random draws that are corrected with coefficients of other ones."""

FEWEST_TERMS = 50
"""Draws that a corrected average's error must rest on: with fewer, errors came out two to three times too small."""

FEWEST_TERMS_OF_POINTS = 200
"""The same where the error is the scatter of scramblings, which points make smaller than the bulk."""

LEAST_LOSS = 1.5
"""A quantity keeps its plain value where variates multiply its variance by more than this."""

_DAMPED = tuple(1 - 0.8 ** np.arange(1, 24))
"""Parts of corrections that are tried where the whole leaves too few draws, from small ones to large ones."""

DRAWS_PER_VARIATE = 50
"""With fewer draws for every variate the coefficients would be noise: of few draws only the first variates are used."""


class _Moved(NamedTuple):
    """What moves the means of all columns.

    Attributes:
        by_draws: By how much every draw does.
        by_integration: Covariance of what errors of log q may do at most.
    """

    by_draws: Float[np.ndarray, "n total"]
    by_integration: Float[np.ndarray, "total total"]


@dataclasses.dataclass(frozen=True)
class Varied(AbstractDraws):
    """Weighted draws with variates.

    Args:
        draws: Log-weights of random draws (any array), or quasi-random ones; what stands for a Markov chain is refused.
        variates: One row per draw; of mean zero over the draws, whatever their weights; the most useful ones first.
        log_q_error: Standard deviation of errors of log q, under the weights, where draws were integrated with few
            steps. An average moves by no more than this in units of the standard deviation of what is averaged; errors
            hold it in quadrature, since they may become much smaller than those it was chosen for.

    Raises:
        TypeError: If these are no weighted draws but a Markov chain.
        SeriesShapeError: If there are not as many rows as draws.
        NonFiniteSeriesError: If `log_q_error` is no number of 0 or more.
    """

    draws: Float[Any, " n"] | Scrambled | Along
    variates: Float[Any, "rows variates"]
    log_q_error: float = 0.0

    def __post_init__(self) -> None:
        """Refuse variates of other draws, and of what is no weighted draw."""
        if isinstance(self.draws, Along):
            allowed = "log-weights of draws of a flow; over a Markov chain (HMC, Metropolis) their means are not zero"
            raise TypeError(f"variates of {type(self.draws).__name__}, a Markov chain; allowed: {allowed}")
        if not (np.isfinite(self.log_q_error) and self.log_q_error >= 0):
            value = f"{self.log_q_error}"
            raise NonFiniteSeriesError("log_q_error", value=value, allowed="a finite standard deviation, 0 or more")
        if len(self.variates) != self.log_weights.size:
            value = f"{len(self.variates)} rows"
            raise SeriesShapeError("variates", value=value, allowed=f"{self.log_weights.size}, one per log-weight")

    @property
    @override
    def n_draws(self) -> int:
        return self.log_weights.size

    @property
    def log_weights(self) -> Float[np.ndarray, " n"]:
        """Ln w of every draw."""
        return self.draws.log_weights if isinstance(self.draws, Scrambled) else np.asarray(self.draws)

    @property
    def groups(self) -> int:
        """Independent groups of draws: scramblings, or shares of random draws, the last of which may be smaller."""
        return self.draws.scramblings if isinstance(self.draws, Scrambled) else SHARES

    @property
    def _scramblings(self) -> int:
        return self.draws.scramblings if isinstance(self.draws, Scrambled) else 0

    @property
    def used(self) -> int:
        """How many variates there are draws for; 0 also where there is one scrambling."""
        return min(self.variates.shape[1], len(self.variates) // DRAWS_PER_VARIATE) if self.groups > 1 else 0

    @classmethod
    def of_no_variates(cls, draws: Float[Any, " n"] | Scrambled, log_q_error: float) -> "Varied":
        """Draws whose averages are the plain ones, with errors that hold what errors of log q may do."""
        return cls(draws, np.zeros((draws.n_draws if isinstance(draws, Scrambled) else draws.size, 0)), log_q_error)

    @override
    def propagated(
        self, series: Mapping[str, np.ndarray], derive: Derive
    ) -> tuple[Linearisation, Float[np.ndarray, "quantities quantities"]]:
        linear, moved = self._linearised(series, derive)
        return linear, self._covariance(linear, moved)

    @override
    def estimates(
        self, series: Mapping[str, np.ndarray], derive: Derive, degrees: Mapping[str, int] = NO_DEGREES
    ) -> dict[str, list[Estimate]]:
        linear, moved = self._linearised(series, derive)
        bounds = None
        if isinstance(self.draws, Scrambled):  # judged without variates: they leave the tail, which is the flow's
            plain, w = influences(series, self.log_weights)[2], relative_weights(self.log_weights)
            bounds = rests_on_tail(plain, linear.jacobian, w, missed_tails(series, degrees, w))
        return named_estimates(linear, self._covariance(linear, moved), n=self.n_draws, bounds=bounds)

    def _linearised(self, series: Mapping[str, np.ndarray], derive: Derive) -> tuple[Linearisation, _Moved]:
        """The quantities at the corrected means, and what moves these."""
        layout, means, moved = self._corrected(series)
        return linearise(derive, layout, means, errors=np.sqrt(np.sum(moved.by_draws**2, axis=0))), moved

    def _covariance(self, linear: Linearisation, moved: _Moved) -> Float[np.ndarray, "quantities quantities"]:
        if isinstance(self.draws, Scrambled):
            found = scattered(moved.by_draws, linear, self.draws.scramblings)
        else:
            found = linear.jacobian @ (moved.by_draws.T @ moved.by_draws) @ linear.jacobian.T
        return found + linear.jacobian @ moved.by_integration @ linear.jacobian.T

    def _corrected(self, series: Mapping[str, np.ndarray]) -> tuple[Layout, Float[np.ndarray, " total"], _Moved]:
        """Means of all columns, corrected, and what moves them."""
        w = relative_weights(self.log_weights)
        layout, matrix = pack(series, leading=1)
        if len(matrix) != w.size:
            raise SeriesShapeError("series", value=f"{len(matrix)} rows", allowed=f"{w.size}, one per log-weight")
        kept, p = w > 0, w / w.sum()
        require_usable(layout, matrix[kept])
        matrix[~kept] = 0.0
        centred = matrix - p @ matrix
        plain = p[:, None] * centred
        correction = self._correction(matrix, w) if self.used else np.zeros_like(matrix)
        correction *= _damping(plain, correction / w.size, scramblings=self._scramblings)
        means = p @ matrix - correction.mean(axis=0)
        n = matrix.shape[1]
        by_integration = self.log_q_error**2 * (plain.T @ centred) if self.log_q_error else np.zeros((n, n))
        return layout, means, _Moved(p[:, None] * (matrix - means) - correction / w.size, by_integration)

    def _correction(
        self, matrix: Float[np.ndarray, "n total"], w: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n total"]:
        """What is taken from every draw: variates times coefficients of other groups, where these say it helps."""
        variates = np.asarray(self.variates)[:, : self.used]
        y, f, weights = (self._grouped(each) for each in (matrix, variates, w))
        fit = cross_fit(y, f, weights=weights)
        parts = fit.plain - fit.corrected
        of_others = _factors(fit, f, means=isinstance(self.draws, Scrambled))
        found = (parts * of_others[fit.folds][:, None]).reshape(-1, matrix.shape[1])
        return found[: len(matrix)] * (len(matrix) / len(found))

    def _grouped(self, rows: Float[np.ndarray, "n *more"]) -> Float[np.ndarray, "groups each *more"]:
        """With less than a row per group of zeros at the end, whose weights and variates are zero as well."""
        missing = np.zeros((-len(rows) % self.groups, *rows.shape[1:]))
        return np.concatenate([rows, missing]).reshape(self.groups, -1, *rows.shape[1:])


def unless_worse(
    plain: Mapping[str, list[Estimate]], corrected: Mapping[str, list[Estimate]]
) -> dict[str, list[Estimate]]:
    """Corrected estimates; plain ones of names whose variance the correction multiplied.

    A difference of means, such as ⟨M²⟩ − ⟨|M|⟩², has a larger error where variates help one of them and not the other:
    what both fluctuate together does not cancel any more.

    Args:
        plain: Without variates.
        corrected: With them, of the same draws.
    """
    return {
        name: plain[name] if name in plain and _worse(plain[name], found) else found
        for name, found in corrected.items()
    }


def _worse(plain: list[Estimate], corrected: list[Estimate]) -> bool:
    before, after = (np.sum(np.square([each.error for each in found])) for found in (plain, corrected))
    return bool(after > LEAST_LOSS * before)


def _damping(
    plain: Float[np.ndarray, "n total"], correction: Float[np.ndarray, "n total"], *, scramblings: int
) -> Float[np.ndarray, " total"]:
    r"""What every correction is multiplied by: 1 if what the whole leaves is made of enough draws.

    Variates take away the bulk of an influence and leave its tail. Where that is heavy, a handful of draws make up
    the error, and most runs have not met those that count. So much of the bulk stays that the tail is no more than
    its share: the largest factor of `_DAMPED` that does it, 0 if none. The number of draws is
    $(\sum s^2)^2/\sum s^4$, and has to be `FEWEST_TERMS`. The factor is chosen from the draws themselves: a run that
    met its tail is damped, one that missed it is not.

    Points even out the bulk but not the tail. So of the bulk only the scatter of scramblings counts, against the tail
    that the whole correction leaves, and `FEWEST_TERMS_OF_POINTS` are wanted.
    """
    s, c = plain - plain.mean(axis=0), correction - correction.mean(axis=0)
    left = s - c  # by itself: what is left may be far smaller than what its powers are summed of
    whole, bulk = np.sum(left**4, axis=0), _squares(s, c)
    fewest = FEWEST_TERMS_OF_POINTS if scramblings else FEWEST_TERMS
    evened = _squares_of_sums(s, c, scramblings) if scramblings else bulk
    fourths = [whole] if scramblings else [np.sum(s ** (4 - k) * c**k, axis=0) for k in range(5)]
    found = np.zeros(s.shape[1])
    for factor in _DAMPED:
        square = np.minimum(_powers(factor, bulk), _powers(factor, evened))
        found[square**2 >= fewest * _powers(factor, fourths)] = factor
    found[np.sum(left**2, axis=0) ** 2 >= fewest * whole] = 1.0
    return found


def _squares(s: Float[np.ndarray, "rows total"], c: Float[np.ndarray, "rows total"]) -> list[np.ndarray]:
    return [np.sum(a * b, axis=0) for a, b in ((s, s), (s, c), (c, c))]


def _squares_of_sums(
    s: Float[np.ndarray, "rows total"], c: Float[np.ndarray, "rows total"], scramblings: int
) -> list[np.ndarray]:
    sums = (each.reshape(scramblings, -1, each.shape[1]).sum(axis=1) for each in (s, c))
    return [scramblings / (scramblings - 1) * each for each in _squares(*sums)]


def _powers(factor: float, sums: list[Float[np.ndarray, " total"]]) -> Float[np.ndarray, " total"]:
    """Sum of a power of s − factor · c, from the sums of the products of powers of s and c."""
    n = len(sums) - 1
    return np.sum([math.comb(n, k) * (-factor) ** k * each for k, each in enumerate(sums)], axis=0)


def _factors(fit: CrossFit, f: Float[np.ndarray, "_ _ _"], *, means: bool) -> Float[np.ndarray, "folds total"]:
    """By what corrections of a fold are multiplied, from all other folds: 0 where they say that it does not help.

    Args:
        fit: Its coefficients of a fold come from all others.
        f: The variates.
        means: Whether the scatter of group means counts, as that of scramblings does, or that of draws.
    """
    y, v = (each.mean(axis=1, keepdims=True) if means else each for each in (fit.plain, f))
    others = (fit.folds != k for k in range(len(fit.coefficients)))
    return np.stack([_factor(y[o], v[o] @ c) for o, c in zip(others, fit.coefficients, strict=True)])


def _factor(y: Series, v: Series) -> Float[np.ndarray, " total"]:
    """By what corrections v of y should be multiplied, 0 where they do not help."""
    y, v = (each.reshape(-1, each.shape[2]) for each in (y, v))
    y, v = y - y.mean(axis=0), v - v.mean(axis=0)
    along, size = np.sum(y * v, axis=0), np.sum(v**2, axis=0)
    factor = np.clip(np.divide(along, size, out=np.zeros_like(size), where=size > 0), 0.0, 1.0)
    before, after = np.sum(y**2, axis=0), np.sum((y - factor * v) ** 2, axis=0)
    return np.where(before > LEAST_GAIN * after, factor, 0.0)
