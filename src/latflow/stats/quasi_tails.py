r"""Whether the scatter of scramblings can be the error of an average: how heavy the tail is that it sums.

Quasi-random points even out what is smooth, the bulk of the terms $w_i(x_i-\mu)$ of an average. What is left of its
error are the few largest terms, which most scramblings meet too rarely. Their scatter says how large the error is only
if its own variance is finite, so a tail with finite fourth moment, k < 1/4, is needed where independent draws need
k < 1/2; and as many terms as are behind the error of independent draws must be there for the tail to be known.

The tail index is taken from all points of all scramblings. They are not independent, but the tail of their weights is
that of the flow. The weights alone are not judged so: where they are nearly equal, their tail is of no account. Limits
are those of ``benchmarks/quasi_reliability.py``, see docs/results/reliability.md.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from latflow.stats.weights import pareto_k

QUASI_TAIL_LIMIT = 0.2
"""Largest k̂ of an average of quasi-random draws: 1/4, less what k̂ is uncertain by in 16 000 draws."""

FEWEST_TERMS_BEHIND = 200.0
"""Fewest terms (Σs²)²/Σs⁴ behind an average of quasi-random draws."""


def rests_on_tail(
    influence: Float[np.ndarray, "n total"], jacobian: Float[np.ndarray, "quantities total"]
) -> Bool[np.ndarray, " quantities"]:
    """Whether the error of a quantity rests on the tail of what it sums, so that it is a lower bound.

    Args:
        influence: By how much every draw moves the means.
        jacobian: Of the quantities by the means; one that is not a number says nothing.
    """
    return np.array([_rests_on_tail(influence @ row) for row in jacobian], dtype=bool)


def _rests_on_tail(terms: Float[np.ndarray, " n"]) -> bool:
    """Terms that are all of one size, or zero, have no tail; of a few different ones none is known."""
    if not np.all(np.isfinite(terms)) or not np.any(terms):
        return False
    squares = (terms / np.max(np.abs(terms))) ** 2
    if not squares.sum() ** 2 >= FEWEST_TERMS_BEHIND * np.sum(squares**2):
        return True
    logarithms = np.log(squares, where=squares > 0, out=np.full_like(squares, -math.inf)) / 2
    tail = pareto_k(logarithms)
    return math.isfinite(tail) and tail > QUASI_TAIL_LIMIT
