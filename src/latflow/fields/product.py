"""Several fields at once: a product of spaces, field by field.

Actions of links with matter, or with auxiliary fields, are defined on such a space. A configuration is a dictionary of
arrays by name, a tangent vector one of real coordinates. `Held` is for a field that is drawn afresh
(`AbstractAction.refresh`) and stands still while the others move.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Int
from typing_extensions import override

from latflow._typing import Configuration, Field, PRNGKey, Scalar
from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import fold_in

Fields = dict[str, Inexact[Array, "..."]]
Tangents = dict[str, Float[Array, "..."]]


class ProductSpace(AbstractFieldSpace):
    """Named fields, each in a space of its own; the reference measure is the product of theirs.

    Random numbers of a field come from the child of the key that its place among the sorted names has.

    Args:
        parts: Name → space, one or more.

    Raises:
        TypeError: If a part is no space.
        ConfigError: If there is none.
    """

    parts: dict[str, AbstractFieldSpace]

    def __init__(self, parts: Mapping[str, AbstractFieldSpace]) -> None:
        if not parts:
            raise ConfigError(["fields: none; allowed: one or more spaces by name"])
        require_type("fields", parts, Mapping, "spaces by name")
        for name, space in parts.items():
            require_type(f"fields.{name}", space, AbstractFieldSpace, "ScalarSpace, GaugeSpace or another space")
        self.parts = dict(sorted(parts.items()))

    @property
    @override
    def summary(self) -> str:
        return "; ".join(f"{name}: {space.summary}" for name, space in self.parts.items())

    @property
    @override
    def shape(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Shape of every field by name."""
        return self._each(lambda space: space.shape)

    @property
    @override
    def tangent_shape(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Shape of the coordinates of every field by name."""
        return self._each(lambda space: space.tangent_shape)

    @property
    @override
    def dof(self) -> int:
        return sum(space.dof for space in self.parts.values())

    @property
    @override
    def is_compact(self) -> bool:
        return all(space.is_compact for space in self.parts.values())

    @property
    @override
    def n_uniforms(self) -> int:
        counts = [space.n_uniforms for space in self.parts.values()]
        return sum(counts) if all(counts) else 0

    @property
    @override
    def periodic(self) -> tuple[bool, ...]:
        circles = [space.periodic for space in self.parts.values()]
        return tuple(itertools.chain(*circles)) if all(circles) else ()

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Fields:
        ends = list(itertools.accumulate(space.n_uniforms for space in self.parts.values()))
        cut = dict(zip(self.parts, jnp.split(u, ends[:-1]), strict=True))
        return self._each(lambda space, numbers: space.of_uniforms(numbers), cut)

    @override
    def uniforms_of(self, x: Fields) -> Float[Array, " n_uniforms"]:
        return jnp.concatenate(list(self._each(lambda space, field: space.uniforms_of(field), x).values()))

    @override
    def require(self, x: Configuration) -> None:
        require_type("configuration", x, dict, "a dictionary of arrays by name")
        if set(x) != set(self.parts):
            raise ConfigError([f"configuration: fields {sorted(x)}; allowed: {sorted(self.parts)}"])
        for name, space in self.parts.items():
            space.require(x[name])

    @override
    def cold(self) -> Fields:
        return self._each(lambda space: space.cold())

    @override
    def still(self) -> Tangents:
        return self._each(lambda space: space.still())

    @override
    def distance(self, x: Fields, y: Fields) -> Scalar:
        return self._largest(lambda space, a, b: space.distance(a, b), x, y)

    @override
    def random(self, key: PRNGKey) -> Fields:
        return self._drawn(key, lambda space, k: space.random(k))

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Fields:
        return self._drawn(key, lambda space, k: space.start(k, number))

    @override
    def move(self, x: Fields, p: Tangents) -> Fields:
        return self._each(lambda space, field, q: space.move(field, q), x, p)

    @override
    def carry(self, x: Fields, d: Tangents, p: Tangents) -> tuple[Fields, Tangents]:
        carried = self._each(lambda space, field, way, q: space.carry(field, way, q), x, d, p)
        return {name: y for name, (y, _) in carried.items()}, {name: q for name, (_, q) in carried.items()}

    @override
    def displace(self, x: Fields, p: Tangents) -> Fields:
        return self._each(lambda space, field, q: space.displace(field, q), x, p)

    @override
    def coordinates(self, x: Fields, dx: Fields) -> Tangents:
        return self._each(lambda space, field, tangent: space.coordinates(field, tangent), x, dx)

    @override
    def defect(self, x: Fields) -> Scalar:
        return self._largest(lambda space, field: space.defect(field), x)

    @override
    def momentum(self, key: PRNGKey) -> Tangents:
        return self._drawn(key, lambda space, k: space.momentum(k))

    def _each(self, function: Callable[..., Any], *fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: function(space, *(x[name] for x in fields)) for name, space in self.parts.items()}

    def _drawn(self, key: PRNGKey, function: Callable[[AbstractFieldSpace, PRNGKey], Array]) -> dict[str, Array]:
        return {name: function(space, fold_in(key, i)) for i, (name, space) in enumerate(self.parts.items())}

    def _largest(self, function: Callable[..., Scalar], *fields: Mapping[str, Any]) -> Scalar:
        return jnp.max(jnp.stack(list(self._each(function, *fields).values())))


class Held(AbstractFieldSpace):
    """A space whose field does not move: its tangent vectors have no entries.

    Args:
        space: Space of the field.
    """

    space: AbstractFieldSpace
    tangent_shape: tuple[int, ...] = eqx.field(static=True, default=(0,), init=False)

    @property
    @override
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Shape of the field."""
        return self.space.shape

    @property
    @override
    def is_compact(self) -> bool:
        return self.space.is_compact

    @override
    def cold(self) -> Field:
        return self.space.cold()

    @override
    def distance(self, x: Field, y: Field) -> Scalar:
        return self.space.distance(x, y)

    @override
    def random(self, key: PRNGKey) -> Field:
        return self.space.random(key)

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Field:
        return self.space.start(key, number)

    @override
    def move(self, x: Field, p: Float[Array, "0"]) -> Field:
        return x

    @override
    def displace(self, x: Field, p: Float[Array, "0"]) -> Field:
        return jnp.zeros_like(x)

    @override
    def coordinates(self, x: Field, dx: Field) -> Float[Array, "0"]:
        return self.still()

    @override
    def defect(self, x: Field) -> Scalar:
        return self.space.defect(x)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "0"]:
        return self.still()
