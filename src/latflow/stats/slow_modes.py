r"""What the automatic window of the Γ method leaves out: the tail of a slow mode, and sums below one half.

An observable that hardly depends on a slow quantity, as a Wilson loop does on the topological charge, has an
autocorrelation function that falls at once to a small value and then stays there for long. The window closes before,
and the error is too small. The tail is $A\sum_{t>W}\rho_f(t)$ with the autocorrelation $\rho_f$ of the slow quantity
$f$, and its share $A$ of the variance, which is seen far better in the correlation of both, $A=\mathrm{corr}(O,f)^2$,
than in ρ itself.

References:
    arXiv:1009.5228, section 3, errors with the tail of the slowest mode; Geyer, Statistical Science 7 (1992) 473,
    section 3.3, initial monotone sequences.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SLOW = 5.0
"""Quantities with a shorter τ_int, in records, are no slow modes."""

SIGNIFICANT = 3.0
"""A correlation with a slow mode, or of neighbours, counts beyond this many of its errors."""


_SLOWER = 2.0
"""A mode that is slower than an observable by less than this leaves nothing beyond its window."""


class SlowMode(NamedTuple):
    """A quantity along chains that moves slowly.

    Attributes:
        name: Of its column; the square of a column ends in ².
        deltas: Its fluctuations about the mean of all chains, of variance 1.
        sums: ½ + Σρ up to every lag of its window.
        tau: Its τ_int in records.
        tau_error: Its standard deviation.
    """

    name: str
    deltas: Float[np.ndarray, "chains n"]
    sums: Float[np.ndarray, " lags"]
    tau: float
    tau_error: float


class Tail(NamedTuple):
    """What a slow mode adds to the τ_int of an observable.

    Attributes:
        tau: In records; 0 where there is none.
        error: Its standard deviation.
        mode: Name of the slow mode; empty where there is none.
    """

    tau: float = 0.0
    error: float = 0.0
    mode: str = ""


def tail(modes: tuple[SlowMode, ...], deltas: Float[np.ndarray, "chains n"], *, tau: float, window: int) -> Tail:
    """The largest tail that one of the slow modes leaves beyond the window of an observable.

    Args:
        modes: Slow quantities of the same chains.
        deltas: Fluctuations of the observable.
        tau: Its τ_int up to the window.
        window: The last lag that was summed.
    """
    size = float(deltas.std())
    found = [_tail(mode, deltas / size, tau, window) for mode in modes if mode.tau > _SLOWER * tau] if size > 0 else []
    return max(found, key=lambda each: each.tau, default=Tail())


def _tail(mode: SlowMode, deltas: Float[np.ndarray, "chains n"], tau: float, window: int) -> Tail:
    """Nothing where the correlation is within its noise, that of a fast observable beside a mode that hardly moves."""
    correlation, noise = float(np.mean(deltas * mode.deltas)), math.sqrt(2 * tau / deltas.size)
    rest = mode.tau - float(mode.sums[min(window, len(mode.sums) - 1)])
    if not abs(correlation) > SIGNIFICANT * noise or rest <= 0:
        return Tail()
    share = correlation**2 - noise**2
    return Tail(share * rest, share * mode.tau_error, mode.name)


def below_half(rho: Float[np.ndarray, " lags"], n: int) -> tuple[float, int] | None:
    r"""τ_int of a series whose neighbours are anticorrelated beyond noise, and its window; None for others.

    The automatic window closes at lag 1, where the sum is too small; pyerrors then takes ½. Sums of pairs
    $\rho(2m)+\rho(2m+1)$ are positive and fall for reversible chains: those are summed that do. By convexity τ_int of
    such a chain is no less than $\tfrac12\frac{1+\rho(1)}{1-\rho(1)}$, that of an autoregressive series.

    Args:
        rho: Normalised autocorrelation function from lag 0 on.
        n: Records of all chains.
    """
    if len(rho) < 2 or not -1 < rho[1] < -SIGNIFICANT / math.sqrt(n):
        return None
    even = len(rho) // 2 * 2
    pairs = rho[0:even:2] + rho[1:even:2]
    stop = int(np.argmax(pairs <= 0)) if np.any(pairs <= 0) else len(pairs)
    total = float(np.minimum.accumulate(pairs[:stop]).sum()) - 0.5
    return max(total, 0.5 * (1 + rho[1]) / (1 - rho[1]), 0.5 / n), 2 * stop - 1
