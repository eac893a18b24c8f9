"""Observables: named functions of one configuration, measured over many.

A measurement column is one number or vector per configuration; averages, connected parts and errors are made later
from the columns, never here.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field
from latflow.display import call, fields_of
from latflow.errors import ConfigError
from latflow.execution import map_pieces, piece_size
from latflow.given import require_type
from latflow.stats.quantities import AbstractEstimator, MeanOf
from latflow.words import ObservableWords


class AbstractObservable(eqx.Module):
    """A number or a vector computed from one configuration, real and of one shape for all of them.

    An observable with words is also an estimate, the mean of its column. One without words is only input of the
    estimators of its theory.

    Attributes:
        name: The measurement column; every observable sets its own.
        words: How its mean is written; None if its mean is no estimate.
        revision: Raised whenever the same configuration gives another value: columns stored with another revision are
            measured again.
        section: Table of a study that its settings come from; empty without one.
        sector_blind: Whether it is the same in every sector of its theory, so that any two samplers must agree on it.
    """

    name: ClassVar[str]
    words: ClassVar[ObservableWords | None] = None
    revision: ClassVar[int] = 1
    section: ClassVar[str] = ""
    sector_blind: ClassVar[bool] = False

    def __repr__(self) -> str:
        return call(type(self).__name__, **fields_of(self))

    @abc.abstractmethod
    def __call__(self, x: Field) -> Float[Array, "*value"]:
        """The value on configuration `x`."""

    def estimator(self) -> AbstractEstimator | None:
        """The estimator of its mean; None without words."""
        return None if self.words is None else MeanOf(self.name, self.words, revision=self.revision)


def measure(
    observables: Sequence[AbstractObservable], fields: Inexact[Array | np.ndarray, "n *shape"]
) -> dict[str, np.ndarray]:
    """Measure every observable on every configuration.

    Configurations go through one compiled program in pieces of equal size, so memory stays bounded.

    Args:
        observables: What to measure; their names become the keys.
        fields: Configurations along axis 0, at least one.

    Returns:
        One array (n, …) per observable.

    Raises:
        ConfigError: If an observable does not give real numbers, or an estimate has more than one axis; before
            anything is measured.
    """
    require_type("observables", observables, (tuple, list), "a list of observables")
    for each in observables:
        require_type("observables", each, AbstractObservable, "a list of observables")
    require_type("fields", fields, np.ndarray | jax.Array, "an array (record, …) of configurations")
    fields = np.asarray(fields)
    if fields.ndim < 2 or not len(fields):
        raise ConfigError([f"fields: shape {fields.shape}; allowed: (record, …), at least one configuration"])
    size = piece_size(len(fields), fields[0].nbytes)
    return map_pieces(lambda piece: _measure(tuple(observables), piece), fields, size=size)


@eqx.filter_jit
def _measure(
    observables: tuple[AbstractObservable, ...], fields: Inexact[Array | np.ndarray, "n *shape"]
) -> dict[str, Float[Array, "n ..."]]:
    return {observable.name: _column(observable, fields) for observable in observables}


def _column(observable: AbstractObservable, fields: Inexact[Array | np.ndarray, "n *shape"]) -> Float[Array, "n ..."]:
    column: Any = jax.vmap(observable)(jnp.asarray(fields))
    require_value(observable, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), column))
    return column


def require_value(observable: AbstractObservable, value: Any) -> None:
    """Refuse what cannot be a column.

    Args:
        observable: What gives the value.
        value: Shape and dtype of its value on one configuration.

    Raises:
        ConfigError: If these are no real numbers, or the observable has words and more than one axis.
    """
    problem = ""
    if not isinstance(value, jax.ShapeDtypeStruct):
        problem = f"gives a {type(value).__name__}; allowed: a real number or a vector of them"
    elif jnp.issubdtype(value.dtype, jnp.complexfloating):
        problem = f"gives {value.dtype} numbers; allowed: real ones, such as real and imaginary part in a vector"
    elif observable.words is not None and value.ndim > 1:
        problem = f"has {value.ndim} axes, {value.shape}; allowed: a number or a vector, or no words and an estimator"
    if problem:
        raise ConfigError([f"{observable.name} {problem}"])
