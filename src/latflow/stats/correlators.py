r"""Correlators of one periodic direction: connected part, effective mass and the correlated cosh fit.

All are smooth functions of means, so errors are propagated through them, fits included. A correlator is folded, t = 0 …
T//2, and behaves as $A\cosh m(t-T/2)$ when one state dominates.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import root_scalar

from latflow.given import require_type, require_whole
from latflow.stats.estimates import SeriesShapeError
from latflow.stats.propagation import Derive

_HEAVIEST = 20.0
_GRID = 240


class CoshFit(NamedTuple):
    """A fit of A cosh(m(t − T/2)); mass, amplitude and chi2 are NaN if there is none."""

    mass: float
    amplitude: float
    chi2: float
    dof: int


_NO_FIT = CoshFit(math.nan, math.nan, math.nan, 0)


def effective_mass(correlator: Float[np.ndarray, " times"], *, extent: int) -> Float[np.ndarray, " times"]:
    r"""$m(t)=\mathrm{arccosh}\,\frac{G(t+1)+G(t-1)}{2G(t)}$ for t = 0 … T//2.

    The folded correlator is continued by G(T−t) = G(t), so the last time has a mass too. NaN where the argument is
    below 1 or the correlator not positive, and at t = 0.

    Args:
        correlator: Folded, T//2 + 1 values.
        extent: T.
    """
    _require_folded(correlator, extent)
    times = np.arange(extent // 2 + 1)
    full = correlator[np.minimum(np.arange(extent), extent - np.arange(extent))]
    with np.errstate(all="ignore"):
        ratio = (full[(times + 1) % extent] + full[times - 1]) / (2 * correlator)
        exists = (ratio >= 1) & (correlator > 0) & (times > 0)
        return np.where(exists, np.arccosh(np.where(exists, ratio, 1.0)), np.nan)


def first_time(extent: int) -> int:
    """Where a cosh fit begins by default: T/6 rounded up, but early enough to leave two times.

    What follows the one-particle state in a Z2-symmetric theory are three-particle states, suppressed by exp(−2mt): at
    mT ≈ 4 by a factor of four or more from there on, beside the smallness of their amplitude.
    """
    return max(0, min(-(-extent // 6), extent // 2 - 1))


def cosh_fit(
    correlator: Float[np.ndarray, " times"],
    covariance: Float[np.ndarray, "rows columns"],
    extent: int,
    first: int,
) -> CoshFit:
    """Correlated least-squares fit of A cosh(m(t − T/2)), m > 0, to t = first … T//2.

    The amplitude is eliminated; the mass is the zero of the derivative of χ² next to its smallest value on a fixed
    grid, found to rounding, so the result is a smooth function of the correlator.

    Args:
        correlator: Folded, T//2 + 1 values.
        covariance: Of those values; only its block from `first` on is read, its scale affects `chi2` only.
        extent: T.
        first: First time fitted.

    Returns:
        The fit, or NaN if χ² has no minimum at a positive mass, or there are fewer than two times, or the covariance is
        not positive definite.
    """
    _require_folded(correlator, extent)
    require_type("covariance", covariance, np.ndarray, "a matrix, an array")
    require_whole("first", first)
    if covariance.shape != (correlator.size, correlator.size):
        raise SeriesShapeError("covariance", value=str(covariance.shape), allowed=f"{(correlator.size,) * 2}")
    data, block = correlator[first:], covariance[first:, first:]
    # in units of the errors: correlators fall over many decades
    scale = np.sqrt(np.maximum(np.diag(block), 0.0))
    if data.size < 2 or not (np.all(np.isfinite(data)) and np.all(np.isfinite(block)) and np.all(scale > 0)):
        return _NO_FIT
    try:
        factor = cholesky(block / np.outer(scale, scale), lower=True)
    except LinAlgError:
        return _NO_FIT
    whitener = solve_triangular(factor, np.diag(1 / scale), lower=True)
    return _minimum(_Profile(whitener, whitener @ data, extent, first))


class _Profile(NamedTuple):
    """χ² as a function of the mass alone, the best amplitude put in.

    Args:
        whitener: Inverse Cholesky factor of the covariance.
        target: The whitened correlator.
        extent: T.
        first: First time fitted; the model is normalised to one there.
    """

    whitener: np.ndarray
    target: np.ndarray
    extent: int
    first: int

    def model(self, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whitened cosh(m(T/2−t))/cosh(m(T/2−first)) and its m-derivative up to a multiple; times along axis 0."""
        forward = np.arange(self.target.size)[:, None]
        span = self.extent - 2 * self.first
        near, far, around = np.exp(-masses * forward), np.exp(-masses * (span - forward)), np.exp(-masses * span)
        shape = (near + far) / (1 + around)
        # the derivative of the norm is along `shape`, to which the residuals of the best amplitude are orthogonal
        slope = -(forward * near + (span - forward) * far) / (1 + around)
        return self.whitener @ shape, self.whitener @ slope

    def at(self, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Best amplitude, χ² and half its derivative with respect to the mass, for every mass."""
        shape, slope = self.model(masses)
        amplitude = self.target @ shape / np.sum(shape**2, axis=0)
        excess = amplitude * shape - self.target[:, None]
        return amplitude, np.sum(excess**2, axis=0), np.sum(excess * slope, axis=0) * amplitude


def _minimum(profile: _Profile) -> CoshFit:
    extent, first = profile.extent, profile.first
    grid = np.geomspace(1e-2 / extent, _HEAVIEST, _GRID)
    best = int(np.argmin(profile.at(grid)[1]))
    if best in (0, _GRID - 1):
        return _NO_FIT
    around = grid[[best - 1, best + 1]]
    low, high = profile.at(around)[2]
    if not low < 0 < high:
        return _NO_FIT
    found = root_scalar(
        lambda m: profile.at(np.array([m]))[2][0], bracket=tuple(around), method="brentq", xtol=1e-15, rtol=1e-15
    )
    mass = float(found.root)
    amplitude, chi2, _ = profile.at(np.array([mass]))
    # the amplitude at T/2 instead of `first`, without overflow
    half = mass * (extent / 2 - first)
    at_half = float(amplitude[0]) * 2 * math.exp(-half) / (1 + math.exp(-2 * half))
    return CoshFit(mass, at_half, float(chi2[0]), profile.target.size - 2)


def connected_correlator(shape: tuple[int, ...]) -> Derive:
    """Function from the means of `correlator` and `magnetization` to the connected correlator."""
    spatial_volume = math.prod(shape[:-1])

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"correlator": means["correlator"] - spatial_volume * means["magnetization"] ** 2}

    return derive


def _require_folded(correlator: Float[np.ndarray, " times"], extent: int) -> None:
    require_type("correlator", correlator, np.ndarray, "a folded correlator, an array")
    require_whole("extent", extent)
    if extent < 1 or correlator.shape != (extent // 2 + 1,):
        raise SeriesShapeError(
            "correlator", value=str(correlator.shape), allowed=f"{(extent // 2 + 1,)} for T = {extent}"
        )
