r"""Monotone rational-quadratic splines on the active sites of a coupling, with the identity as their tails.

On $[-B, B]$ a site's value passes through K bins, in each of which the map is a ratio of two quadratics; their widths,
heights and the slopes at the inner knots are read from the frozen sites. At $\pm B$ value and slope join the identity.
Both directions are closed forms, so the inverse costs what the forward map costs.

The parameters of a spline are ordered by their sign under field inversion: first the combinations that stay the same
when the spline is turned about the origin, $f(x)\to-f(-x)$, then those that change sign. A conditioner whose
outputs are even and odd in that order therefore makes the coupling equivariant under φ → −φ.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.arguments import choice
from latflow.bijections.base import AbstractBijection
from latflow.bijections.conditioners import AbstractConditioner
from latflow.bijections.partition import Partition
from latflow.bijections.rational import Spline, bounded_slopes, evaluate, locate, solve
from latflow.errors import ConfigError

SLOPES = ("unbounded", "bounded")


class Counts(NamedTuple):
    """How many parameters of a spline keep their sign under φ → −φ, and how many change it."""

    even: int
    odd: int


def parameter_counts(n_bins: int) -> Counts:
    """Numbers per active site of a spline of `n_bins` bins: K widths, K heights, K − 1 slopes at inner knots."""
    even = 2 * _n_even(n_bins) + _n_even(n_bins - 1)
    return Counts(even, 3 * n_bins - 1 - even)


class SplineCoupling(AbstractBijection):
    r"""$y_a = f(x_a;\,x_f)$ on active sites with a rational-quadratic spline f, $y_f = x_f$ on frozen ones.

    Parameters of zero give the identity.

    Args:
        partition: Which sites are frozen and which active.
        conditioner: Maps the frozen values to the parameters of `parameter_counts` on every active site.
        n_bins: K ≥ 2, bins of $[-B, B]$.
        half_width: B > 0; values beyond are left alone.
        least_bin: Smallest width and height of a bin, as a fraction of 2B; less than 1/K.
        least_slope: Smallest slope at a knot, below 1; of unbounded slopes.
        slopes: At inner knots, "unbounded" or "bounded" by those of the bins (`latflow.bijections.rational`).

    Raises:
        ConfigError: If there is one bin only, the least widths leave nothing to learn, or the word is unknown.

    References:
        arXiv:1906.04032, section 3.1 and appendix A.
    """

    partition: Partition = eqx.field(static=True)
    conditioner: AbstractConditioner
    n_bins: int = eqx.field(static=True)
    half_width: float = eqx.field(static=True)
    least_bin: float = eqx.field(static=True, default=1e-2)
    least_slope: float = eqx.field(static=True, default=1e-2)
    slopes: str = eqx.field(static=True, default="unbounded")

    def __check_init__(self) -> None:
        if self.n_bins < 2 or self.n_bins * self.least_bin >= 1:
            allowed = f"at least 2, less than {1 / self.least_bin:g}"
            raise ConfigError([f"flow.bins: {self.n_bins}; allowed: {allowed}"])

        choice("flow.slopes", self.slopes, SLOPES)

    def _spline(self, frozen: Float[Array, " n_frozen"]) -> Spline:
        k = self.n_bins
        parameters = self.conditioner(frozen)
        counts = [_n_even(k), _n_even(k), _n_even(k - 1), k - _n_even(k), k - _n_even(k), k - 1 - _n_even(k - 1)]
        parts = jnp.split(parameters, [sum(counts[: i + 1]) for i in range(len(counts) - 1)], axis=-1)
        widths, heights, slopes = (_unfold(even, odd) for even, odd in zip(parts[:3], parts[3:], strict=True))
        x, y = self._knots(widths), self._knots(heights)
        one = jnp.ones((slopes.shape[0], 1), slopes.dtype)
        if self.slopes == "bounded":
            mean = jnp.diff(y, axis=-1) / jnp.diff(x, axis=-1)
            inner = bounded_slopes(mean[:, :-1], mean[:, 1:], slopes)
        else:
            # softplus of this offset is 1 - least_slope: raw slopes of zero are slopes of one
            offset = math.log(math.expm1(1 - self.least_slope))
            inner = self.least_slope + jax.nn.softplus(slopes + offset)
        return Spline(x, y, jnp.concatenate([one, inner, one], axis=-1))

    def _knots(self, raw: Float[Array, "n_active n_bins"]) -> Float[Array, "n_active n_knots"]:
        """Bin edges from −B to B, both of them exact."""
        shares = self.least_bin + (1 - self.n_bins * self.least_bin) * jax.nn.softmax(raw, axis=-1)
        inner = self.half_width * (2 * jnp.cumsum(shares, axis=-1)[:, :-1] - 1)
        end = jnp.full((raw.shape[0], 1), self.half_width)
        return jnp.concatenate([-end, inner, end], axis=-1)

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        frozen, active = self.partition.split(x)
        spline = self._spline(frozen)
        inside = jnp.clip(active, -self.half_width, self.half_width)
        bins = locate(inside, spline.x, spline)
        y, log_slope = evaluate(bins, (inside - bins.left) / bins.width)
        return self._merge(frozen, active, y, log_slope)

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        frozen, active = self.partition.split(y)
        spline = self._spline(frozen)
        inside = jnp.clip(active, -self.half_width, self.half_width)
        bins = locate(inside, spline.y, spline)
        fraction = solve(bins, inside - bins.bottom)
        _, log_slope = evaluate(bins, fraction)
        return self._merge(frozen, active, bins.left + bins.width * fraction, -log_slope)

    def _merge(
        self,
        frozen: Float[Array, " n_frozen"],
        active: Float[Array, " n_active"],
        moved: Float[Array, " n_active"],
        log_slope: Float[Array, " n_active"],
    ) -> tuple[Float[Array, "*shape"], Scalar]:
        """The spline inside the interval, the identity outside."""
        is_inside = jnp.abs(active) < self.half_width
        image = self.partition.merge(frozen, jnp.where(is_inside, moved, active))
        return image, jnp.sum(jnp.where(is_inside, log_slope, 0.0))


def _n_even(n: int) -> int:
    """Symmetric combinations of n numbers: pairs and the middle."""
    return (n + 1) // 2


def _unfold(even: Float[Array, "n_active n_even"], odd: Float[Array, "n_active n_odd"]) -> Float[Array, "n_active n"]:
    """Numbers from left to right from their symmetric and antisymmetric parts; −`odd` gives them in reverse order."""
    pairs, middle = jnp.split(even, [odd.shape[1]], axis=1)
    return jnp.concatenate([pairs + odd, middle, (pairs - odd)[:, ::-1]], axis=1)
