r"""Whether averages of weighted draws, and of the accept/reject chain through them, can be trusted with their errors.

Both are exact for infinitely many draws, whatever the flow. For the draws that there are, they are right only if the
draws have seen the largest weights that matter: a flow that is too narrow somewhere draws such fields rarely, and until
it does, averages are wrong and their errors tidy and small. What no draw has reached shows in images of the draws, if
a symmetry of the action leads there (`latflow.stats.images`); elsewhere only draws of the target can tell, by the
difference of log Z from both sides (`latflow.stats.evidence`).

The thresholds are those of ``benchmarks/reliability.py``, whose figures stand in docs/results/reliability.md: among
averages called reliable there, the interval of one error covers the exact value as often as it should.

References:
    arXiv:1507.02646, version 9: the shape k̂ and its limit; Owen, Monte Carlo theory, methods and examples (2013),
    section 9.3: effective numbers of draws behind a mean and behind its error.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from latflow.stats.estimates import (
    RELIABLE,
    UNDERESTIMATED,
    UNRESOLVED,
    Estimate,
    NonFiniteSeriesError,
    SeriesShapeError,
    State,
    worst,
)
from latflow.stats.halves import drift
from latflow.stats.weights import FEWEST_FOR_TAIL, are_constant, pareto_k

TAIL_LIMIT = 0.7
"""Largest k̂ at which averages of very many draws are reliable (arXiv:1507.02646, section 3)."""

TAIL_LIMIT_ALONE = 0.5
"""The same where no draws of the target say what the flow has not seen."""

FEWEST_EFFECTIVE = 100.0
"""Fewest effective draws N·ESS behind a reliable average."""

FEWEST_BEHIND_ERROR = 10.0
"""Fewest effective draws (Σw²)²/Σw⁴ behind a reliable error, where no draws of the target are there."""

LARGEST_SHARE = 0.1
"""Largest part of the sum of weights that one draw may have."""

LONGEST_RUN = 0.1
"""Longest run of rejections, as a part of the chain, in a reliable average over it."""

DRIFT_LIMIT = 5.0
"""Largest difference of both halves of the draws, in its errors."""

LEAST_RESOLVED = 10.0
"""With fewer effective draws than this there is no number."""

SHARE_RESOLVED = 0.5
"""If one draw, or one rejected configuration, has more than this of an average, there is no number."""

LOST_RESOLVED = 0.9
"""If a flow has lost more than this of the weight of the theory, its averages are no numbers of the theory."""

HIDDEN_LIMIT = 0.7
"""Largest bias, in errors, that what the flow's draws have not seen may cause: the part of the target draws that
outweigh all of them, which moves an average by so many standard deviations of an observable, times √(N·ESS)."""

GAP_LIMIT = 5.0
"""Reverse − forward log Z beyond this many errors is weight that the flow has lost."""

MORE_POINTS = "More points of every scrambling (`points`), or a flow trained longer, make the tail known."
"""What to do about single averages of quasi-random draws whose errors rest on the tail of the weights."""

REMEDY = "Train the flow longer or with more layers, or use HMC; more draws help only where all weights are bounded."
"""What to do about averages that are not reliable."""

LEAST_RECORDS = 2
"""A chain of fewer records cannot stand still, so that it moves says nothing."""

LEAST_RUN = 5
"""Shorter runs of equal records say nothing, however short the chain."""

_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Whether averages can be trusted, and the numbers behind that; None where there is nothing to take one from.

    Args:
        state: "reliable", "error underestimated" or "not resolved".
        reasons: Sentences; empty if reliable.
        n: Draws, or records of a chain.
        effective: N·ESS = (Σw)²/Σw².
        behind_error: (Σw²)²/Σw⁴, how many draws the error rests on.
        tail: Pareto k̂ of the weights; −∞ if all are equal, +∞ if the tail has too few values.
        tail_limit: Largest k̂ allowed for so many draws.
        largest_share: Of one draw in the sum of weights.
        largest_after: Part of the draws after which the largest weight came. It is uniform between 0 and 1 for
            independent draws whatever their weights, so it decides nothing by itself.
        maxima: How often a weight was larger than all before it: about ln N + 0.6 for independent draws.
        longest_run: Most rejections in a row, or records that repeat the one before.
        drift: Largest difference of first and second half in its errors, of ln⟨w⟩ and of all columns.
        drift_of: What differs most.
        gap: Reverse − forward log Z in its errors.
        lost_weight: 1 − e^{−gap}, what the draws do not account for.
        beyond: Part of the draws of the target whose weight is larger than that of any draw of the flow.
        unseen: The same of draws and their images under a symmetry of the action.
    """

    state: State
    reasons: tuple[str, ...]
    n: int
    effective: float | None = None
    behind_error: float | None = None
    tail: float | None = None
    tail_limit: float | None = None
    largest_share: float | None = None
    largest_after: float | None = None
    maxima: int | None = None
    longest_run: int | None = None
    drift: float | None = None
    drift_of: str = ""
    gap: float | None = None
    lost_weight: float | None = None
    beyond: float | None = None
    unseen: float | None = None

    @property
    def is_reliable(self) -> bool:
        """Whether averages are to be believed with their errors."""
        return self.state == RELIABLE


@dataclasses.dataclass(frozen=True)
class FromTarget:
    """What draws of the target say about draws of a flow.

    Args:
        gap: Reverse − forward log Z with its error; None where the reverse one cannot be trusted.
        beyond: Part of the target draws whose weight is larger than that of any draw of the flow. If the flow's draws
            have seen what matters it is about the largest share of one of them.
    """

    gap: Estimate | None
    beyond: float


def tail_limit(n: int, largest: float = TAIL_LIMIT) -> float:
    """Largest k̂ of reliable averages of `n` draws, min(1 − 1/log₁₀n, `largest`): arXiv:1507.02646, version 9.

    >>> round(tail_limit(100), 3), tail_limit(100_000)
    (0.5, 0.7)
    """
    return min(1 - 1 / math.log10(max(n, 10)), largest)


def judge_draws(
    log_weights: Float[np.ndarray, " n"],
    accepted: Bool[np.ndarray, " n"] | None = None,
    *,
    evidence: FromTarget | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
) -> Reliability:
    """Judge the averages of independent weighted draws and of the accept/reject chain through them.

    Args:
        log_weights: ln w of every draw, in the order of the draws; −∞ is weight zero.
        accepted: Whether the chain took each of them; None if there is no chain.
        evidence: What draws of the target say, where there are some that can be trusted.
        columns: Observables of the draws, (n,) or (n, k) by name, whose halves are compared.

    Raises:
        NonFiniteSeriesError: If a log-weight is NaN or +∞, all are −∞, or a draw that counts has a column that is none.
        SeriesShapeError: If log-weights, decisions and columns are not of as many draws.
    """
    log_weights, accepted, columns = _of_as_many(log_weights, accepted, columns or {})
    top = float(np.max(log_weights, initial=-math.inf))
    if not math.isfinite(top):
        bad = f"{np.count_nonzero(~np.isfinite(log_weights))} of {log_weights.size} not finite"
        raise NonFiniteSeriesError("log_weights", value=bad, allowed="finite numbers and some −inf")
    w = np.exp(log_weights - top)
    apart, apart_in = drift(w, columns)
    found = Reliability(
        state=RELIABLE,
        reasons=(),
        n=w.size,
        effective=float(w.sum() ** 2 / np.sum(w**2)),
        behind_error=float(np.sum(w**2) ** 2 / np.sum(w**4)),
        tail=_tail(log_weights),
        largest_share=float(w.max() / w.sum()),
        largest_after=float((np.argmax(w) + 1) / w.size),
        maxima=1 + int(np.count_nonzero(np.diff(np.maximum.accumulate(w)) > 0)),
        longest_run=None if accepted is None else longest_run(~accepted),
        drift=apart,
        drift_of=apart_in,
    )
    return with_evidence(found, evidence)


def _of_as_many(
    log_weights: Float[np.ndarray, "..."], accepted: Bool[np.ndarray, "..."] | None, columns: Mapping[str, np.ndarray]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"] | None, dict[str, np.ndarray]]:
    """Arrays of as many draws; columns finite wherever the weight is not zero."""
    log_weights = np.asarray(log_weights, dtype=float)
    if log_weights.ndim != 1:
        raise SeriesShapeError("log_weights", value=f"shape {log_weights.shape}", allowed="one axis, the draws")
    decisions = None if accepted is None else np.asarray(accepted)
    found = {name: np.asarray(column, dtype=float) for name, column in columns.items()}
    for name, array in {**({} if decisions is None else {"accepted": decisions}), **found}.items():
        if array.shape[:1] != log_weights.shape:
            raise SeriesShapeError(name, value=f"shape {array.shape}", allowed=f"{log_weights.size} draws")
    if decisions is not None and (decisions.dtype != bool or decisions.ndim != 1):
        raise SeriesShapeError("accepted", value=f"{decisions.dtype}", allowed="truth values, one for every draw")
    counted = log_weights > -math.inf
    for name, column in found.items():
        if bad := int(np.count_nonzero(~np.isfinite(column[counted]))):
            raise NonFiniteSeriesError(name, value=f"{bad} numbers are NaN or infinite")
    return log_weights, decisions, found


def _tail(log_weights: Float[np.ndarray, " n"]) -> float:
    if are_constant(log_weights):
        return -math.inf
    return pareto_k(log_weights) if log_weights.size >= FEWEST_FOR_TAIL else math.inf


def with_evidence(found: Reliability, evidence: FromTarget | None) -> Reliability:
    """The judgement made anew from its numbers and from what draws of the target say.

    They show directly what the flow has not seen, so less is asked of the weights where they are there.

    Args:
        found: From the draws of the flow.
        evidence: What draws of the target say; None where there are none that can be trusted.
    """
    if evidence is None:
        return _judged(dataclasses.replace(found, tail_limit=tail_limit(found.n, TAIL_LIMIT_ALONE)))
    gap, lost = _lost(evidence.gap)
    limit = tail_limit(found.n)
    told = dataclasses.replace(found, tail_limit=limit, gap=gap, lost_weight=lost, beyond=evidence.beyond)
    return _judged(told)


def with_images(found: Reliability, unseen: float | None) -> Reliability:
    """The judgement made anew from its numbers and from what images of the draws under a symmetry show.

    Nothing less is asked of the weights: images show lost vacua, not all that a flow may have missed.

    Args:
        found: From the draws of the flow.
        unseen: Part of the theory in which images have larger weights than any draw (`latflow.stats.images.unseen`);
            None where there is no symmetry.
    """
    return found if unseen is None else _judged(dataclasses.replace(found, unseen=unseen))


def judge_chain(repeats: Bool[np.ndarray, "chains n"]) -> Reliability:
    """Judge averages over chains of which no weights are known, by the longest run of equal records.

    Args:
        repeats: Whether a record is equal to the one before it; false for the first of a chain.
    """
    longest = max((longest_run(chain) for chain in repeats), default=0)
    found = Reliability(RELIABLE, (), repeats.size, longest_run=longest)
    if repeats.shape[1] < LEAST_RECORDS or not repeats.size:
        few = f"{repeats.shape[1]} records of {repeats.shape[0]} chains: nothing can be told from them"
        return dataclasses.replace(found, state=UNRESOLVED, reasons=(few,))
    return _judged(found)


def longest_run(flags: Bool[np.ndarray, " n"]) -> int:
    """Most true flags in a row.

    >>> longest_run(np.array([True, False, True, True, False]))
    2
    """
    ends = np.flatnonzero(~np.concatenate([[False], flags, [False]]))
    return int(np.max(np.diff(ends))) - 1


def bounded(estimate: Estimate, found: Reliability) -> Estimate:
    """The estimate with the state of the averages that it belongs to, or its own where that is worse."""
    state = found.state if estimate.state is None else worst(found.state, estimate.state)
    return dataclasses.replace(estimate, state=state)


def all_bounded(estimates: Mapping[str, list[Estimate]], found: Reliability) -> dict[str, list[Estimate]]:
    """Estimates by name with the state of the averages that they belong to."""
    return {name: [bounded(each, found) for each in values] for name, values in estimates.items()}


Finding: TypeAlias = tuple[bool, bool, str]
"""Whether an error is too small for it, whether there is no number, and the sentence."""


def _judged(found: Reliability) -> Reliability:
    """With the state and the reasons that follow from the numbers; equal weights are plain draws of the target."""
    equal = found.tail == -math.inf and found.effective is not None and found.effective > (1 - _ROUNDING) * found.n
    equal = equal and found.n >= LEAST_RESOLVED
    of_weights = [] if equal or found.effective is None else _of_weights(found)
    against = [each for each in (*of_weights, *_of_order(found), *evidence_against(found)) if each[0] or each[1]]
    state = UNRESOLVED if any(none for _, none, _ in against) else UNDERESTIMATED if against else RELIABLE
    return dataclasses.replace(found, state=state, reasons=tuple(words for _, _, words in against))


def _of_weights(r: Reliability) -> list[Finding]:
    """What the weights say. Comparisons are written so that NaN counts against them."""
    effective, behind, share = r.effective or 0.0, r.behind_error or 0.0, r.largest_share or 0.0
    tail, limit = math.inf if r.tail is None else r.tail, r.tail_limit or 0.0
    shape = (
        f"the largest weights take too few different values for the shape of their tail to be known (N = {r.n})"
        if tail == math.inf
        else f"the weights have a heavy tail: k̂ = {tail:.2f}, at most {limit:.2f} for N = {r.n}"
    )
    return [
        (
            not effective >= FEWEST_EFFECTIVE,
            not effective >= LEAST_RESOLVED,
            f"N·ESS is {effective:.3g}, at least {FEWEST_EFFECTIVE:g} are needed",
        ),
        (not tail <= limit, False, shape),
        (
            r.beyond is None and not behind >= FEWEST_BEHIND_ERROR,
            False,
            f"the error rests on {behind:.2g} effective draws, at least {FEWEST_BEHIND_ERROR:g} are needed",
        ),
        (
            not share <= LARGEST_SHARE,
            not share <= SHARE_RESOLVED,
            f"one draw of {r.n} has {100 * share:.2g} % of the weight of all, at most {100 * LARGEST_SHARE:g} % may be",
        ),
    ]


def _of_order(r: Reliability) -> list[Finding]:
    """What the order of the draws says, and the chain through them."""
    run, apart = (r.longest_run or 0) / max(r.n, 1), r.drift or 0.0
    return [
        (
            run > LONGEST_RUN and (r.longest_run or 0) >= LEAST_RUN,
            run > SHARE_RESOLVED,
            f"the chain stood still for {r.longest_run} of {r.n} records, at most {100 * LONGEST_RUN:g} % may pass so",
        ),
        (
            not apart <= DRIFT_LIMIT,
            False,
            f"first and second half of the draws differ by {apart:.1f}σ in {r.drift_of}, at most {DRIFT_LIMIT:g}σ",
        ),
    ]


def evidence_against(r: Reliability) -> list[Finding]:
    """What draws of the target say, and images of the flow's own draws."""
    gap, lost, beyond, unseen = r.gap or 0.0, r.lost_weight or 0.0, r.beyond or 0.0, r.unseen or 0.0
    return [
        (
            gap > GAP_LIMIT,
            gap > GAP_LIMIT and lost > LOST_RESOLVED,
            f"draws of the target show that {100 * lost:.3g} % of its weight is missing ({gap:.3g}σ)",
        ),
        (
            not beyond * math.sqrt(r.effective or 0.0) <= HIDDEN_LIMIT,
            not beyond <= LOST_RESOLVED,
            f"{100 * beyond:.3g} % of the draws of the target have larger weights than any draw of the flow",
        ),
        (
            not unseen * math.sqrt(r.effective or 0.0) <= HIDDEN_LIMIT,
            not unseen <= LOST_RESOLVED,
            f"a symmetry of the action leads to {100 * unseen:.3g} % of the theory that no draw has reached",
        ),
    ]


def _lost(evidence: Estimate | None) -> tuple[float | None, float | None]:
    """The gap in errors, and the weight that is lost; None where the gap is not known."""
    if evidence is None or math.isnan(evidence.value) or math.isnan(evidence.error):
        return None, None
    sigmas = evidence.value / evidence.error if evidence.error > 0 else math.copysign(math.inf, evidence.value)
    return (0.0 if evidence.value == 0 else sigmas), -math.expm1(-max(evidence.value, 0.0))
