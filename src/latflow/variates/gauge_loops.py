r"""Velocities of links made of loops, with closed divergences: control variates of gauge theories.

Every kind of paths of `latflow.fields.loop_velocities` is one velocity of all links. With
$f_v=\partial\cdot v-v\cdot\partial S$, a product with a function h of the links is one more:
$f_{hv}=h\,f_v+v\cdot\partial h$. Here h is the sum of plaquettes less a constant, which second moments need: the
susceptibility of the plaquette, d⟨P⟩/dβ of Wilson's action. With ``slices`` the product is taken time slice by time
slice, h in slice t + r and v in slice t, for all distances r: for correlators of the action density.

Only products of neighbouring matrices enter, in any dimension and for any group; staples are shared by all velocities.
The action enters by its force alone, so that plaquettes, rectangles or anything else may be in it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Links, Matrices, Momentum, PRNGKey, Tangent
from latflow.actions.base import AbstractAction
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.fields.loop_velocities import (
    Paths,
    Staples,
    path_names,
    paths,
    projected,
    staples_of,
    trace_of_product,
)
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace
from latflow.fields.transport import total
from latflow.given import require_type
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import diagonal_sum, multiply
from latflow.variates.base import AbstractSteinFields
from latflow.variates.gauge_slices import (
    BySlice,
    OfVelocity,
    distances,
    of_slices,
    products_of_slices,
    profile,
    slices_of_plaquettes,
)

PRODUCTS = ("total", "slices", "none")
"""What the velocities are multiplied with: the sum of plaquettes, that of a time slice, nothing."""

_DEFAULTS: Mapping[str, Any] = {"products": "total", "centre": 0.5}


class LoopFields(AbstractSteinFields):
    """The velocities of this module. They have no weights: nothing is trained.

    Args:
        space: Space of the links.
        products: One of `PRODUCTS`.
        centre: Roughly the mean plaquette, which h is counted from. It changes no result, but near the mean the
            variates are less alike and their coefficients better determined.

    Raises:
        ConfigError: If `products` is another word.
    """

    kind: ClassVar[str] = "loops"
    space: GaugeSpace
    products: str = eqx.field(static=True, default=_DEFAULTS["products"])
    centre: float = eqx.field(static=True, default=_DEFAULTS["centre"])

    def __check_init__(self) -> None:
        require_type("space", self.space, GaugeSpace, "the space of an action of links, action.space")
        if self.products not in PRODUCTS:
            raise ConfigError([f"products: {self.products!r}; allowed: {', '.join(PRODUCTS)}"])

    @classmethod
    @override
    def create(cls, key: PRNGKey, space: AbstractFieldSpace, settings: Mapping[str, Any]) -> "LoopFields":
        del key
        if type(space) is not GaugeSpace:
            raise ConfigError([f"velocities: of {space.summary}; allowed: gauge links"])
        return cls(space, **{**_DEFAULTS, **settings})

    @property
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"products": self.products, "centre": self.centre}

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return (*self._paths, *(f"{factor}·{name}" for factor in self._factors for name in self._paths))

    @property
    def _paths(self) -> tuple[str, ...]:
        return path_names(self.space.group, self.space.lattice.shape)

    @property
    def _factors(self) -> tuple[str, ...]:
        of_slices = (f"P(t+{r})" for r in distances(self.space.lattice.shape[-1]))
        return {"none": (), "total": ("P",), "slices": tuple(of_slices)}[self.products]

    @override
    def value(self, action: AbstractAction, x: Field) -> Float[Array, " n_fields"]:
        links, group = self.space.links(x), self.space.group
        slope = jnp.stack([group.algebra(p) for p in action.force(x)])
        return _values(links, slope, names=self._paths, group=group, products=self.products, centre=self.centre)

    @override
    def velocities(self, x: Field) -> Momentum:
        links, group, shape = self.space.links(x), self.space.group, self.space.tangent_shape
        v = _coefficients(links, names=self._paths, group=group).reshape(len(self._paths), *shape)
        h = _plaquettes(links, group=group, centre=self.centre)
        if self.products == "total":
            return jnp.concatenate([v, jnp.sum(h) * v])
        lags = distances(len(h)) if self.products == "slices" else ()
        return jnp.concatenate([v, *(profile(h, r, shape=shape)[None] * v for r in lags)])


# For use under `vmap`, where the batch is the last axis ---------------------------------------------------------------


@trailing
def _values(
    links: Links, slope: Links, *, names: tuple[str, ...], group: AbstractGroup, products: str, centre: float
) -> Float[Array, "fields *batch"]:
    r"""Of every velocity; `slope` is $iT_a\partial_aS$ of every link."""
    staples = staples_of(links)
    found = paths(links, staples, names=names, group=group)
    parts = _Plaquettes.of(links, staples)
    sums = [_of_velocity([each[name] for each in found], slope, parts, group) for name in names]
    out = [jnp.sum(of_slices(v.within, v.between), axis=0) for v in sums]
    h = parts.slices(centre)
    if products == "total":
        whole = jnp.sum(h, axis=0)
        out += [whole * f + jnp.sum(total(v[2:]), axis=0) for f, v in zip(list(out), sums, strict=True)]
    if products == "slices":
        by_velocity = [products_of_slices(h, v) for v in sums]
        out += [each[r] for r in distances(len(h)) for each in by_velocity]
    return jnp.stack(out)


@trailing
def _coefficients(links: Links, *, names: tuple[str, ...], group: AbstractGroup) -> Tangent:
    """The velocities, one after the other along axis 0."""
    found = paths(links, staples_of(links), names=names, group=group)
    return jnp.stack([jnp.stack([group.coefficients(each[name].matrices) for each in found]) for name in names])


@trailing
def _plaquettes(links: Links, *, group: AbstractGroup, centre: float) -> BySlice:
    """The function h of every time slice."""
    del group
    return _Plaquettes.of(links, staples_of(links)).slices(centre)


class _Plaquettes(NamedTuple):
    """Of every direction, the plaquettes through its links, beginning with them: within a slice, ahead and behind.

    Of the direction of time all plaquettes are ahead.
    """

    level: list[Matrices | None]
    ahead: list[Matrices]
    behind: list[Matrices | None]

    @classmethod
    def of(cls, links: Links, staples: Staples) -> "_Plaquettes":
        time, space = len(links) - 1, range(len(links) - 1)
        level: list[Matrices | None] = [None] * len(links)
        for mu in space:
            others = [nu for nu in space if nu != mu]
            level[mu] = multiply(links[mu], staples.around(mu, others)) if others else None
        ahead = [multiply(links[mu], staples.above[mu, time]) for mu in space]
        behind: list[Matrices | None] = [multiply(links[mu], staples.below[mu, time]) for mu in space]
        return cls(level, [*ahead, multiply(links[time], staples.around(time, list(space)))], [*behind, None])

    def slices(self, centre: float) -> BySlice:
        """The function h of every slice."""
        shape, n = self.ahead[0].shape[2 : 2 + len(self.ahead)], len(self.ahead[0])
        # a plaquette within a slice has four links there, one between two slices two links of time
        between = _by_slice(_real_trace(self.ahead[-1]) / (2 * n), len(shape))
        within = [_by_slice(_real_trace(m) / (4 * n), len(shape)) for m in self.level if m is not None]
        return slices_of_plaquettes(total([jnp.zeros_like(between), *within]), between, shape=shape, centre=centre)


def _of_velocity(found: list[Paths], slope: Links, parts: _Plaquettes, group: AbstractGroup) -> OfVelocity:
    """Sums over slices of one velocity: what its links within slices and between them contribute."""
    d, n = len(found), group.n

    def flow(mu: int) -> BySlice:
        w, divergence = found[mu]
        return _by_slice(divergence + trace_of_product(slope[mu], w) / group.trace_norm, d)

    def climb(m: Matrices | None, mu: int) -> BySlice:
        return zero if m is None else _by_slice(trace_of_product(projected(m, group), found[mu].matrices) / n, d)

    between = flow(d - 1)
    zero = jnp.zeros_like(between)
    space = range(d - 1)
    return OfVelocity(
        within=total(flow(mu) for mu in space),
        between=between,
        level=total(climb(parts.level[mu], mu) for mu in space),
        ahead=total(climb(parts.ahead[mu], mu) for mu in space),
        behind=total(climb(parts.behind[mu], mu) for mu in space),
        crossing=climb(parts.ahead[d - 1], d - 1),
    )


def _real_trace(m: Matrices) -> Float[Array, "*sites"]:
    return jnp.real(diagonal_sum(m))


def _by_slice(x: Float[Array, "*sites"], d: int) -> BySlice:
    """Sums over space."""
    return jnp.sum(x, axis=tuple(range(d - 1)))
