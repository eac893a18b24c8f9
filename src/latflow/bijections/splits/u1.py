r"""The split of U(1) plaquettes: a circular rational-quadratic spline about half the angle of the plaquette.

With $S$ the angle of P the halves are $a=S/2+y$ and $b=S/2-y$. Blocks of weight $e^{E(a)}$ give the density

$$\ln p(y)=E(a)+E(b)=\sum_h\frac{2c_h}{h^2}\cos\tfrac{hS}2\cos hy,\qquad E(\theta)=\sum_h\frac{c_h}{h^2}\cos h\theta,$$

with trainable coefficients, one set per level. Each of them contributes to the curvature of E at θ = 0 alike, so that
an optimiser may take steps of one size. A block of plaquettes of any action of single plaquettes in two
dimensions has a density of its boundary that is a function of one angle: `block_energies` fits its logarithm.

The map $z\to y$ of $(-\pi,\pi]$ is odd, and a spline of $|z|$ whose knots are K + 1 equidistant values of $|y|$. Widths
of bins in z are integrals of p by Simpson's rule, slopes at knots are 1/p, so the density of a is close to p. At
$S=\pm\pi$ half the angle jumps by π, and p does not: both factors of odd terms change their sign.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from latflow._typing import Field
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.groups.base import wrap

_FLOOR = 1e-8
"""Share of the uniform density in that of y, so that widths are no rounding errors."""
_ANGLES = 512
"""Points of the densities of blocks on the circle."""

_Parts = tuple[Float[Array, "*sites"], Float[Array, "*sites"]]


class U1Split(AbstractSplit):
    """A learned odd map of the angle between the halves of every plaquette.

    Args:
        energy: Coefficients $c_h$ of E.
        n_bins: K ≥ 2, bins of the spline.

    Raises:
        ConfigError: If there are fewer than two bins.

    References:
        Circular splines: arXiv:2002.02428. The density of two blocks in the place of a network is our own.
    """

    energy: Float[Array, "... n_terms"]
    n_bins: int = eqx.field(static=True, default=32)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)

    @override
    def heat_bath(self, beta: float) -> "U1Split":
        n_levels, n_terms = self.energy.shape
        energies = block_energies(beta, n_levels, n_terms=n_terms)
        return eqx.tree_at(lambda split: split.energy, self, jnp.asarray(energies, self.energy.dtype))

    @override
    def alone(self) -> "U1Split":
        # at P = 1 both halves have the same E
        return eqx.tree_at(lambda split: split.energy, self, self.energy / 2)

    @override
    def placed(self, x: Field, plaquette: Field) -> Field:
        return wrap(x + plaquette / 2)

    @override
    def forward_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _forward(self.energy, half, plaquette, n_bins=self.n_bins)

    @override
    def inverse_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _inverse(self.energy, half, plaquette, n_bins=self.n_bins)


def block_energies(beta: float, n_levels: int, *, n_terms: int) -> Float[np.ndarray, "n_levels n_terms"]:
    r"""Coefficients of E for blocks of $2^{n-1},\dots,2,1$ plaquettes, those of the coarsest level first.

    The density of the loop around a block of Wilson's action is the convolution of the weights of its plaquettes.
    Every size doubles the one before, by sums of positive numbers on the circle. The logarithm is fitted by least
    squares, weighted with the density.

    Args:
        beta: Coupling of the plaquettes, at least 0.
        n_levels: n.
        n_terms: Number of coefficients.
    """
    angles = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    differences = np.arange(_ANGLES)[:, None] - np.arange(_ANGLES)
    basis = np.cos(np.outer(angles, np.arange(n_terms + 1)))
    density, energies = np.exp(beta * (np.cos(angles) - 1)), []
    for _ in range(n_levels):
        density /= density.mean()
        logs, weights = np.log(density), np.sqrt(density)
        fit = np.linalg.lstsq(basis * weights[:, None], logs * weights, rcond=None)[0][1:]
        energies.append(fit * np.arange(1, n_terms + 1) ** 2)
        density = np.mean(density[differences] * density, axis=1)
    return np.asarray(energies[::-1])


@trailing
def _forward(
    energy: Float[Array, "n_terms *batch"],
    half: Float[Array, "*sites"],
    plaquette: Float[Array, "*sites"],
    *,
    n_bins: int,
) -> _Parts:
    z = wrap(half - plaquette / 2)
    density, widths = _densities(energy, plaquette, n_bins)
    left = _sums_before(widths)
    sign = _sign(z)
    t = sign * z / jnp.pi
    reached = t.astype(left.dtype)[None] >= left[1:]
    ones = jnp.ones_like(reached[:1])
    here = jnp.concatenate([ones, reached]) & ~jnp.concatenate([reached, ~ones])
    bins = _Bin(*(_pick(here, part) for part in (left, widths, density[:-2:2], density[2::2])))
    fraction = (t - bins.left) / bins.width
    # rounding of the knots of a float32 network must not leave the bin; a clip would halve the slope at its ends
    fraction = jnp.where(fraction < 0, 0.0, jnp.where(fraction > 1, 1.0, fraction))
    height, log_slope = _evaluate(bins, fraction, n_bins)
    u = jnp.sum(reached, axis=0) / n_bins + height
    return wrap(plaquette / 2 + jnp.pi * u * sign), log_slope


@trailing
def _inverse(
    energy: Float[Array, "n_terms *batch"],
    half: Float[Array, "*sites"],
    plaquette: Float[Array, "*sites"],
    *,
    n_bins: int,
) -> _Parts:
    y = wrap(half - plaquette / 2)
    density, widths = _densities(energy, plaquette, n_bins)
    sign = _sign(y)
    u = sign * y / jnp.pi
    number = jnp.minimum(jnp.floor(u * n_bins), n_bins - 1)
    here = number[None] == _bins(n_bins, u)
    bins = _Bin(*(_pick(here, part) for part in (_sums_before(widths), widths, density[:-2:2], density[2::2])))
    fraction = _solve(bins, (u * n_bins - number) / n_bins, n_bins)
    _, log_slope = _evaluate(bins, fraction, n_bins)
    t = bins.left + bins.width * fraction
    return wrap(plaquette / 2 + jnp.pi * t * sign), -log_slope


def _sign(angle: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """1 or −1, also at zero, where the derivative of a map that is odd must not vanish."""
    return jnp.where(angle < 0, -1.0, 1.0)


class _Bin(NamedTuple):
    """One bin of every site: where it begins in |z|/π, its width there, and the densities of |y|/π at its ends."""

    left: Float[Array, "*sites"]
    width: Float[Array, "*sites"]
    density_left: Float[Array, "*sites"]
    density_right: Float[Array, "*sites"]


def _densities(
    energy: Float[Array, "n_terms *batch"], plaquette: Float[Array, "*sites"], n_bins: int
) -> tuple[Float[Array, "n_nodes *sites"], Float[Array, "n_bins *sites"]]:
    """The density of |y|/π on knots and middles, and the share of every bin in it."""
    c = jnp.cos(plaquette / 2).astype(energy.dtype)
    cosines = [jnp.ones_like(c), c]
    for _ in range(len(energy) - 1):
        cosines.append(2 * c * cosines[-1] - cosines[-2])
    amplitudes = 2 * _along(energy, plaquette) * jnp.stack(cosines[1:])
    angles = np.pi * np.arange(2 * n_bins + 1) / (2 * n_bins)
    harmonics = np.arange(1, len(energy) + 1)
    nodes = np.cos(np.outer(angles, harmonics)) / harmonics**2
    logs = jnp.tensordot(jnp.asarray(nodes, c.dtype), amplitudes, 1, precision="highest")
    p = jnp.exp(logs - jax.lax.stop_gradient(jnp.max(logs, axis=0, keepdims=True)))
    integrals = (p[:-2:2] + 4 * p[1::2] + p[2::2]) / 6
    mean = jnp.mean(integrals, axis=0, keepdims=True)
    return (p / mean + _FLOOR) / (1 + _FLOOR), (integrals / mean + _FLOOR) / (1 + _FLOOR) / n_bins


def _along(energy: Float[Array, "n_terms *batch"], sites: Float[Array, "*sites"]) -> Float[Array, "n_terms *ones"]:
    """One number per term, and per example of a batch, at all sites."""
    ones = (1,) * (sites.ndim + 1 - energy.ndim)
    return energy.reshape(len(energy), *ones, *energy.shape[1:])


def _sums_before(widths: Float[Array, "n_bins *sites"]) -> Float[Array, "n_bins *sites"]:
    """Sums of the widths of all bins before each, as a product with a triangular matrix."""
    n = len(widths)
    return jnp.tensordot(jnp.asarray(np.tri(n, k=-1), widths.dtype), widths, 1, precision="highest")


def _bins(n_bins: int, u: Float[Array, "*sites"]) -> Float[Array, "n_bins *ones"]:
    return jnp.arange(n_bins, dtype=u.dtype).reshape(-1, *(1,) * u.ndim)


def _pick(here: Bool[Array, "n_bins *sites"], values: Float[Array, "n_bins *sites"]) -> Float[Array, "*sites"]:
    """The value of one bin: a sum is cheaper than a gather, whose gradient would be a scatter."""
    return jnp.sum(jnp.where(here, values, 0.0), axis=0).astype(float)


def _evaluate(bins: _Bin, fraction: Float[Array, "*sites"], n_bins: int) -> _Parts:
    """Height above the bottom of the bin and log-slope at a fraction of its width; arXiv:1906.04032 eqs. (4)-(5)."""
    mean = 1 / (n_bins * bins.width)
    first, last, rest = 1 / bins.density_left, 1 / bins.density_right, 1 - fraction
    denominator = mean + (first + last - 2 * mean) * fraction * rest
    height = fraction * (mean * fraction + first * rest) / (denominator * n_bins)
    slope = last * fraction**2 + 2 * mean * fraction * rest + first * rest**2
    return height, 2 * jnp.log(mean) + jnp.log(slope) - 2 * jnp.log(denominator)


def _solve(bins: _Bin, height: Float[Array, "*sites"], n_bins: int) -> Float[Array, "*sites"]:
    """The fraction of the width of the bin at which its spline has a height; eqs. (6)-(8)."""
    mean, first = 1 / (n_bins * bins.width), 1 / bins.density_left
    excess = height * (first + 1 / bins.density_right - 2 * mean)
    a = (mean - first) / n_bins + excess
    b = first / n_bins - excess
    c = -mean * height
    return 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0)))
