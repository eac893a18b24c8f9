r"""The Γ method: errors and autocorrelation times of quantities measured along Markov chains.

Fluctuations are taken about the mean over all chains (Wolff, hep-lat/0306017, section 3.2), so that chains which
disagree enlarge the error, and the summation window is the automatic one with S = 2. The estimator is that of pyerrors,
called once per quantity on its projected series with one replicum per chain; pyerrors is imported when first used.
Two cases that its window misses are put right: tails of slow modes that are named, and neighbours that are
anticorrelated (`latflow.stats.slow_modes`).
"""

import functools
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.fft import next_fast_len

from latflow.stats.estimates import Estimate
from latflow.stats.propagation import (
    Derive,
    Layout,
    Linearisation,
    linearise,
    pack,
    require_usable,
    scale_of_squares,
)
from latflow.stats.replicas import Along, Chains, Replicas, as_chains
from latflow.stats.slow_modes import SLOW, SlowMode, below_half, tail


def chain_estimates(
    series: Mapping[str, np.ndarray], derive: Derive, *, replicas: Along = None
) -> dict[str, list[Estimate]]:
    """Derived quantities of Markov chains with errors and autocorrelation times.

    Args:
        series: Columns (chains, n) or (chains, n, k) by name.
        derive: Function of the named means, shapes () or (k,).
        replicas: Numbers of the records of columns (1, n), where they have gaps or replicas of different lengths; or
            `Chains`, which may name slow modes too.

    Returns:
        One estimate per component of every derived quantity, `tau_int` in records, or in the common step of the
        numbers. NaN where it does not exist. Where a slow mode leaves a tail, error and `tau_int` include it, and
        `slow_mode` names it.

    Raises:
        TooShortError, NonFiniteSeriesError, ConstantSeriesError, SeriesShapeError: If the columns cannot be analysed.
    """
    layout, matrix = pack(series, leading=2)
    require_usable(layout, matrix)
    chains = as_chains(replicas)
    if chains.replicas is not None:
        chains.replicas.require(matrix.shape[1])
    linear = _linearised(layout, matrix, derive)
    deltas = matrix - matrix.mean(axis=(0, 1))
    pairs = zip(linear.values, linear.jacobian, strict=True)
    flat = [_estimate(float(value), deltas @ gradient, chains) for value, gradient in pairs]
    places = zip(linear.layout.names, linear.layout.offsets(), strict=True)
    return {name: flat[where] for name, where in places}


def gamma_estimate(series: Float[np.ndarray, "chains n"]) -> Estimate:
    """Mean of one column with its Γ-method error.

    Args:
        series: One number of every record of every chain.

    Raises:
        DataError: If there are too few records, a number is not finite, or the series never changes.
    """
    return chain_estimates({"series": series}, lambda means: means)["series"][0]


def chain_covariance(
    series: Mapping[str, np.ndarray], derive: Derive, *, n_bins: int = 400
) -> Float[np.ndarray, "quantities quantities"]:
    """Covariance matrix of the derived quantities, from binned chains.

    Bins must be longer than the autocorrelation time for the scale to be right; correlations between quantities, which
    is what a fit needs, are right long before.

    Args:
        series: As for `chain_estimates`.
        derive: As for `chain_estimates`.
        n_bins: Number of bins over all chains aimed at.
    """
    layout, matrix = pack(series, leading=2)
    require_usable(layout, matrix)
    chains, n, _ = matrix.shape
    per_chain = min(max(1 if chains > 1 else 2, round(n_bins / chains)), n)
    length = n // per_chain
    jacobian = _linearised(layout, matrix, derive).jacobian
    bins = matrix[:, n - per_chain * length :].reshape(chains * per_chain, length, -1).mean(axis=1) @ jacobian.T
    return np.atleast_2d(np.cov(bins, rowvar=False)) / len(bins)


def _linearised(layout: Layout, matrix: Float[np.ndarray, "chains n total"], derive: Derive) -> Linearisation:
    means = matrix.mean(axis=(0, 1))
    scales = np.array([scale_of_squares(column) for column in np.moveaxis(matrix - means, -1, 0)])
    spread = (matrix if np.all(scales == 1) else matrix * scales).std(axis=(0, 1)) / scales
    errors = spread / math.sqrt(matrix.shape[0] * matrix.shape[1])
    return linearise(derive, layout, means, errors=errors)


def slow_modes(
    columns: Mapping[str, Float[np.ndarray, "chains n"]], replicas: Replicas | None = None
) -> tuple[SlowMode, ...]:
    """Those of some columns of chains that move slowly; columns that never change, or cannot be analysed, say nothing.

    Args:
        columns: One number per record, by name.
        replicas: As for `chain_estimates`.
    """
    found = []
    for name, column in columns.items():
        deltas = np.asarray(column, dtype=float) - np.mean(column)
        size = float(deltas.std())
        if not (math.isfinite(size) and size > _LEAST_SPREAD * max(float(np.max(np.abs(column))), _LEAST_SPREAD)):
            continue
        observable = _analysed(0.0, deltas / size, replicas)
        tau, window = float(observable.e_tauint["chain"]), int(observable.e_windowsize["chain"])
        if tau > SLOW:
            sums = 0.5 + np.cumsum(np.concatenate([[0.0], observable.e_rho["chain"][1 : window + 1]]))
            found.append(SlowMode(name, deltas / size, sums, tau, float(observable.e_dtauint["chain"])))
    return tuple(found)


_LEAST_SPREAD = 1e-9
"""Columns that vary by a smaller share of their size do not move."""


def _estimate(value: float, deltas: Float[np.ndarray, "chains n"], chains: Chains) -> Estimate:
    """The estimate of a quantity at `value` whose fluctuations about it, to first order, are `deltas`."""
    if not (math.isfinite(value) and np.all(np.isfinite(deltas))):
        return Estimate(value, math.nan, n=deltas.size)
    # the estimator squares fluctuations: those that are too small or too large for it are scaled by a power of two
    scale = scale_of_squares(deltas)
    # at scale 1 value and fluctuations are those of the quantity itself
    observable = _analysed(value if scale == 1 else 0.0, deltas * scale, chains.replicas)
    tau, tau_error = float(observable.e_tauint["chain"]), float(observable.e_dtauint["chain"])
    window, error = int(observable.e_windowsize["chain"]), float(observable.dvalue) / scale
    lower = below_half(observable.e_rho["chain"], deltas.size)
    if lower is not None:
        (less, window), clamped = lower, tau
        tau, error = less, error * math.sqrt(less / clamped)
        tau_error = 2 * tau * math.sqrt(abs(window + 0.5 - tau) / deltas.size)
    added = tail(chains.slow, deltas * scale, tau=tau, window=window)
    if not added.mode:
        return Estimate(value, error, tau_int=tau, tau_int_error=tau_error, n=deltas.size)
    whole, error = tau + added.tau, error * math.sqrt(1 + added.tau / tau)
    spread = math.hypot(tau_error, added.error)
    return Estimate(value, error, tau_int=whole, tau_int_error=spread, n=deltas.size, slow_mode=added.mode)


def _analysed(value: float, deltas: Float[np.ndarray, "chains n"], replicas: Replicas | None) -> Any:
    """The fluctuations as an observable of pyerrors, analysed."""
    pieces = _replicas(deltas) if replicas is None else replicas.split(deltas[0])
    places = None if replicas is None else [list(numbers) for numbers in replicas.numbers]
    names = [f"chain|{index:06d}" for index in range(len(pieces))]
    # with `means` the samples are taken as fluctuations: about the mean of all chains, not about each chain's own
    observable = load_pyerrors().Obs(pieces, names, idl=places, means=[value] * len(pieces))
    observable.gamma_method(S=2.0)
    return observable


def _replicas(deltas: Float[np.ndarray, "chains n"]) -> list[np.ndarray]:
    """Every chain as one series, or as two where its length makes Fourier transforms slow.

    The autocorrelation of n records is transformed at length 3n/2, which took 8 times longer where that has a large
    prime factor. Cutting a chain in two loses only the products across the cut, and the estimator divides by the number
    of products there are.
    """
    n = deltas.shape[1]
    cut = _fast_prefix(n)
    return [piece for chain in deltas for piece in (chain[:cut], chain[cut:]) if piece.size]


@functools.cache
def _fast_prefix(n: int) -> int:
    """Largest cut ≤ n with 3·cut/2 even and free of prime factors above 5."""
    quarter = n // 4
    while quarter > 0 and next_fast_len(quarter, real=True) != quarter:
        quarter -= 1
    return 4 * quarter if quarter else n


@functools.cache
def load_pyerrors() -> Any:
    """Pyerrors, imported late because that takes seconds; its warnings and print options are kept from the caller."""
    with np.printoptions(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyerrors

    return pyerrors
