"""Whether averages of quasi-random draws can be trusted with the scatter of their scramblings as error.

Points of one scrambling are not independent, so nothing is read from their order, nor a tail index k̂ from their
weights. Every scrambling is an average of its own, and its error is honest only if every one of them has seen the
weights that matter: each must have enough effective draws, and no single draw may carry much of its scrambling.
"""

import dataclasses
import math

import numpy as np

from latflow.stats.estimates import RELIABLE, UNDERESTIMATED, UNRESOLVED, NonFiniteSeriesError, State, worst
from latflow.stats.reliability import (
    FEWEST_EFFECTIVE,
    LARGEST_SHARE,
    LEAST_RESOLVED,
    SHARE_RESOLVED,
    Finding,
    Reliability,
    evidence_against,
)
from latflow.stats.scramblings import Scrambled


def judge_scramblings(draws: Scrambled, *, of_flow: Reliability | None = None) -> Reliability:
    """Judge averages of quasi-random draws by the weights within every scrambling.

    Args:
        draws: Log-weights, scrambling after scrambling.
        of_flow: The judgement on random draws of the same flow, whose evidence from draws of the target and from
            images holds for these draws, too.

    Returns:
        `n`, `effective`, `behind_error` and `largest_share` of all draws; no tail and nothing of their order.

    Raises:
        NonFiniteSeriesError: If a log-weight is NaN or +∞, or all of a scrambling are −∞.
    """
    log_weights = draws.log_weights.reshape(draws.scramblings, -1)
    tops = log_weights.max(axis=1)
    if not np.all(np.isfinite(tops)):
        bad = f"{np.count_nonzero(~np.isfinite(tops))} of {draws.scramblings} scramblings without a finite weight"
        raise NonFiniteSeriesError("log_weights", value=bad, allowed="finite numbers and some −inf")
    w = np.exp(log_weights - tops.max())
    sums, squares = w.sum(axis=1), np.sum(w**2, axis=1)
    effective, shares = _ratio(sums**2, squares), _ratio(w.max(axis=1), sums)
    found = Reliability(
        state=RELIABLE,
        reasons=(),
        n=w.size,
        effective=float(sums.sum() ** 2 / squares.sum()),
        behind_error=float(squares.sum() ** 2 / np.sum(w**4)),
        largest_share=float(w.max() / sums.sum()),
    )
    told = [] if of_flow is None else evidence_against(of_flow)
    against = [each for each in (*_of_scramblings(effective, shares), *told) if each[0] or each[1]]
    states: list[State] = [UNRESOLVED if none else UNDERESTIMATED for _, none, _ in against]
    return dataclasses.replace(found, state=worst(RELIABLE, *states), reasons=tuple(words for *_, words in against))


def _of_scramblings(effective: np.ndarray, shares: np.ndarray) -> list[Finding]:
    """Findings about the worst scrambling. Comparisons are written so that NaN counts against it."""
    few, heavy = int(np.argmin(effective)), int(np.argmax(shares))
    least, most = float(effective[few]), float(shares[heavy])
    return [
        (
            not least >= FEWEST_EFFECTIVE,
            not least >= LEAST_RESOLVED,
            f"N·ESS of scrambling {few} is {least:.3g}, at least {FEWEST_EFFECTIVE:g} are needed in every one",
        ),
        (
            not most <= LARGEST_SHARE,
            not most <= SHARE_RESOLVED,
            f"one draw has {100 * most:.3g} % of scrambling {heavy}, at most {100 * LARGEST_SHARE:g} % may be",
        ),
    ]


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a/b; NaN where b underflowed to zero, which counts against a scrambling."""
    return np.divide(a, b, out=np.full_like(a, math.nan), where=b > 0)
