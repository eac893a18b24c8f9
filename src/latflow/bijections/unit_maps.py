r"""Maps of one number of the unit interval, or of a circle in turns, whose numbers a network gives.

All leave 0 (and 1) where it is, and numbers of zero give the identity. On a circle u turns are the angle
$\theta=\pi(1-2u)$, as in `TorusSpace`, and 0 is the angle ±π.

Circles have rational-quadratic splines, whose value and slope join, and mixtures of projections. One projection has two
numbers. The maps of the projection of the circle on a line, θ → tan θ/2, that scale and shift the line are

$$\theta'=2\,\mathrm{atan2}(\alpha s+\beta c,\,c),\qquad
\frac{d\theta'}{d\theta}=\frac{\alpha}{c^2+(\alpha s+\beta c)^2},\qquad c=\cos\tfrac\theta2,\ s=\sin\tfrac\theta2,$$

without a tangent and without a branch. A Möbius map of the unit circle with the centre ω, |ω| < 1, turned so that −1
stays where it is, has the slope $(1-|\omega|^2)/|z-\omega|^2$. It is the projection with
$\alpha=|1+\omega|^2/(1-|\omega|^2)$ and $\beta=-2\,\mathrm{Im}\,\omega/(1-|\omega|^2)$: both are the same maps in other
numbers, and a chain of them is one of them. Mixtures are more, $\theta'=\sum_k\rho_kf_k(\theta)$ with positive shares
that add up to one. Their inverse is found by Newton steps and halvings inside a bracket, and its derivatives by the
implicit function theorem. Where it is not found to `TOLERANCE` the log-slope is NaN, and no density passes for one.

References:
    arXiv:2002.02428, section 2; arXiv:1906.04032 (splines).
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow.bijections.rational import Spline, bounded_slopes, evaluate, locate, solve
from latflow.errors import ConfigError

LEAST_BIN = 1e-3
"""Least width and height of a bin. Smaller ones let the density grow spikes."""
TOLERANCE = 1e-11
"""Largest error of a pre-image of a mixture, times the slope."""
MOST_TERMS = 1000
_STEPS = 60
_LOUD = 4.0
"""Largest |log α| of a projection of a mixture."""
_FARTHEST = 0.98
"""Largest |ω| of a Möbius map of a mixture."""

Numbers = Float[Array, "_ *batch"]
Moved = tuple[Float[Array, "*batch"], Float[Array, "*batch"]]


class AbstractUnitMap(eqx.Module):
    """A family of monotone maps of [0, 1] onto itself."""

    @property
    @abc.abstractmethod
    def n_numbers(self) -> int:
        """Numbers that name one of them."""

    @abc.abstractmethod
    def forward(self, u: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        """Images, and logarithms of the slopes there.

        Args:
            u: In [0, 1].
            numbers: Of a map for each of them.
        """

    @abc.abstractmethod
    def inverse(self, y: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        """Pre-images, and logarithms of the slopes of the inverse.

        Args:
            y: In [0, 1].
            numbers: Of a map for each of them.
        """


class UnitSpline(AbstractUnitMap):
    """A rational-quadratic spline: logits of widths and heights of bins, then numbers of the slopes at knots.

    Args:
        n_bins: K ≥ 2.
        circle: Slopes join at the ends.

    Raises:
        ConfigError: If there is one bin only, or so many that none can be wider than `LEAST_BIN`.
    """

    n_bins: int = eqx.field(static=True)
    circle: bool = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n_bins < 2 or self.n_bins * LEAST_BIN >= 1:
            raise ConfigError([f"flow.bins: {self.n_bins}; allowed: at least 2, less than {1 / LEAST_BIN:g}"])

    @property
    @override
    def n_numbers(self) -> int:
        return 3 * self.n_bins + (0 if self.circle else 1)

    @override
    def forward(self, u: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        spline, values = self._spline(numbers), u.ravel()
        bins = locate(values, spline.x, spline)
        y, log_slope = evaluate(bins, (values - bins.left) / bins.width)
        return y.reshape(u.shape), log_slope.reshape(u.shape)

    @override
    def inverse(self, y: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        spline, values = self._spline(numbers), y.ravel()
        bins = locate(values, spline.y, spline)
        fraction = solve(bins, values - bins.bottom)
        _, log_slope = evaluate(bins, fraction)
        return (bins.left + bins.width * fraction).reshape(y.shape), -log_slope.reshape(y.shape)

    def _spline(self, numbers: Numbers) -> Spline:
        rows = numbers.reshape(self.n_numbers, -1).T
        widths, heights, bends = jnp.split(rows, [self.n_bins, 2 * self.n_bins], axis=1)
        x, y = _edges(widths), _edges(heights)
        mean = jnp.diff(y) / jnp.diff(x)
        first, last = mean[:, :1], mean[:, -1:]
        below = jnp.concatenate([last if self.circle else first, mean], axis=1)
        above = jnp.concatenate([mean, first if self.circle else last], axis=1)
        bends = jnp.concatenate([bends, bends[:, :1]], axis=1) if self.circle else bends
        return Spline(x, y, bounded_slopes(below, above, bends))


class ProjectionMixture(AbstractUnitMap):
    r"""A mixture of maps of a circle: logits of ρ, then $\log\alpha$ and β of every one, or its centre ω.

    Every component feels its numbers with another strength, for those that began alike would learn alike.

    Args:
        n_terms: How many are mixed.
        moebius: Numbers are centres, which have no place where they jump.

    Raises:
        ConfigError: If there is none, or more than a thousand.
    """

    n_terms: int = eqx.field(static=True)
    moebius: bool = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 1 <= self.n_terms <= MOST_TERMS:
            raise ConfigError([f"flow.bins: {self.n_terms} maps to mix; allowed: 1 to {MOST_TERMS}"])

    @property
    @override
    def n_numbers(self) -> int:
        return 3 * self.n_terms

    @override
    def forward(self, u: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        image, slope = mixed(_angle(u), *self._parts(numbers))
        return _turn(image), jnp.log(slope)

    @override
    def inverse(self, y: Float[Array, "*batch"], numbers: Numbers) -> Moved:
        x, log_slope = inverted(mixed, _angle(y), *self._parts(numbers))
        return _turn(x), log_slope

    def _parts(self, numbers: Numbers) -> tuple[Float[Array, "k *batch"], "Projection"]:
        logits, first, second = jnp.split(numbers, 3)
        shares = jax.nn.softmax(logits, axis=0)
        strength = jnp.asarray(strengths(self.n_terms)).reshape(-1, *(1,) * (numbers.ndim - 1))
        first, second = strength * first, strength * second
        if not self.moebius:
            root = jnp.exp(_LOUD / 2 * jnp.tanh(first / _LOUD))
            return shares, Projection(root, second / root)
        # far numbers come near the circle as 1/v, with a derivative that is smooth at zero
        reach = _FARTHEST / jnp.sqrt(1 + first**2 + second**2)
        return shares, of_centre(reach * first, reach * second)


class Projection(NamedTuple):
    r"""$\sqrt\alpha$ and $\beta/\sqrt\alpha$ of maps of a circle."""

    root: Float[Array, "k *batch"]
    tilt: Float[Array, "k *batch"] | float


def of_centre(real: Float[Array, "k *batch"], imag: Float[Array, "k *batch"]) -> Projection:
    """Möbius maps with the centre ω inside the unit circle, turned so that −1 stays where it is."""
    room = 1 - real**2 - imag**2
    root = jnp.sqrt(((1 + real) ** 2 + imag**2) / room)
    return Projection(root, -2 * imag / (room * root))


def project(angle: Float[Array, "*batch"], by: Projection) -> tuple[Float[Array, "k *batch"], Float[Array, "k *batch"]]:
    """Images in [−π, π] of an angle there, and slopes; ±π stay where they are."""
    cosine, sine = jnp.cos(angle / 2)[None], jnp.sin(angle / 2)[None]
    up, along = by.root * sine + by.tilt * cosine, cosine / by.root
    return 2 * jnp.arctan2(up, along), 1 / (along**2 + up**2)


def mixed(angle: Float[Array, "*batch"], shares: Float[Array, "k *batch"], by: Projection) -> Moved:
    """Image and slope of a mixture; ±π stay where they are."""
    images, slopes = project(angle, by)
    return jnp.sum(shares * images, axis=0), jnp.sum(shares * slopes, axis=0)


def inverted(
    image_and_slope: Callable[..., Moved], target: Float[Array, "*batch"], *parameters: object, steps: int = _STEPS
) -> Moved:
    """Pre-image of an angle in [−π, π] under a monotone map of that interval onto itself, and the inverse's log-slope.

    Args:
        image_and_slope: The map, of an angle and its parameters.
        target: Images.
        *parameters: Through which derivatives go, as through the target.
        steps: Most steps.
    """
    fixed, wanted = jax.lax.stop_gradient((parameters, target))

    def step(state: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        n, low, high, x, _ = state
        image, slope = image_and_slope(x, *fixed)
        rest = image - wanted
        low, high = jnp.where(rest < 0, x, low), jnp.where(rest < 0, high, x)
        newton = x - rest / slope
        # every third step halves the bracket, for Newton steps may creep along one of its ends
        good = (newton > low) & (newton < high) & (n % 3 < 2)
        near = jnp.abs(rest) <= TOLERANCE / 10
        return n + 1, low, high, jnp.where(near | good, newton, (low + high) / 2), jnp.max(jnp.abs(rest))

    def goes_on(state: tuple[Array, Array, Array, Array, Array]) -> Array:
        return (state[0] < steps) & (state[4] > TOLERANCE / 10)

    pi = jnp.full_like(wanted, jnp.pi)
    start = (jnp.asarray(0), -pi, pi, wanted, jnp.asarray(jnp.inf, wanted.dtype))
    x = jax.lax.stop_gradient(jax.lax.while_loop(goes_on, step, start)[3])
    image, slope = image_and_slope(x, *parameters)
    residual = image - target
    # one more step, which carries the derivatives of the implicit function
    x = x - residual / jax.lax.stop_gradient(slope)
    log_slope = jnp.log(image_and_slope(x, *parameters)[1])
    return x, jnp.where(jnp.abs(residual) < TOLERANCE, -log_slope, jnp.nan)


def strengths(n_terms: int) -> Float[np.ndarray, " n_terms"]:
    """Factors about one by which components of a mixture feel their numbers."""
    return 2 * (np.arange(n_terms) + 1) / (n_terms + 1)


def _edges(raw: Float[Array, "n n_bins"]) -> Float[Array, "n n_knots"]:
    shares = LEAST_BIN + (1 - raw.shape[1] * LEAST_BIN) * jax.nn.softmax(raw, axis=1)
    end = jnp.ones((len(raw), 1))
    return jnp.concatenate([0 * end, jnp.cumsum(shares, axis=1)[:, :-1], end], axis=1)


def _angle(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    return jnp.pi * (1 - 2 * u)


def _turn(angle: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    return jnp.clip(0.5 * (1 - angle / jnp.pi), 0.0, 1.0)
