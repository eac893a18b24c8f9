r"""Autoregression in uniform coordinates: one coordinate after another, each by a map that reads the ones before.

Tori, spheres and their products have coordinates in the unit cube in which the reference measure is uniform
(`AbstractFieldSpace.uniforms_of`). A triangular map of the cube has the log-det of its diagonal, and that is the
log-det on the space. What moves a coordinate is a map of the unit interval (`latflow.bijections.unit_maps`); on a
circle zero stays where it is. A learned turn of a circle does harm: where a mode goes round it with an earlier angle,
the turn has to sweep back somewhere, and the density has a gap there.

Circles may be counted from a sum of earlier ones with integer factors, windings: a linear map of a torus onto itself
with determinant one, as absolute angles of joints are. A mode that goes round with an earlier angle then stands still.

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
from latflow.arguments import choice
from latflow.bijections.base import AbstractBijection
from latflow.bijections.splits.network import SiteNetwork
from latflow.bijections.unit_maps import AbstractUnitMap, ProjectionMixture, UnitSpline
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, refuse_coordinates

CIRCLE_MAPS = ("spline", "ncp", "moebius")


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
    """A map of every uniform coordinate, whose numbers a network reads from the images of those before.

    Untrained networks give the windings alone. The forward map, which draws, goes from coordinate to coordinate, and so
    does the inverse.

    Args:
        space: With uniform coordinates.
        features: What networks read.
        networks: One for every coordinate.
        maps: One for every coordinate.
        windings: For every coordinate, integer factors of those before, by which it is turned; not zero for circles
            alone.
    """

    space: AbstractFieldSpace
    features: AbstractFeatures
    networks: tuple[SiteNetwork, ...]
    maps: tuple[AbstractUnitMap, ...]
    windings: tuple[tuple[int, ...], ...] = eqx.field(static=True)

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
        circle_map: str = "spline",
        windings: tuple[tuple[int, ...], ...] = (),
    ) -> "Autoregression":
        """The identity but for windings, with random hidden layers.

        Args:
            key: Randomness of the hidden layers.
            space: With uniform coordinates.
            features: What networks read.
            n_bins: Bins of every spline, maps of every mixture.
            hidden: Units of the hidden layers.
            dtype: Precision of the networks.
            circle_map: "spline", or mixtures on circles: "ncp" | "moebius".
            windings: Rows of lengths 0, 1, …; none: zeros.

        Raises:
            ConfigError: If the space has no uniform coordinates, there is one bin only, the map is unknown, or windings
                are not such rows or turn or read what is no circle.
        """
        if not space.periodic:
            refuse_coordinates(space)
        choice("flow.map", circle_map, CIRCLE_MAPS)
        windings = _checked(windings, space.periodic) if windings else tuple((0,) * i for i in range(space.n_uniforms))
        networks, maps = [], []
        for i, circle in enumerate(space.periodic):
            n_in = features(jnp.full(i, 0.5)).size
            # Nothing is read by the first one, which is a bias.
            layers = hidden if n_in else ()
            child = jax.random.fold_in(key, i)
            mixes = circle and circle_map != "spline"
            spline = UnitSpline(n_bins, circle)
            maps.append(ProjectionMixture(n_bins, circle_map == "moebius") if mixes else spline)
            n_out = maps[-1].n_numbers
            networks.append(SiteNetwork.untrained(child, n_in=n_in, hidden=layers, n_out=n_out, dtype=dtype))
        return cls(space, features, tuple(networks), tuple(maps), windings)

    @override
    def forward_and_log_det(self, x: Configuration) -> tuple[Configuration, Scalar]:
        u, images = self.space.uniforms_of(x), jnp.zeros(0)
        log_det = jnp.zeros(())
        for i, unit_map in enumerate(self.maps):
            y, log_slope = unit_map.forward(u[i], self._numbers(i, images))
            images = jnp.append(images, self._wound(i, y, images, 1))
            log_det = log_det + log_slope
        return self.space.of_uniforms(images), log_det

    @override
    def inverse_and_log_det(self, y: Configuration) -> tuple[Configuration, Scalar]:
        images, u = self.space.uniforms_of(y), []
        log_det = jnp.zeros(())
        for i, unit_map in enumerate(self.maps):
            earlier = images[:i]
            value, log_slope = unit_map.inverse(self._wound(i, images[i], earlier, -1), self._numbers(i, earlier))
            u.append(value)
            log_det = log_det + log_slope
        return self.space.of_uniforms(jnp.stack(u)), log_det

    def _numbers(self, i: int, earlier: Float[Array, " i"]) -> Float[Array, " m"]:
        return self.networks[i](self.features(earlier))

    def _wound(self, i: int, u: Scalar, earlier: Float[Array, " i"], sign: int) -> Scalar:
        """A coordinate turned by its windings, or back."""
        if not any(self.windings[i]):
            return u
        turned = u + sign * jnp.dot(jnp.asarray(self.windings[i], float), earlier)
        return turned - jnp.floor(turned)


def _checked(windings: tuple[tuple[int, ...], ...], periodic: tuple[bool, ...]) -> tuple[tuple[int, ...], ...]:
    lengths = [len(row) for row in windings]
    if lengths != list(range(len(periodic))):
        allowed = f"{len(periodic)} rows of 0, 1, … factors of the coordinates before"
        raise ConfigError([f"flow.windings: rows of {lengths}; allowed: {allowed}"])
    for i, row in enumerate(windings):
        for j, factor in enumerate(row):
            if factor and not (periodic[i] and periodic[j]):
                wrong = i if not periodic[i] else j
                raise ConfigError(
                    [f"flow.windings: {factor} in row {i}, place {j}; allowed: 0, for coordinate {wrong} is no circle"]
                )
    return windings


def _circle(u: Scalar, order: int) -> Float[Array, " m"]:
    angles = 2 * jnp.pi * u * jnp.arange(1, order + 1)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])


def _interval(u: Scalar) -> Float[Array, " m"]:
    z = 2 * u - 1
    # The radius of the circle at this height, with a derivative that stays finite at the poles.
    radius = jnp.sqrt(jnp.maximum(1 - z**2, 1e-6))
    return jnp.stack([z, z**2, z**3, radius, jnp.cos(jnp.pi * z), jnp.sin(jnp.pi * z)])
