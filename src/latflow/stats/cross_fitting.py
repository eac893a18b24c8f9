r"""Control variates fitted by cross-fitting: smaller errors without bias.

Variates f have a known mean, zero, and are correlated with what was measured, y. The corrected series $y-f\cdot c$ has
the mean of y for every constant c, and the smallest variance where c solves the least squares of y on f. Coefficients
fitted to the records that they correct would pull the mean; here they come from other groups. Groups are whatever is
independent: Markov chains, scramblings, shares of independent draws.

`latflow.stats.null_tests` checks afterwards what must hold if the variates have mean zero. Only then is a corrected
value shown.

References:
    Zero-variance estimators: R. Assaraf, M. Caffarel, Phys. Rev. Lett. 83 (1999) 4682.
"""

import dataclasses
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from latflow.stats.estimates import NonFiniteSeriesError, SeriesShapeError, TooShortError

FEWEST_GROUPS = 2
"""Fewer independent groups cannot be cross-fitted: coefficients would come from the records that they correct."""

FOLDS = 8
"""Folds where no number is given and there are as many groups."""

LEAST_GAIN = 1.1
"""A correction helps where it divides the held-out variance by more than this."""

_RIDGE = 1e-8

Series: TypeAlias = Float[np.ndarray, "_ _ _"]
"""Of every group and record, several numbers."""


@dataclasses.dataclass(frozen=True)
class CrossFit:
    """Series before and after a correction whose coefficients come from other groups.

    Attributes:
        plain: The series to average; of weighted draws value plus influence, whose mean is the ratio.
        corrected: The same less variates times coefficients.
        another: The same with the coefficients of one other fold alone, for the null test.
        coefficients: Of every fold, from all the other ones.
        folds: Fold of every group.
        variance_ratio: Variance of `plain` over that of `corrected`, naive; every record was held out of its fit.
        helps: Whether the ratio is above `LEAST_GAIN`.
    """

    plain: Series
    corrected: Series
    another: Series
    coefficients: Float[np.ndarray, "folds variates observables"]
    folds: Int[np.ndarray, " groups"]
    variance_ratio: Float[np.ndarray, " observables"]
    helps: Bool[np.ndarray, " observables"]

    @property
    def chosen(self) -> Series:
        """The corrected series where it helps, else the plain one."""
        return np.where(self.helps, self.corrected, self.plain)


def cross_fit(
    y: Series, f: Series, *, weights: Float[np.ndarray, "_ _"] | None = None, folds: int | None = None
) -> CrossFit:
    r"""Correct series by variates of mean zero, every group with coefficients of the other folds.

    Args:
        y: Observables; axis 0 counts independent groups.
        f: Variates of the same records, whose mean over the records is known to be zero.
        weights: Of weighted draws, relative to any constant. Averages are then $\sum wy/\sum w$, and f must be what has
            mean zero over the draws themselves: polynomials of the prior as they are, variates of the target times w.
        folds: Number of folds of whole groups; by default `FOLDS`, or one for each group if there are fewer.

    Raises:
        TooShortError: With fewer than `FEWEST_GROUPS` groups, or fewer than 2 folds.
        SeriesShapeError: If y and f are not of the same records, or there are more folds than groups.
        NonFiniteSeriesError: If a number is not finite.
    """
    _require(y, f, weights)
    fold = _fold_of_group(len(y), folds)
    plain = y if weights is None else _with_influence(y, weights)
    centre, scale = plain.mean(axis=(0, 1)), _scales(f)
    scaled = f / scale
    moments = _moments(plain - centre, scaled, fold)
    whole, n_variates = moments.sum(axis=0), f.shape[2]
    held_out = np.stack([_solve(whole - part, n_variates) for part in moments])
    alone = np.stack([_solve(part, n_variates) for part in np.roll(moments, -1, axis=0)])
    corrected = plain - _applied(scaled, held_out, fold)
    ratio = _ratio(plain, corrected)
    return CrossFit(
        plain=plain,
        corrected=corrected,
        another=plain - _applied(scaled, alone, fold),
        coefficients=held_out / scale[:, None],
        folds=fold,
        variance_ratio=ratio,
        helps=ratio > LEAST_GAIN,
    )


def _require(y: Series, f: Series, weights: np.ndarray | None) -> None:
    """Refuse series that do not belong together, and too few groups."""
    if y.ndim != 3 or f.ndim != 3 or y.shape[:2] != f.shape[:2]:
        raise SeriesShapeError("variates", value=f"{f.shape}", allowed=f"groups and records of {y.shape}")
    if weights is not None and weights.shape != y.shape[:2]:
        raise SeriesShapeError("weights", value=f"{weights.shape}", allowed=f"{y.shape[:2]}")
    if len(y) < FEWEST_GROUPS:
        hint = "coefficients must come from other chains than those they correct"
        raise TooShortError("chains", value=str(len(y)), allowed=f"at least {FEWEST_GROUPS}", hint=hint)
    for name, series in (("observables", y), ("variates", f), ("weights", weights)):
        if series is not None and not np.all(np.isfinite(series)):
            raise NonFiniteSeriesError(name, value="NaN or infinity", allowed="finite numbers")


def _fold_of_group(groups: int, folds: int | None) -> Int[np.ndarray, " groups"]:
    """Fold of every group; folds differ by one group at most."""
    n = min(FOLDS, groups) if folds is None else folds
    if n < FEWEST_GROUPS:
        raise TooShortError("folds", value=str(n), allowed=f"at least {FEWEST_GROUPS}")
    if n > groups:
        raise SeriesShapeError("folds", value=str(n), allowed=f"at most {groups}, the number of chains")
    return np.arange(groups) * n // groups


def _with_influence(y: Series, weights: Float[np.ndarray, "groups records"]) -> Series:
    """Weighted average plus the influence of every draw, w(y − μ)/⟨w⟩: its plain mean is the ratio."""
    w = weights[..., None] / weights.mean()
    value = (w * y).mean(axis=(0, 1))
    return value + w * (y - value)


def _scales(f: Series) -> Float[np.ndarray, " variates"]:
    """Root mean square of every variate; 1 for those that are zero everywhere."""
    size = np.sqrt(np.mean(f**2, axis=(0, 1)))
    return np.where(size > 0, size, 1.0)


def _moments(y: Series, f: Series, fold: Int[np.ndarray, " groups"]) -> Float[np.ndarray, "folds n n"]:
    """Of every fold, the sums of products of (1, variates, observables)."""
    out = []
    for k in range(int(fold.max()) + 1):
        rows = np.concatenate([np.ones((*y[fold == k].shape[:2], 1)), f[fold == k], y[fold == k]], axis=2)
        flat = rows.reshape(-1, rows.shape[2])
        out.append(flat.T @ flat)
    return np.stack(out)


def _solve(moments: Float[np.ndarray, "n n"], n_variates: int) -> Float[np.ndarray, "variates observables"]:
    """Least squares with a constant, from sums of products; directions without variance get nothing."""
    means = moments[0, 1:] / moments[0, 0]
    covariance = moments[1:, 1:] / moments[0, 0] - np.outer(means, means)
    values, vectors = np.linalg.eigh(covariance[:n_variates, :n_variates])
    ridge = _RIDGE * max(float(values[-1]), np.finfo(float).tiny)
    kept = vectors[:, values > ridge]
    inverse = 1 / (values[values > ridge] + ridge)
    return kept @ (inverse[:, None] * (kept.T @ covariance[:n_variates, n_variates:]))


def _applied(f: Series, coefficients: Float[np.ndarray, "folds v o"], fold: Int[np.ndarray, " groups"]) -> Series:
    """Variates times the coefficients of the fold of their group."""
    return np.stack([group @ coefficients[k] for group, k in zip(f, fold, strict=True)])


def _ratio(plain: Series, corrected: Series) -> Float[np.ndarray, " observables"]:
    """Variance before over variance after; 1 for what never changes."""
    before, after = plain.var(axis=(0, 1)), corrected.var(axis=(0, 1))
    moves = (before > 0) & (after > 0)
    return np.where(moves, before, 1.0) / np.where(moves, after, 1.0)
