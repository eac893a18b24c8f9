r"""Autoregression in uniform coordinates: one coordinate after another, each by a map that reads the ones before.

Tori, spheres and their products have coordinates in the unit cube in which the reference measure is uniform
(`AbstractFieldSpace.uniforms_of`). A triangular map of the cube has the log-det of its diagonal, and that is the
log-det on the space. Coordinates are moved by rational-quadratic splines; on a circle value and slope join at its ends,
and zero stays where it is. A learned turn after the spline does harm: where a mode goes round the circle with an
earlier angle, the turn has to sweep back somewhere, and the density has a gap there.

Slopes at knots are bounded: $d=\sqrt{s_-s_+}\,e^{b\tanh(r/b)}$ with the mean slopes s of the bins on both sides and a
free number r. With free slopes the reverse KL lets the slope at a knot grow without bound between two samples, so that
the density has gaps at which weights are rare and huge.

References:
    arXiv:2002.02428 (flows on tori and spheres); arXiv:1906.04032 (splines).
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.rational import Spline, evaluate, locate, solve
from latflow.bijections.splits.network import SiteNetwork
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, refuse_coordinates

LEAST_BIN = 1e-3
"""Least width and height of a bin. Smaller ones let the density grow spikes."""
BEND = 1.0
"""b: slopes at knots differ from those of the bins by a factor of at most e."""


class AbstractFeatures(eqx.Module):
    """What a conditional density reads of the coordinates before."""

    @abc.abstractmethod
    def __call__(self, earlier: Float[Array, " n"]) -> Float[Array, " m"]:
        """Smooth functions of the first n coordinates; none of none.

        Args:
            earlier: In the unit cube.
        """


class Harmonics(AbstractFeatures):
    r"""$\cos2\pi mu$ and $\sin2\pi mu$ of circles; powers and two harmonics of intervals.

    Args:
        periodic: Which coordinates are circles.
        order: Largest m, at least 1.
    """

    periodic: tuple[bool, ...] = eqx.field(static=True)
    order: int = eqx.field(static=True, default=3)

    @override
    def __call__(self, earlier: Float[Array, " n"]) -> Float[Array, " m"]:
        before = zip(earlier, self.periodic[: earlier.size], strict=True)
        parts = [_circle(u, self.order) if circle else _interval(u) for u, circle in before]
        return jnp.concatenate(parts) if parts else jnp.zeros(0)


class Autoregression(AbstractBijection):
    """A spline of every uniform coordinate, whose numbers a network reads from the images of those before.

    Untrained networks give the identity. The forward map, which draws, goes from coordinate to coordinate, and so does
    the inverse.

    Args:
        space: With uniform coordinates.
        features: What networks read.
        networks: One for every coordinate.
        n_bins: K ≥ 2, bins of every spline.
    """

    space: AbstractFieldSpace
    features: AbstractFeatures
    networks: tuple[SiteNetwork, ...]
    n_bins: int = eqx.field(static=True)

    @classmethod
    def untrained(
        cls,
        key: PRNGKey,
        space: AbstractFieldSpace,
        features: AbstractFeatures,
        *,
        n_bins: int,
        hidden: tuple[int, ...],
        dtype: str | jnp.dtype,
    ) -> "Autoregression":
        """The identity, with random hidden layers.

        Args:
            key: Randomness of the hidden layers.
            space: With uniform coordinates.
            features: What networks read.
            n_bins: Bins of every spline.
            hidden: Units of the hidden layers.
            dtype: Precision of the networks.

        Raises:
            ConfigError: If the space has no uniform coordinates, or there is one bin only.
        """
        if not space.periodic:
            refuse_coordinates(space)
        if n_bins < 2 or n_bins * LEAST_BIN >= 1:
            raise ConfigError([f"flow.bins: {n_bins}; allowed: at least 2, less than {1 / LEAST_BIN:g}"])
        networks = []
        for i, circle in enumerate(space.periodic):
            n_in = features(jnp.full(i, 0.5)).size
            # Nothing is read by the first one, which is a bias.
            layers = hidden if n_in else ()
            child = jax.random.fold_in(key, i)
            n_out = _n_parameters(n_bins, circle=circle)
            networks.append(SiteNetwork.untrained(child, n_in=n_in, hidden=layers, n_out=n_out, dtype=dtype))
        return cls(space, features, tuple(networks), n_bins)

    @override
    def forward_and_log_det(self, x: Configuration) -> tuple[Configuration, Scalar]:
        u, images = self.space.uniforms_of(x), jnp.zeros(0)
        log_det = jnp.zeros(())
        for i, circle in enumerate(self.space.periodic):
            knots = self._spline(i, images, circle=circle)
            bins = locate(u[i : i + 1], knots.x, knots)
            y, log_slope = evaluate(bins, (u[i : i + 1] - bins.left) / bins.width)
            images = jnp.concatenate([images, y])
            log_det = log_det + log_slope[0]
        return self.space.of_uniforms(images), log_det

    @override
    def inverse_and_log_det(self, y: Configuration) -> tuple[Configuration, Scalar]:
        images, u = self.space.uniforms_of(y), []
        log_det = jnp.zeros(())
        for i, circle in enumerate(self.space.periodic):
            knots, value = self._spline(i, images[:i], circle=circle), images[i : i + 1]
            bins = locate(value, knots.y, knots)
            fraction = solve(bins, value - bins.bottom)
            log_det = log_det - evaluate(bins, fraction)[1][0]
            u.append(bins.left + bins.width * fraction)
        return self.space.of_uniforms(jnp.concatenate(u)), log_det

    def _spline(self, i: int, earlier: Float[Array, " i"], *, circle: bool) -> Spline:
        numbers = self.networks[i](self.features(earlier))
        k = self.n_bins
        widths, heights, slopes = jnp.split(numbers, [k, 2 * k])
        x, y = _edges(widths), _edges(heights)
        return Spline(x[None], y[None], _slopes(x, y, slopes, circle=circle)[None])


def _n_parameters(n_bins: int, *, circle: bool) -> int:
    """Numbers of the spline of one coordinate: widths, heights and slopes at knots, of which a circle has one less."""
    return 3 * n_bins + (0 if circle else 1)


def _edges(raw: Float[Array, " n_bins"]) -> Float[Array, " n_knots"]:
    shares = LEAST_BIN + (1 - raw.size * LEAST_BIN) * jax.nn.softmax(raw)
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(shares)[:-1], jnp.ones(1)])


def _slopes(
    x: Float[Array, " n_knots"], y: Float[Array, " n_knots"], raw: Float[Array, " n"], *, circle: bool
) -> Float[Array, " n_knots"]:
    """At every knot, near the geometric mean of the slopes of its bins; at an end of an interval there is one bin."""
    mean = jnp.diff(y) / jnp.diff(x)
    first, last = mean[:1], mean[-1:]
    below = jnp.concatenate([last if circle else first, mean])
    above = jnp.concatenate([mean, first if circle else last])
    bend = jnp.concatenate([raw, raw[:1]]) if circle else raw
    return jnp.sqrt(below * above) * jnp.exp(BEND * jnp.tanh(bend / BEND))


def _circle(u: Scalar, order: int) -> Float[Array, " m"]:
    angles = 2 * jnp.pi * u * jnp.arange(1, order + 1)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])


def _interval(u: Scalar) -> Float[Array, " m"]:
    z = 2 * u - 1
    # The radius of the circle at this height, with a derivative that stays finite at the poles.
    radius = jnp.sqrt(jnp.maximum(1 - z**2, 1e-6))
    return jnp.stack([z, z**2, z**3, radius, jnp.cos(jnp.pi * z), jnp.sin(jnp.pi * z)])
