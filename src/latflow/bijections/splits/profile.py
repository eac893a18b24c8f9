r"""Splines that turn Haar-distributed coordinates of a group element into those of a density given by its logarithm.

A coordinate runs over [0, 1] with a reference density ∝ $\sin^p\pi x$: p = 2 for the angle of SU(2), 4 and 3 for the
first column of SU(3), 0 for cosines and shares. The target is the reference times $e^\ell$. Its K bins are
equidistant; their knots in the base coordinate are the quantiles of the reference at the integrals of the target, and
the slopes at knots are ratios of the two densities. So the image has nearly the density that is asked for, and for
ℓ = const the map is nearly the identity. The log-det is that of the spline as it is, whatever was approximated.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from latflow.batching import trailing

_LOWEST = -25.0
"""Least ℓ below its maximum: bins of less weight would be narrower than rounding errors."""
_TINY = 1e-10
"""Sine below which ratios of sines are taken to be the slope of the spline."""
_DEGREE = 6

Parts = tuple[Float[Array, "*sites"], Float[Array, "*sites"]]


class Profile(NamedTuple):
    """A spline of every site, on equidistant bins of its image.

    Attributes:
        knots: Base coordinates of the knots, from 0 to 1.
        slopes: Of the image by the base coordinate, at the knots.
        power: p of the reference density.
    """

    knots: Float[Array, "n_knots *sites"]
    slopes: Float[Array, "n_knots *sites"]
    power: int


def nodes(n_bins: int) -> Float[np.ndarray, " n_nodes"]:
    """Coordinates in [0, 1] at which ℓ is wanted: first two Gauss points in every bin, then the K + 1 knots."""
    offset = 0.5 / math.sqrt(3)
    inner = np.arange(n_bins)[:, None] + np.asarray([0.5 - offset, 0.5 + offset])
    return np.concatenate([inner.ravel(), np.arange(n_bins + 1)]) / n_bins


def shares(n_bins: int, *, power: int) -> Float[np.ndarray, " n_gauss"]:
    """Shares of the reference density at the first 2K `nodes`, as `profile` integrates with them.

    Args:
        n_bins: K.
        power: p of the reference density.
    """
    return _reference(power, n_bins).weights


def profile(logs: Float[Array, "n_nodes *sites"], *, power: int) -> Profile:
    r"""The spline of a density.

    Args:
        logs: ℓ at `nodes`, up to a constant per site.
        power: p of the reference density.
    """
    n_bins = len(logs) // 3
    reference = _reference(power, n_bins)
    height = jnp.exp(jnp.maximum(logs - jax.lax.stop_gradient(jnp.max(logs, axis=0, keepdims=True)), _LOWEST))
    weighted = height[: 2 * n_bins] * _column(reference.weights, height)
    masses = weighted[0::2] + weighted[1::2]
    below, above = jnp.cumsum(masses, axis=0)[:-1], jnp.cumsum(masses[::-1], axis=0)[-2::-1]
    total = jnp.sum(masses, axis=0)
    x = _quantile(below, above, power=power)
    edge = jnp.zeros_like(x[:1])
    at_knots = height[2 * n_bins :]
    inner = jnp.sin(jnp.pi * x) ** power / _column(reference.sines, x) * (total[None] / at_knots[1:-1])
    ends = (total[None] / at_knots) ** (1 / (power + 1))
    slopes = jnp.concatenate([ends[:1], inner, ends[-1:]])
    return Profile(jnp.concatenate([edge, x, edge + 1]), slopes, power)


def push(spline: Profile, x: Float[Array, "*sites"]) -> Parts:
    """Image of a base coordinate, and the logarithm of its slope; without the factor of the reference densities."""
    n_bins = len(spline.knots) - 1
    reached = x[None] >= spline.knots[1:-1]
    bins = _picked(spline, _one_of(reached))
    fraction = within((x - bins.left) / bins.width, 1.0)
    height, log_slope = _evaluate(bins, fraction, 1 / n_bins)
    return (jnp.sum(reached, axis=0) + height * n_bins) / n_bins, log_slope


def pull(spline: Profile, y: Float[Array, "*sites"]) -> Parts:
    """Base coordinate of an image, and the logarithm of the slope *at that base coordinate*, as `push` gives it."""
    n_bins = len(spline.knots) - 1
    reached = y[None] >= _column(np.arange(1, n_bins) / n_bins, spline.knots)
    bins = _picked(spline, _one_of(reached))
    rise = within(y - jnp.sum(reached, axis=0) / n_bins, 1 / n_bins)
    fraction = _solve(bins, rise, 1 / n_bins)
    _, log_slope = _evaluate(bins, fraction, 1 / n_bins)
    return bins.left + bins.width * fraction, log_slope


def stretch(x: Float[Array, "*sites"], y: Float[Array, "*sites"], log_slope: Float[Array, "*sites"]) -> Parts:
    r"""$\sin\pi y/\sin\pi x$ of a coordinate and its image, and its logarithm.

    At both ends of the interval, where the sines vanish, it is the slope.
    """
    bottom, top = jnp.sin(jnp.pi * x), jnp.sin(jnp.pi * y)
    regular = bottom > _TINY
    ratio = jnp.where(regular, jnp.where(regular, top, 1.0) / jnp.where(regular, bottom, 1.0), jnp.exp(log_slope))
    return ratio, jnp.log(ratio)


@trailing
def through(
    logs: Float[Array, "n_nodes *sites"], value: Float[Array, "*sites"], *, power: int, inverse: bool
) -> tuple[Float[Array, "*sites"], Float[Array, "*sites"]]:
    """Image or base coordinate of one spline, and the log-det with respect to Haar in the same direction.

    Args:
        logs: ℓ at `nodes`, up to a constant per site.
        value: What is mapped.
        power: p of the reference density.
        inverse: Whether `value` is an image.
    """
    spline = profile(logs, power=power)
    other, log_slope = (pull if inverse else push)(spline, value)
    base, image = (other, value) if inverse else (value, other)
    log_det = log_slope + power * stretch(base, image, log_slope)[1] if power else log_slope
    return other, -log_det if inverse else log_det


def within(x: Float[Array, "*sites"], top: float) -> Float[Array, "*sites"]:
    """As `jnp.clip` from 0 to the top, with a derivative of one, not of a half, at both ends."""
    return jnp.where(x > top, top, jnp.where(x < 0, 0.0, x))


# Reference densities --------------------------------------------------------------------------------------------------


class _Reference(NamedTuple):
    """Integration weights of Gauss points, and the normalised sine powers at inner knots."""

    weights: Float[np.ndarray, " n_gauss"]
    sines: Float[np.ndarray, " n_inner"]


@functools.cache
def _reference(power: int, n_bins: int) -> _Reference:
    points = nodes(n_bins)
    gauss, knots = points[: 2 * n_bins], points[2 * n_bins :]
    raw = np.sin(np.pi * gauss) ** power
    # every bin gets its exact share of the reference, so that ℓ = const is the identity
    raw = raw.reshape(n_bins, 2)
    shares = np.diff(_distribution(knots, power))
    weights = raw / raw.sum(axis=1, keepdims=True) * shares[:, None]
    return _Reference(weights.ravel(), np.sin(np.pi * knots[1:-1]) ** power)


def _distribution(x: Float[np.ndarray, " n"], power: int) -> Float[np.ndarray, " n"]:
    """Share of the reference density below x."""
    nodes_, weights = np.polynomial.legendre.leggauss(40)
    inside = np.sin(np.pi * x[:, None] * (nodes_ + 1) / 2) ** power @ weights * x / 2
    return inside / (np.sin(np.pi * (nodes_ + 1) / 2) ** power @ weights / 2)


def _quantile(
    below: Float[Array, "n *sites"], above: Float[Array, "n *sites"], *, power: int
) -> Float[Array, "n *sites"]:
    """Where the reference has the shares `below` and `above`, approximately: a polynomial of their (p + 1)-th roots."""
    if power == 0:
        return below / (below + above)
    left, right = below ** (1 / (power + 1)), above ** (1 / (power + 1))
    w = left / (left + right)
    centred = w - 0.5
    bend = jnp.zeros_like(w)
    for c in _bending(power)[::-1]:
        bend = bend * centred**2 + float(c)
    return w + w * (1 - w) * centred * bend


@functools.cache
def _bending(power: int) -> Float[np.ndarray, " n"]:
    """Coefficients of `_quantile` by least squares."""
    x = np.linspace(0, 1, 402)[1:-1]
    below, above = _distribution(x, power), _distribution(1 - x, power)
    left, right = below ** (1 / (power + 1)), above ** (1 / (power + 1))
    w = left / (left + right)
    basis = ((w - 0.5) ** 2)[:, None] ** np.arange(_DEGREE)
    return np.linalg.lstsq(basis, (x - w) / (w * (1 - w) * (w - 0.5)), rcond=None)[0]


# Rational-quadratic splines -------------------------------------------------------------------------------------------


class _Bin(NamedTuple):
    """The bin in which the value of every site lies."""

    left: Float[Array, "*sites"]
    width: Float[Array, "*sites"]
    first: Float[Array, "*sites"]
    last: Float[Array, "*sites"]


def _one_of(reached: Bool[Array, "n_inner *sites"]) -> Bool[Array, "n_bins *sites"]:
    ones = jnp.ones_like(reached[:1])
    return jnp.concatenate([ones, reached]) & ~jnp.concatenate([reached, ~ones])


def _picked(spline: Profile, here: Bool[Array, "n_bins *sites"]) -> _Bin:
    """The numbers of one bin: a sum is cheaper than a gather, whose gradient would be a scatter."""
    x, slopes = spline.knots, spline.slopes
    parts = (x[:-1], x[1:] - x[:-1], slopes[:-1], slopes[1:])
    return _Bin(*(jnp.sum(jnp.where(here, part, 0.0), axis=0) for part in parts))


def _evaluate(bins: _Bin, fraction: Float[Array, "*sites"], height: float) -> Parts:
    """Rise within the bin and log-slope at a fraction of its width; arXiv:1906.04032 eqs. (4)-(5)."""
    mean, rest = height / bins.width, 1 - fraction
    denominator = mean + (bins.first + bins.last - 2 * mean) * fraction * rest
    rise = height * fraction * (mean * fraction + bins.first * rest) / denominator
    slope = bins.last * fraction**2 + 2 * mean * fraction * rest + bins.first * rest**2
    return rise, 2 * jnp.log(mean) + jnp.log(slope) - 2 * jnp.log(denominator)


def _solve(bins: _Bin, rise: Float[Array, "*sites"], height: float) -> Float[Array, "*sites"]:
    """The fraction of the width of the bin at which its spline has risen so far; eqs. (6)-(8)."""
    mean = height / bins.width
    excess = rise * (bins.first + bins.last - 2 * mean)
    a = height * (mean - bins.first) + excess
    b = height * bins.first - excess
    c = -mean * rise
    return 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 1e-300)))


def _column(numbers: np.ndarray, like: Float[Array, "_ *sites"]) -> Float[Array, "m *ones"]:
    return jnp.asarray(numbers.reshape(-1, *(1,) * (like.ndim - 1)), like.dtype)
