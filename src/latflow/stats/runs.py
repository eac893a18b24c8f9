"""Diagnostics of Markov chains: rejection runs, agreement of chains, errors against length."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from latflow.stats.estimates import ConstantSeriesError, Estimate, TooShortError
from latflow.stats.gamma import gamma_estimate
from latflow.stats.propagation import MINIMUM_RECORDS, pack, require_usable, scale_of_squares


def rejection_runs(accepted: Bool[np.ndarray, "chains n"]) -> Int[np.ndarray, " lengths"]:
    """Histogram of rejection runs: entry k counts the runs of exactly k rejections in a row.

    Entry 0 counts acceptances followed at once by another, so that a chain of independent proposals with constant
    acceptance a gives a geometric law, entry k ∝ (1−a)^k. Runs cut off by the ends of a chain are counted at the length
    seen; Σ_k k·entry_k is the number of rejections.

    >>> rejection_runs(np.array([[True, False, False, True, True, False]]))
    array([1, 1, 1])
    """
    lengths = np.concatenate([_run_lengths(chain) for chain in accepted])
    return np.bincount(lengths, minlength=1)


def _run_lengths(accepted: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " runs"]:
    where = np.flatnonzero(accepted)
    if where.size == 0:
        return np.array([accepted.size])
    ends = np.array([where[0], accepted.size - 1 - where[-1]])
    return np.concatenate([np.diff(where) - 1, ends[ends > 0]])


def r_hat(series: Float[np.ndarray, "chains n"]) -> float:
    """Split R̂: how much wider all half-chains together are than each is by itself; 1 when they agree.

    Every chain is cut in two, so drifts count like disagreements (Gelman et al., Bayesian Data Analysis, section 11.4).
    Infinite if every half-chain is constant and their values differ.

    Raises:
        TooShortError: If a half-chain has fewer than 4 records.
        NonFiniteSeriesError, ConstantSeriesError: If the series is not finite or constant everywhere.
    """
    layout, matrix = pack({"series": series}, leading=2)
    require_usable(layout, matrix)
    half = series.shape[1] // 2
    series = matrix[..., 0]
    halves = np.concatenate([series[:, :half], series[:, -half:]])
    halves = halves * scale_of_squares(halves)
    within = float(halves.var(axis=1, ddof=1).mean())
    between = float(halves.mean(axis=1).var(ddof=1))
    return float(np.sqrt((half - 1) / half + between / within)) if within > 0 else float(np.inf)


def error_against_n(series: Float[np.ndarray, "chains n"], sizes: Sequence[int]) -> list[Estimate]:
    """The mean with its Γ-method error from the first records only, for the figure of errors against 1/√N.

    Args:
        series: One column.
        sizes: Numbers of records over all chains; each is rounded up to a multiple of the number of chains. Sizes which
            the series does not reach or which are too short to analyse are left out.

    Returns:
        Estimates in the order of `sizes`; the number of records used is their `n`.
    """
    chains, n = series.shape
    lengths = [-(-size // chains) for size in sizes]
    estimates = []
    for length in lengths:
        if MINIMUM_RECORDS <= length <= n:
            try:
                estimates.append(gamma_estimate(series[:, :length]))
            except ConstantSeriesError:
                continue  # a long rejection run at the start
    if not estimates:
        raise TooShortError(
            "sizes", value=str(list(sizes)), allowed=f"some between {chains * MINIMUM_RECORDS} and {series.size}"
        )
    return estimates
