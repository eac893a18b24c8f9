r"""Whether the scatter of scramblings can be the error of an average: how heavy the tail is that it sums.

Quasi-random points even out what is smooth, the bulk of the terms $w_i(x_i-\mu)$ of an average. What is left of its
error are the few largest terms, which most scramblings meet too rarely. Their scatter says how large the error is only
if its own variance is finite, so a tail with finite fourth moment, k < 1/4, is needed where independent draws need
k < 1/2; and as many terms as are behind the error of independent draws must be there for the tail to be known.

The tail index is taken from all points of all scramblings. They are not independent, but the tail of their weights is
that of the flow. What an observable does by itself is not held against the flow: of |M|, M² and what is made of them a
few points are the tail even with equal weights, and the scatter of scramblings is their error. So the terms are
compared with those without weights, x − μ: the weights must have made the tail, and left fewer terms. The Binder
cumulant and other averages of fourth powers go further. Points even out all but the outermost one or two of every
scrambling; of $z^4$ these are so uneven that most sets of 16 have missed the largest, and more points hardly help.
Their error is a lower bound with equal weights, too. No number made of the terms themselves tells those that missed the
tail from those that have none: samples that missed it have a smaller kurtosis. So columns say of which degree in the
field they are, and what depends on one of degree four or more is a lower bound unless the bulk of the draws says that z
has no tail to be missed, as in a broken phase. That is read from a quantile of $z^2$, which points know well and which
knows nothing of the outermost draws. Where no degree is told the kurtosis of x − μ is what is left to go by. log Z has
terms w − ⟨w⟩; it is judged where weights are heavy, for of nearly equal ones the tail is of no account. Limits are
those of ``benchmarks/quasi_reliability.py``, see docs/results/reliability.md.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from latflow.stats.propagation import pack
from latflow.stats.weights import pareto_k

QUASI_TAIL_LIMIT = 0.2
"""Largest k̂ of an average of quasi-random draws: 1/4, less what k̂ is uncertain by in 16 000 draws."""

FEWEST_TERMS_BEHIND = 200.0
"""Fewest terms (Σs²)²/Σs⁴ behind an average of quasi-random draws."""

OWN_TAIL = 0.1
"""A tail is that of the weights where its k̂ is larger by this than without them."""

OWN_TERMS = 2 / 3
"""Few terms are the weights' doing where there are fewer than this share of those without them."""

OWN_KURTOSIS = 64.0
"""Largest kurtosis of x − μ with a tail: 15 of z², 46 of the susceptibility of |M|, 207 of z⁴, 639 of the Binder
cumulant, with z normal; of 4096 points it comes out as 14, 40, 110 and 180 in the middle."""

STEEP = 4
"""Degree in the field from which on an average is a lower bound, unless there is no tail that could be missed."""

OUTER, OUTER_SIZE = 0.98, 4.3
"""Where there is none, so large a part of the draws has a root of degree two below so many times its mean, or less. For
z² that is 5.4 with z normal, 4.1 with density exp(−z⁴/4), 2.7 with the vacua of exp(z² − z⁴/4)."""

HEAVY = 2.0
"""Largest weight over the mean one from which on log Z is judged."""


def rests_on_tail(
    influence: Float[np.ndarray, "n total"],
    jacobian: Float[np.ndarray, "quantities total"],
    weights: Float[np.ndarray, " n"],
    missed: Bool[np.ndarray, " total"] | None = None,
) -> Bool[np.ndarray, " quantities"]:
    """Whether the error of a quantity rests on the tail of what it sums, so that it is a lower bound.

    Args:
        influence: By how much every draw moves the means.
        jacobian: Of the quantities by the means; one that is not a number says nothing.
        weights: Of the draws, relative to any constant.
        missed: Means whose tail most scramblings miss, from `missed_tails`; what depends on one is a lower bound.
    """
    p = weights[:, None]
    without = np.divide(influence, p, out=np.zeros_like(influence), where=p > 0)
    kept = np.count_nonzero(weights) / len(weights)
    found = [_rests_on_tail(influence @ row, without @ row, kept=kept) for row in jacobian]
    steep = np.zeros(influence.shape[1], dtype=bool) if missed is None else missed
    # exactly zero where a quantity does not depend on a mean; a NaN says nothing
    return np.array(found, dtype=bool) | np.any(np.abs(jacobian[:, steep]) > 0, axis=1)


def missed_tails(
    series: Mapping[str, np.ndarray], degrees: Mapping[str, int], weights: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, " total"]:
    """Which means are fourth powers, or higher ones, of something whose tail most scramblings miss.

    Args:
        series: Columns (n,) or (n, k) by name, one row per draw; not read where the weight is zero.
        degrees: Powers of the field that columns are proportional to, by name; others are not judged.
        weights: Of the draws, relative to any constant.

    Returns:
        One for every column of numbers, in the order of `pack`: whether its degree is `STEEP` or more, and its root of
        degree two is above `OUTER_SIZE` for more of the target than `OUTER` leaves.
    """
    layout, matrix = pack(series, leading=1)
    kept = weights > 0
    p = weights[kept] / weights[kept].sum()
    missed = np.zeros(matrix.shape[1], dtype=bool)
    for name, where in zip(layout.names, layout.offsets(), strict=True):
        degree = degrees.get(name, 0)
        if degree >= STEEP:
            root = np.abs(matrix[kept, where]) ** (2 / degree)
            missed[where] = p @ (root > OUTER_SIZE * (p @ root)) > 1 - OUTER
    return missed


def log_z_rests_on_tail(weights: Float[np.ndarray, " n"]) -> bool:
    """Whether the error of ln⟨w⟩ rests on the tail of the weights.

    Args:
        weights: Of the draws, relative to any constant.
    """
    share = weights / weights.mean()
    return bool(share.max() > HEAVY) and _is_heavy(share - 1)


def _rests_on_tail(terms: Float[np.ndarray, " n"], without: Float[np.ndarray, " n"], *, kept: float) -> bool:
    """Whether terms have a tail or are few, and would not without weights; a share `kept` has any weight."""
    if not (np.all(np.isfinite(terms)) and np.all(np.isfinite(without)) and _is_heavy(terms)):
        return False
    behind, own = _behind(terms), _behind(without) / kept
    if len(terms) > OWN_KURTOSIS * own and _tail(without) > QUASI_TAIL_LIMIT:
        return True
    if behind >= own:
        return False
    if behind < FEWEST_TERMS_BEHIND and behind < OWN_TERMS * own:
        return True
    tail = _tail(terms)
    return tail > QUASI_TAIL_LIMIT and tail > _tail(without) + OWN_TAIL


def _is_heavy(terms: Float[np.ndarray, " n"]) -> bool:
    """Terms that are all of one size, or zero, have no tail; of a few different ones none is known."""
    return bool(np.any(terms)) and (_behind(terms) < FEWEST_TERMS_BEHIND or _tail(terms) > QUASI_TAIL_LIMIT)


def _behind(terms: Float[np.ndarray, " n"]) -> float:
    """(Σs²)²/Σs⁴, the number of terms behind an error; infinite where all are zero."""
    squares = _squares(terms)
    return float(squares.sum() ** 2 / np.sum(squares**2)) if np.any(squares) else math.inf


def _tail(terms: Float[np.ndarray, " n"]) -> float:
    """k̂ of the sizes of terms; −∞ where they have no tail, or none is known."""
    squares = _squares(terms)
    logarithms = np.log(squares, where=squares > 0, out=np.full_like(squares, -math.inf)) / 2
    tail = pareto_k(logarithms) if np.any(squares) else -math.inf
    return tail if math.isfinite(tail) else -math.inf


def _squares(terms: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    largest = np.max(np.abs(terms))
    return (terms / largest) ** 2 if largest > 0 else np.zeros_like(terms)
