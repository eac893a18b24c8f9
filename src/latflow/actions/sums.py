"""Sums of actions on one space. Molecular dynamics can integrate every term with its own step size."""

from collections.abc import Sequence

import jax
from typing_extensions import override

from latflow._typing import Configuration, Momentum, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.fields.transport import total
from latflow.randomness import fold_in


class SummedAction(AbstractAction):
    """The sum of actions.

    Args:
        parts: One or more actions of the same fields; first the one that needs the fewest steps.

    Raises:
        TypeError: If a part is no action.
        ConfigError: If there is no action, or their fields differ.
    """

    space: AbstractFieldSpace
    parts: tuple[AbstractAction, ...]

    def __init__(self, parts: tuple[AbstractAction, ...]) -> None:
        require_type("action.parts", parts, (tuple, list), "a tuple of actions")
        if not parts:
            raise ConfigError(["action.parts: none; allowed: one or more actions"])
        for part in parts:
            require_type("action.parts", part, AbstractAction, "actions of the same fields")
        shapes = [(part.space.shape, part.space.tangent_shape) for part in parts]
        if any(shape != shapes[0] for shape in shapes):
            raise ConfigError([f"action.parts: fields of shapes {shapes}; allowed: actions of the same fields"])
        self.space = parts[0].space
        self.parts = tuple(parts)

    @property
    @override
    def terms(self) -> tuple[AbstractAction, ...]:
        return self.parts

    @override
    def __call__(self, x: Configuration) -> Scalar:
        return total(part(x) for part in self.parts)

    @override
    def force(self, x: Configuration) -> Momentum:
        return _added([part.force(x) for part in self.parts])

    @override
    def value_and_force(self, x: Configuration) -> tuple[Scalar, Momentum]:
        values, forces = zip(*(part.value_and_force(x) for part in self.parts), strict=True)
        return total(values), _added(forces)

    @override
    def refresh(self, key: PRNGKey, x: Configuration) -> Configuration:
        for i, part in enumerate(self.parts):
            x = part.refresh(fold_in(key, i), x)
        return x


def _added(forces: Sequence[Momentum]) -> Momentum:
    return jax.tree.map(lambda *parts: total(parts), *forces)
