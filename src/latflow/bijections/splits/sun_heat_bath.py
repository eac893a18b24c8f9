r"""Log-densities of the coordinates of SU(N) under the weight of two Wilson blocks, the later ones integrated out.

The integral over a matrix of size m beside a column is that of m equal singular values with the same sum,
$F_m(y)=\ln\int dY\,e^{y\,\mathrm{Re\,tr}Y}$, a fit to Toeplitz determinants of Bessel functions. A phase φ' costs
$m^2(1-\cos\varphi')/\sum_i\sigma_i^{-1}$ of that sum, because the eigenvalue with the least weight turns most. At
m = 2 the integral is known exactly. The rest is left to networks.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import root_scalar
from scipy.special import ive, roots_jacobi

from latflow.bijections.splits.profile import nodes
from latflow.bijections.splits.sun_chart import Weight, shares

_STRONG = 1e-4
"""Averages below which κ is proportional to A, to their square."""
_POINTS = 0.5 + np.asarray([-0.5, 0.5]) / math.sqrt(3)
_LEAST = 0.05
"""Singular values below which inverses are bounded."""
_RANGE = 8.0
"""Largest y of the fit to $F_m$."""


def logs(
    rate: Array, weight: Weight, known: Float[Array, "step *sites"], *, step: int, n_bins: int
) -> Float[Array, "n_nodes *sites"]:
    r"""Log-density of one coordinate of a column at `nodes`, given those before it.

    Args:
        rate: λ of $\exp\lambda\,\mathrm{Re}\,e^{i\varphi}\mathrm{tr}(Z\sigma)$.
        weight: σ and φ.
        known: Coordinates of the column before this one.
        step: 0 for ξ, 1 for υ, from 2 on shares.
        n_bins: Bins of the splines.
    """
    y = nodes(n_bins).reshape(-1, *(1,) * weight.phi.ndim)
    weight = Weight(weight.sigma[:, None], weight.phi[None])
    m = len(weight.sigma) - 1
    if step == 0:
        points, weights = roots_jacobi(3, m - 1, m - 1)
        cosine, sine = jnp.cos(np.pi * y), jnp.sin(np.pi * y)
        terms = [
            math.log(w) + _head(rate, weight, cosine, sine * v) + _log_mean(rate, weight, cosine, sine * v, [])
            for v, w in zip(points, weights, strict=True)
        ]
        return functools.reduce(jnp.logaddexp, terms)
    cosine, sine = jnp.cos(jnp.pi * known[:1]), jnp.sin(jnp.pi * known[:1])
    if step == 1:
        imaginary = sine * np.cos(np.pi * y)
        return _head(rate, weight, cosine, imaginary) + _log_mean(rate, weight, cosine, imaginary, [])
    imaginary = sine * jnp.cos(jnp.pi * known[1:2])
    given = [known[i : i + 1] for i in range(2, step)]
    return _log_block(rate, weight, cosine, imaginary, [*given, jnp.asarray(y)])


def centre_logs(rate: Array, strength: Float[Array, "*sites"], *, n_bins: int) -> Float[Array, "n_nodes *sites"]:
    """Of the angle of the last SU(2) matrix; the cosine of its axis is uniform."""
    y = nodes(n_bins).reshape(-1, *(1,) * strength.ndim)
    return rate * strength[None] * np.cos(np.pi * y)


def _head(rate: Array, weight: Weight, real: Array, imaginary: Array) -> Array:
    return rate * weight.sigma[0] * (jnp.cos(weight.phi) * real - jnp.sin(weight.phi) * imaginary)


def _log_mean(rate: Array, weight: Weight, real: Array, imaginary: Array, known: list[Array]) -> Array:
    """Averaged over the next share with two Gauss points."""
    terms = [_log_block(rate, weight, real, imaginary, [*known, jnp.full((1,) * real.ndim, u)]) for u in _POINTS]
    return jnp.logaddexp(*terms)


def _log_block(rate: Array, weight: Weight, real: Array, imaginary: Array, known: list[Array]) -> Array:
    """Of the matrix beside the column, shares that are not known being equal."""
    sigma, phi, m = weight.sigma, weight.phi, len(weight.sigma) - 1
    square = real**2 + imaginary**2
    beside = shares(known, m)
    if m == 2:
        total = sum(sigma[i + 1] ** 2 * (1 - (1 - square) * share) for i, share in enumerate(beside))
        total = total + 2 * sigma[1] * sigma[2] * (jnp.cos(2 * phi) * real + jnp.sin(2 * phi) * imaginary)
        # ln 2I_1(x)/x by its bound of Amos type in x², right at both ends
        root = jnp.sqrt(rate**2 * total + 6.25)
        return root - 2.5 - 1.5 * jnp.log((1.5 + root) / 4)
    # traces of diag(σ)|C| and of its inverse, which stand for those of its singular values
    length = jnp.sqrt(square + _LEAST**2)
    total = sum(sigma[i + 1] * (1 - (1 - length) * share) for i, share in enumerate(beside))
    inverse = [jax.lax.rsqrt(s**2 + _LEAST**2) for s in sigma[1:]]
    soft = m**2 * length / sum(s * (length + (1 - length) * share) for s, share in zip(inverse, beside, strict=True))
    turned = 1 - jnp.cos(phi - jnp.arctan2(imaginary, real) / m)
    return _integral((rate * (total - soft * turned) / m) ** 2, m)


def _integral(square: Array, m: int) -> Array:
    """F_m as a function of y²."""
    c, d = _shape(m)
    root = jnp.sqrt(square + c**2)
    return m * (root - c) - (m**2 - 1) / 2 * jnp.log((root + d) / (c + d))


@functools.cache
def _shape(m: int) -> tuple[float, float]:
    """Both constants of the fit, c and d; F_m = y²/4 for small y fixes one of them."""
    y = np.linspace(0.1, _RANGE, 60)
    exact = np.log([_coefficient(m, float(x), raised=False) for x in y]) + m * y

    def other(c: float) -> float:
        return (m**2 - 1) / (2 * m - c) - c

    def error(c: float) -> float:
        root = np.sqrt(y**2 + c**2)
        fit = m * (root - c) - (m**2 - 1) / 2 * np.log((root + other(c)) / (c + other(c)))
        return float(np.sum((fit - exact) ** 2))

    # between them both logarithms are of positive numbers
    valid = [c for c in np.linspace(0.05, 2 * m - 0.05, 2000) if c + other(c) > 0]
    found = float(min(valid, key=error))
    return found, other(found)


def block_couplings(n: int, beta: float, n_levels: int) -> Float[np.ndarray, " n_levels"]:
    r"""Couplings κ of blocks of $2^{n-1},\dots,2,1$ plaquettes of SU(n), those of the coarsest level first.

    The average of a block is a power of that of one plaquette, $A(\kappa_n)=A(\beta)^n$.

    Args:
        n: N of the group.
        beta: Coupling of the plaquettes, at least 0.
        n_levels: Levels.
    """
    averages = [_average(n, beta) ** (2**i) for i in reversed(range(n_levels))]
    return np.asarray([_coupling(n, a, 2 * beta + 1) if a > _STRONG else 2 * n**2 * a for a in averages])


def _coupling(n: int, average: float, largest: float) -> float:
    return float(root_scalar(lambda kappa: _average(n, kappa) - average, bracket=(0.0, largest)).root)


def _average(n: int, kappa: float) -> float:
    r"""$\frac1N\langle\mathrm{Re\,tr}\,U\rangle$ of a plaquette of coupling κ."""
    return _coefficient(n, kappa / n, raised=True) / (n * _coefficient(n, kappa / n, raised=False))


def _coefficient(n: int, y: float, *, raised: bool) -> float:
    r"""$\int dU\,e^{y(\mathrm{Re\,tr}\,U-n)}$, or with one row of the determinant raised, of the trace."""
    rows = np.zeros(n, int)
    rows[0] = raised
    base = rows[None] - np.arange(n)[None] + np.arange(n)[:, None]
    reach = n + 20 + int(2 * y * n)
    orders = base[None] + np.arange(-reach, reach + 1)[:, None, None]
    return float(np.sum(np.linalg.det(ive(np.abs(orders), y))))
