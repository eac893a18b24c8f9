r"""Monotone rational-quadratic functions between knots: values, slopes and inverses in closed form.

Arrays have one row for every number that is moved.

Slopes at knots may be bounded: $d=\sqrt{s_-s_+}\,e^{b\tanh(r/b)}$ with the mean slopes s of the bins on both sides and
a free number r. Without a bound the reverse KL lets the slope at a knot grow on and on between two samples, and the
density has gaps at which weights are rare and huge.

References:
    arXiv:1906.04032, section 3.1 and appendix A.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

BEND = 1.0
"""b: bounded slopes at knots differ from those of the bins by a factor of at most e."""


class Spline(NamedTuple):
    """Positions, images and slopes at the knots of every active site."""

    x: Float[Array, "n_active n_knots"]
    y: Float[Array, "n_active n_knots"]
    slope: Float[Array, "n_active n_knots"]


class Bins(NamedTuple):
    """The bin in which each site's value lies."""

    left: Float[Array, " n_active"]
    width: Float[Array, " n_active"]
    bottom: Float[Array, " n_active"]
    height: Float[Array, " n_active"]
    slope_left: Float[Array, " n_active"]
    slope_right: Float[Array, " n_active"]


def bounded_slopes(
    below: Float[Array, "n_active n_knots"],
    above: Float[Array, "n_active n_knots"],
    numbers: Float[Array, "n_active n_knots"],
) -> Float[Array, "n_active n_knots"]:
    """Slopes at knots near the geometric mean of those of their bins; numbers of zero give that mean.

    Args:
        below: Mean slopes of the bins that end at the knots.
        above: Of those that begin there; at an end of an interval there is one bin.
        numbers: r, any.
    """
    return jnp.sqrt(below * above) * jnp.exp(BEND * jnp.tanh(numbers / BEND))


def locate(value: Float[Array, " n_active"], knots: Float[Array, "n_active n_knots"], spline: Spline) -> Bins:
    """The bin of each value among `knots`, which are the spline's positions or images."""
    reached = value[:, None] >= knots[:, 1:-1]
    ones = jnp.ones((value.size, 1), bool)
    # True in one bin: its left edge has been reached and its right edge has not. A sum over bins is cheaper than a
    # gather, whose gradient would be a scatter.
    here = jnp.concatenate([ones, reached], axis=1) & ~jnp.concatenate([reached, ~ones], axis=1)

    def pick(values: Float[Array, "n_active n_bins"]) -> Float[Array, " n_active"]:
        return jnp.sum(jnp.where(here, values, 0.0), axis=1)

    x, y, slope = spline
    widths, heights = (pick(edges[:, 1:] - edges[:, :-1]) for edges in (x, y))
    return Bins(pick(x[:, :-1]), widths, pick(y[:, :-1]), heights, pick(slope[:, :-1]), pick(slope[:, 1:]))


def evaluate(
    bins: Bins, fraction: Float[Array, " n_active"]
) -> tuple[Float[Array, " n_active"], Float[Array, " n_active"]]:
    """Image and log-slope at a fraction ξ of the bin; eqs. (4)-(5)."""
    mean = bins.height / bins.width
    rest = 1 - fraction
    denominator = mean + (bins.slope_right + bins.slope_left - 2 * mean) * fraction * rest
    image = bins.bottom + bins.height * fraction * (mean * fraction + bins.slope_left * rest) / denominator
    slope = bins.slope_right * fraction**2 + 2 * mean * fraction * rest + bins.slope_left * rest**2
    return image, 2 * jnp.log(mean) + jnp.log(slope) - 2 * jnp.log(denominator)


def solve(bins: Bins, rise: Float[Array, " n_active"]) -> Float[Array, " n_active"]:
    r"""The fraction ξ at which the spline has risen by `rise` above the bin's bottom.

    The root of $a\xi^2+b\xi+c=0$ that lies in [0, 1], as $2c/(-b-\sqrt{b^2-4ac})$, which nowhere subtracts two nearly
    equal numbers; arXiv:1906.04032 eqs. (6)-(8).
    """
    mean = bins.height / bins.width
    excess = rise * (bins.slope_right + bins.slope_left - 2 * mean)
    a = bins.height * (mean - bins.slope_left) + excess
    b = bins.height * bins.slope_left - excess
    c = -mean * rise
    # b² - 4ac is positive for a monotone spline; rounding must not make it negative
    return 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0)))
