r"""Tori and spheres: compact spaces with uniform coordinates.

The reference measure is uniform and normalised; add $\log 2\pi$ per circle, $\log4\pi$ per $S^2$ or $\log2\pi^2$ per
$S^3$ for the logarithm of the volume. `uniforms_of` and `of_uniforms` go to the unit cube and back. They carry the
uniform measure to the uniform measure, so that a bijection of the cube has the log-det of the bijection of the space.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.arguments import count, counts
from latflow.display import extents
from latflow.fields.spaces import (
    NARROW,
    AbstractFieldSpace,
    refuse_coordinates,
    refuse_uniforms,
    require_array,
)
from latflow.groups.base import wrap
from latflow.randomness import standard_normal, uniform

_POLE = 1e-24
"""Least share of a squared radius: below it the root has no derivative that could be used."""


class TorusSpace(AbstractFieldSpace):
    """Angles in (−π, π], one for every entry, with the uniform measure.

    Chains start hot, with uniform angles, and near zero, by turns.

    Args:
        shape: Of the array of angles; sites, or how many angles there are.

    Raises:
        TypeError: If it is no tuple or list of whole numbers.
        ConfigError: If it is empty or an extent is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = counts("shape", shape, words="positive extents")
        self.tangent_shape = self.shape

    @property
    @override
    def summary(self) -> str:
        return f"angles, {extents(self.shape)}"

    @property
    @override
    def is_compact(self) -> bool:
        return True

    @override
    def require(self, x: Configuration) -> None:
        require_array(x, self.shape, is_complex=False)

    @property
    @override
    def n_uniforms(self) -> int:
        return math.prod(self.shape)

    @property
    @override
    def periodic(self) -> tuple[bool, ...]:
        return (True,) * self.n_uniforms

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*shape"]:
        return _angle(u).reshape(self.shape)

    @override
    def uniforms_of(self, x: Float[Array, "*shape"]) -> Float[Array, " n_uniforms"]:
        return _turn(x).ravel()

    @override
    def cold(self) -> Float[Array, "*shape"]:
        return jnp.zeros(self.shape)

    @override
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        return _angle(uniform(key, self.shape))

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Float[Array, "*shape"]:
        return jnp.where(number % 2 == 0, self.random(key), NARROW * self.momentum(key))

    @override
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return wrap(x + p)

    @override
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return p

    @override
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        return dx

    @override
    def distance(self, x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Scalar:
        return jnp.max(jnp.abs(wrap(x - y)))

    @override
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        outside = jnp.maximum(jnp.max(jnp.abs(x)) - jnp.pi, 0.0)
        return jnp.where(jnp.all(jnp.isfinite(x)), outside, jnp.inf)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        return standard_normal(key, self.tangent_shape)


class SphereSpace(AbstractFieldSpace):
    r"""Unit vectors $x\in S^D\subset\mathbb R^{D+1}$, one or one per site, with the uniform measure.

    One array `x[component, *sites]`. A momentum `p[i, *sites]` has D components in an orthonormal frame: the columns
    but the first of the reflection that takes the first unit vector to ±x. It jumps where the first component changes
    its sign, which nothing depends on.

    Uniform coordinates: $S^2$ has the height $(1+x_0)/2$ and the longitude, both uniform (Archimedes). On odd spheres
    components are pairs, D = 2m − 1: shares of the squared moduli by breaking a stick, then the m phases
    (Hopf coordinates for $S^3$). Even spheres from $S^4$ on have none.

    Chains start hot, with uniform vectors, and near the first unit vector, by turns.

    Args:
        dimension: D, at least 1.
        sites: Extents; none for one vector.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the dimension or an extent is not positive.
    """

    dimension: int = eqx.field(static=True)
    sites: tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, dimension: int, sites: tuple[int, ...] = ()) -> None:
        self.dimension = count("dimension", dimension, least=1)
        self.sites = counts("sites", sites, words="positive extents") if sites != () else ()
        self.shape = (self.dimension + 1, *self.sites)
        self.tangent_shape = (self.dimension, *self.sites)

    @property
    @override
    def summary(self) -> str:
        name = f"unit vectors of {self.dimension + 1} components"
        return f"{name}, {extents(self.sites)}" if self.sites else name

    @property
    @override
    def is_compact(self) -> bool:
        return True

    @override
    def require(self, x: Configuration) -> None:
        require_array(x, self.shape, is_complex=False)

    @property
    @override
    def n_uniforms(self) -> int:
        known = self.dimension == 2 or self.dimension % 2 == 1
        return math.prod(self.tangent_shape) if known else 0

    @property
    @override
    def periodic(self) -> tuple[bool, ...]:
        if not self.n_uniforms:
            return ()
        n_circles = (self.dimension + 1) // 2
        each = (False,) * (self.dimension - n_circles) + (True,) * n_circles
        return tuple(one for one in each for _ in range(math.prod(self.sites)))

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*shape"]:
        if not self.n_uniforms:
            refuse_uniforms(self)
        rows = u.reshape(self.tangent_shape)
        if self.dimension == 2:
            height, phase = 2 * rows[0] - 1, _angle(rows[1])
            radius = _root(4 * rows[0] * (1 - rows[0]))
            return jnp.stack([height, radius * jnp.cos(phase), radius * jnp.sin(phase)])
        n_shares = self.dimension // 2
        left, pairs = jnp.ones_like(rows[0]), []
        for i in range(n_shares + 1):
            kept = (1 - rows[i]) ** (1 / (n_shares - i)) if i < n_shares else jnp.zeros_like(left)
            radius, phase = _root(left * (1 - kept)), _angle(rows[n_shares + i])
            pairs += [radius * jnp.cos(phase), radius * jnp.sin(phase)]
            left = left * kept
        return jnp.stack(pairs)

    @override
    def uniforms_of(self, x: Float[Array, "*shape"]) -> Float[Array, " n_uniforms"]:
        if not self.n_uniforms:
            refuse_coordinates(self)
        if self.dimension == 2:
            # By the smaller of 1 ± x₀, which does not cancel near the poles.
            share = 0.5 * (x[1] ** 2 + x[2] ** 2) / (1 + jnp.abs(x[0]))
            return jnp.stack([jnp.where(x[0] > 0, 1 - share, share), _turn(jnp.arctan2(x[2], x[1]))]).ravel()
        squares = x[0::2] ** 2 + x[1::2] ** 2
        # What is left of the stick after each break, summed from its end: nothing cancels.
        left = jnp.cumsum(squares[::-1], axis=0)[::-1]
        n_shares = self.dimension // 2
        rows = [1 - (left[i + 1] / left[i]) ** (n_shares - i) for i in range(n_shares)]
        phases = _turn(jnp.arctan2(x[1::2], x[0::2]))
        return jnp.concatenate([jnp.stack(rows), phases]).ravel() if rows else phases.ravel()

    @override
    def cold(self) -> Float[Array, "*shape"]:
        return jnp.zeros(self.shape).at[0].set(1.0)

    @override
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        return normalised(standard_normal(key, self.shape))

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Float[Array, "*shape"]:
        near = self.move(self.cold(), NARROW * self.momentum(key))
        return jnp.where(number % 2 == 0, self.random(key), near)

    @override
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        arc = _arc(p)
        return normalised(x * arc.cosine + self.displace(x, p) * arc.sinc)

    @override
    def carry(
        self, x: Float[Array, "*shape"], d: Float[Array, "*tangent"], p: Float[Array, "*tangent"]
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*tangent"]]:
        arc, way = _arc(d), self.displace(x, d)
        y = normalised(x * arc.cosine + way * arc.sinc)
        # Only the part along the way turns, e → e cos n − x sin n for the unit vector e of the way.
        turned = jnp.sum(d * p, axis=0, keepdims=True) * (x * arc.sinc + way * arc.versine)
        return y, self.coordinates(y, self.displace(x, p) - turned)

    @override
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return _reflected(x, jnp.concatenate([jnp.zeros_like(x[:1]), p]))

    @override
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        return _reflected(x, dx)[1:]

    @override
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        off = jnp.max(jnp.abs(jnp.sum(x**2, axis=0) - 1))
        return jnp.where(jnp.all(jnp.isfinite(x)), off, jnp.inf)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        return standard_normal(key, self.tangent_shape)


def _angle(u: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """In (−π, π], of a number in [0, 1)."""
    return jnp.pi * (1 - 2 * u)


def _turn(angle: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """Inverse of `_angle`, in [0, 1)."""
    u = 0.5 * (1 - angle / jnp.pi)
    return u - jnp.floor(u)


def _root(share: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    return jnp.sqrt(jnp.maximum(share, _POLE))


def normalised(x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
    """Vectors of length one in the same directions; components first."""
    return x / jnp.sqrt(jnp.sum(x**2, axis=0, keepdims=True))


class _Arc(NamedTuple):
    r"""$\cos n$, $\sin n/n$ and $(1-\cos n)/n^2$ of the length n of a displacement, smooth at zero."""

    cosine: Float[Array, "1 *sites"]
    sinc: Float[Array, "1 *sites"]
    versine: Float[Array, "1 *sites"]


def _arc(d: Float[Array, "n *sites"]) -> _Arc:
    square = jnp.sum(d**2, axis=0, keepdims=True)
    small = square < 1e-12
    length = jnp.sqrt(jnp.where(small, 1.0, square))
    half = 0.5 * length
    return _Arc(
        jnp.where(small, 1 - square / 2, jnp.cos(length)),
        jnp.where(small, 1 - square / 6, jnp.sin(length) / length),
        jnp.where(small, 0.5 - square / 24, 0.5 * (jnp.sin(half) / half) ** 2),
    )


def _reflected(x: Float[Array, "n *sites"], v: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
    """`v` reflected by the mirror between the first unit vector and −x or x, whichever is farther from it."""
    sign = jnp.where(x[:1] >= 0, 1.0, -1.0)
    mirror = jnp.concatenate([x[:1] + sign, x[1:]])
    return v - mirror * (jnp.sum(mirror * v, axis=0, keepdims=True) / (1 + jnp.abs(x[:1])))
