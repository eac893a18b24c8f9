r"""The split of U(1) plaquettes: a circular rational-quadratic spline about half the angle of the plaquette.

With $S$ the angle of P the halves are $a=S/2+y$ and $b=S/2-y$. The map $z\to y$ of $(-\pi,\pi]$ is odd, and a spline of
$|z|$ whose knots are K + 1 equidistant values of $|y|$. It is given by a density of y on the knots and the middle of
every bin,

$$\ln p(y)=2\kappa\cos\tfrac S2\cos y+n(y;S),$$

the heat bath of two blocks of coupling κ, and the output n of a network. Widths of bins in z are integrals of p by
Simpson's rule, slopes at knots are 1/p, so the density of a is close to p from the start.

At $S=\pm\pi$ the half angle jumps by π. The density is continuous there: reflecting $\cos\frac S2$ reflects y about
$\pi/2$, because even combinations of n depend on S through $\cos S$ and odd ones have a factor $\cos\frac S2$.
"""

import itertools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from latflow._typing import Field, PRNGKey
from latflow.arguments import count, counts
from latflow.batching import trailing
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.groups.base import wrap

_N_FEATURES = 3
_LEAST_KAPPA = 1e-12
_FLOOR = 1e-8
"""Share of the uniform density in that of y, so that widths are no rounding errors."""

_Parts = tuple[Float[Array, "*sites"], Float[Array, "*sites"]]


class U1Split(AbstractSplit):
    """A learned odd map of the angle between the halves of every plaquette.

    Args:
        log_kappa: Logarithm of the concentration κ of the heat bath, trained like the rest.
        weights: Matrices of the network, its last one of 2K + 1 rows.
        biases: One vector for every matrix.

    Raises:
        ConfigError: If there are fewer than two bins.

    References:
        Circular splines: arXiv:2002.02428. The heat bath of a von Mises density as start is our own.
    """

    log_kappa: Float[Array, "*levels"]
    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]

    @classmethod
    def untrained(
        cls,
        key: PRNGKey,
        *,
        kappa: float,
        n_bins: int = 20,
        hidden: tuple[int, ...] = (24, 24),
        dtype: str | jnp.dtype = "float32",
    ) -> "U1Split":
        """The heat bath of two blocks, and a network whose output is zero.

        Args:
            key: Randomness of the network.
            kappa: Concentration of the heat bath, at least 0.
            n_bins: K ≥ 2.
            hidden: Units of the hidden layers.
            dtype: Precision of the network.
        """
        count("flow.bins", n_bins, least=2)
        sizes = [_N_FEATURES, *counts("flow.hidden", hidden, words="one or more positive widths"), 2 * n_bins + 1]
        weights = []
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            noise = jax.random.normal(jax.random.fold_in(key, i), (n_out, n_in), dtype=dtype)
            weights.append(noise / math.sqrt(n_in) if i < len(sizes) - 2 else jnp.zeros_like(noise))
        biases = tuple(jnp.zeros(n, dtype) for n in sizes[1:])
        return cls(_log(kappa).astype(dtype), tuple(weights), biases)

    @override
    def at(self, kappas: Float[np.ndarray, " levels"]) -> "U1Split":
        return eqx.tree_at(lambda split: split.log_kappa, self, _log(kappas).astype(self.log_kappa.dtype))

    @override
    def forward_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _forward(self._output(plaquette), self.log_kappa, half, plaquette)

    @override
    def inverse_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _inverse(self._output(plaquette), self.log_kappa, half, plaquette)

    def _output(self, plaquette: Float[Array, "*sites"]) -> Float[Array, "n_out *sites"]:
        (x,) = _features(plaquette)
        x = x.astype(self.weights[0].dtype)
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = _hidden(jnp.tensordot(weights, x, 1), bias)
        return _shifted(jnp.tensordot(self.weights[-1], x, 1), self.biases[-1])


def _log(kappa: float | Float[np.ndarray, " levels"]) -> Float[Array, "..."]:
    return jnp.log(jnp.maximum(jnp.asarray(kappa, float), _LEAST_KAPPA))


@trailing
def _features(plaquette: Float[Array, "*sites"]) -> tuple[Array]:
    """Cosines of S, 2S and 3S."""
    c = jnp.cos(plaquette)
    return (jnp.stack([c, 2 * c**2 - 1, 4 * c**3 - 3 * c]),)


@trailing
def _hidden(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return jnp.tanh(x + _along(bias, x))


@trailing
def _shifted(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return x + _along(bias, x)


def _along(bias: Float[Array, "m *batch"], x: Float[Array, "n *sites"]) -> Float[Array, "m ..."]:
    """One number per unit, and per example of a batch, at all sites."""
    return bias.reshape(bias.shape[0], *(1,) * (x.ndim - bias.ndim), *bias.shape[1:])


@trailing
def _forward(
    output: Float[Array, "n_out *sites"],
    log_kappa: Float[Array, "*batch"],
    half: Float[Array, "*sites"],
    plaquette: Float[Array, "*sites"],
) -> _Parts:
    z = wrap(half - plaquette / 2)
    density, widths = _densities(output, log_kappa, plaquette)
    n_bins, left = len(widths), _sums_before(widths)
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
    output: Float[Array, "n_out *sites"],
    log_kappa: Float[Array, "*batch"],
    half: Float[Array, "*sites"],
    plaquette: Float[Array, "*sites"],
) -> _Parts:
    y = wrap(half - plaquette / 2)
    density, widths = _densities(output, log_kappa, plaquette)
    n_bins = len(widths)
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
    output: Float[Array, "n_out *sites"], log_kappa: Float[Array, "*batch"], plaquette: Float[Array, "*sites"]
) -> tuple[Float[Array, "n_out *sites"], Float[Array, "n_bins *sites"]]:
    """The density of |y|/π on knots and middles, and the share of every bin in it."""
    n_bins = len(output) // 2
    c = jnp.cos(plaquette / 2).astype(output.dtype)[None]
    even, odd = output[: n_bins + 1], c * output[n_bins + 1 :]
    corrections = jnp.concatenate([even[:-1] + odd, even[-1:], (even[:-1] - odd)[::-1]])
    angles = _column(np.cos(np.pi * np.arange(2 * n_bins + 1) / (2 * n_bins)), output)
    logs = 2 * _along(jnp.exp(log_kappa)[None], output).astype(output.dtype) * c * angles + corrections
    p = jnp.exp(logs - jax.lax.stop_gradient(jnp.max(logs, axis=0, keepdims=True)))
    integrals = (p[:-2:2] + 4 * p[1::2] + p[2::2]) / 6
    mean = jnp.mean(integrals, axis=0, keepdims=True)
    return (p / mean + _FLOOR) / (1 + _FLOOR), (integrals / mean + _FLOOR) / (1 + _FLOOR) / n_bins


def _sums_before(widths: Float[Array, "n_bins *sites"]) -> Float[Array, "n_bins *sites"]:
    """Sums of the widths of all bins before each, as a product with a triangular matrix."""
    n = len(widths)
    return jnp.tensordot(jnp.asarray(np.tri(n, k=-1), widths.dtype), widths, 1, precision="highest")


def _column(numbers: np.ndarray, like: Float[Array, "n *sites"]) -> Float[Array, "n *ones"]:
    return jnp.asarray(numbers.reshape(-1, *(1,) * (like.ndim - 1)), like.dtype)


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
