r"""The canonical cell of SU(3): two box coordinates of three eigenvalues, and their Haar densities.

Angles in descending order with sum zero, none 2π above another, form a triangle. With the differences
$\theta_1-\theta_2=2\pi ts$ and $\theta_2-\theta_3=2\pi t(1-s)$ it is the box 0 ≤ t, s ≤ 1 with the Haar density

$$\propto t\,\sin^2(\pi ts)\,\sin^2(\pi t(1-s))\,\sin^2(\pi t).$$

t = 0 is the unit element, t = 1 are elements with $\theta_1-\theta_3=2\pi$; charge conjugation is s → 1 − s. The
marginal density of t vanishes like $t^7$ and $(1-t)^2$.
"""

import functools
import math
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow.bijections.splits.profile import Profile, nodes, within

_TERMS = 28
_POWERS = (7, 2)
_FINE = 400
_LOWEST = -25.0
"""Least logarithm below its maximum, as in `latflow.bijections.splits.profile`."""
_SMALL = 1e-100


Numbers = TypeVar("Numbers", jax.Array, np.ndarray)


class Box(NamedTuple):
    """Coordinates of a class."""

    t: Float[Array, "*sites"]
    s: Float[Array, "*sites"]


def box(angles: Float[Array, "3 *sites"]) -> Box:
    """Coordinates of angles in the order middle, largest, smallest (`latflow.bijections.splits.eigenframe`)."""
    middle, largest, smallest = angles
    upper, spread = largest - middle, largest - smallest
    some = spread > 0
    share = jnp.where(some, upper / jnp.where(some, spread, 1.0), 0.5)
    return Box(within(spread / (2 * jnp.pi), 1.0), within(share, 1.0))


def angles_of(t: Numbers, s: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Angles in the order middle, largest, smallest, of arrays of JAX or of NumPy; inverse of `box`."""
    turn = 2 * math.pi * t
    middle = turn * (1 - 2 * s) / 3
    return middle, middle + turn * s, middle - turn * (1 - s)


def conditional(t: Float[Array, "*sites"], s: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
    r"""Logarithm of the Haar density of s at given t over $\sin^2\pi s$, up to a constant per site."""
    sines = jnp.sin(jnp.pi * t[None] * s) * jnp.sin(jnp.pi * t[None] * (1 - s))
    below = jnp.sin(jnp.pi * s)
    inside = below > 1e-12
    ends = (t * jnp.sin(jnp.pi * t))[None]
    return 2 * jnp.log(jnp.maximum(jnp.where(inside, sines / jnp.where(inside, below, 1.0), ends), _SMALL))


def radial_profile(logs: Float[Array, "n_nodes *sites"]) -> Profile:
    r"""As `latflow.bijections.splits.profile.profile`, for t with its Haar density as the reference.

    Args:
        logs: Logarithm of the density over the Haar density at the `nodes`, up to a constant per site.
    """
    n_bins = len(logs) // 3
    reference = _reference(n_bins)
    height = jnp.exp(jnp.maximum(logs - jax.lax.stop_gradient(jnp.max(logs, axis=0, keepdims=True)), _LOWEST))
    weighted = height[: 2 * n_bins] * _column(reference.weights, height)
    masses = weighted[0::2] + weighted[1::2]
    below, above = jnp.cumsum(masses, axis=0)[:-1], jnp.cumsum(masses[::-1], axis=0)[-2::-1]
    total = jnp.sum(masses, axis=0)
    x = _quantile(below / total[None], above / total[None])
    at_knots = height[2 * n_bins :]
    inner = _density(x) / _column(reference.densities, x) * (total[None] / at_knots[1:-1])
    ends = [(total / at_knots[i]) ** (1 / (p + 1)) for i, p in zip((0, -1), _POWERS, strict=True)]
    edge = jnp.zeros_like(x[:1])
    knots = jnp.concatenate([edge, x, edge + 1])
    return Profile(knots, jnp.concatenate([ends[0][None], inner, ends[1][None]]), 0)


# The marginal Haar density of t -----------------------------------------------------------------------------------


class _Reference(NamedTuple):
    """Integration weights of Gauss points, and densities at inner knots."""

    weights: Float[np.ndarray, " n_gauss"]
    densities: Float[np.ndarray, " n_inner"]


def marginal(t: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Haar density of t, normalised to rounding."""
    points, weights = np.polynomial.legendre.leggauss(40)
    s = (points + 1) / 2
    t = np.asarray(t)[..., None]
    inside = (np.sin(np.pi * t * s) * np.sin(np.pi * t * (1 - s)) * np.sin(np.pi * t)) ** 2 * t
    return inside @ weights / 2 / _norm()


@functools.cache
def _norm() -> float:
    points, weights = np.polynomial.legendre.leggauss(60)
    s, w = (points + 1) / 2, weights / 2
    t = s[:, None]
    inside = (np.sin(np.pi * t * s) * np.sin(np.pi * t * (1 - s)) * np.sin(np.pi * t)) ** 2 * t
    return float(w @ inside @ w)


def _share(t: Float[np.ndarray, " n"], *, above: bool) -> Float[np.ndarray, " n"]:
    """Haar measure below or above t."""
    points, weights = np.polynomial.legendre.leggauss(40)
    start, length = (t[:, None], (1 - t)[:, None]) if above else (np.zeros_like(t)[:, None], t[:, None])
    return marginal(start + length * (points + 1) / 2) @ weights * length[:, 0] / 2


@functools.cache
def _reference(n_bins: int) -> _Reference:
    points = nodes(n_bins)
    raw = marginal(points[: 2 * n_bins]).reshape(n_bins, 2)
    shares = np.diff(_share(points[2 * n_bins :], above=False))
    weights = raw / raw.sum(axis=1, keepdims=True) * shares[:, None]
    return _Reference(weights.ravel(), marginal(points[2 * n_bins + 1 : -1]))


@functools.cache
def _fits() -> tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]:
    """Chebyshev coefficients: of the density over its powers at both ends, and of the bending of the quantile."""
    t = np.linspace(0, 1, _FINE + 2)[1:-1]
    basis = np.polynomial.chebyshev.chebvander(2 * t - 1, 12)
    density = np.linalg.lstsq(basis, marginal(t) / (t ** _POWERS[0] * (1 - t) ** _POWERS[1]), rcond=None)[0]
    left = _share(t, above=False) ** (1 / (_POWERS[0] + 1))
    right = _share(t, above=True) ** (1 / (_POWERS[1] + 1))
    w = left / (left + right)
    basis = np.polynomial.chebyshev.chebvander(2 * w - 1, _TERMS - 1)
    return density, np.linalg.lstsq(basis, (t - w) / (w * (1 - w)), rcond=None)[0]


def _density(t: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    return t ** _POWERS[0] * (1 - t) ** _POWERS[1] * _series(_fits()[0], 2 * t - 1)


def _quantile(below: Float[Array, "*sites"], above: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """Where the reference has the shares `below` and `above`, approximately."""
    left, right = below ** (1 / (_POWERS[0] + 1)), above ** (1 / (_POWERS[1] + 1))
    w = left / (left + right)
    return w + w * (1 - w) * _series(_fits()[1], 2 * w - 1)


def _series(coefficients: Float[np.ndarray, " n"], x: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """Chebyshev polynomials by Clenshaw's recurrence."""
    one, two = jnp.zeros_like(x), jnp.zeros_like(x)
    for c in coefficients[:0:-1]:
        one, two = 2 * x * one - two + float(c), one
    return x * one - two + float(coefficients[0])


def _column(numbers: np.ndarray, like: Float[Array, "_ *sites"]) -> Float[Array, "_ *ones"]:
    return jnp.asarray(numbers.reshape(-1, *(1,) * (like.ndim - 1)), like.dtype)
