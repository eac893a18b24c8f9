"""Observables: named functions of one configuration, measured over many.

A measurement column is one number or vector per configuration; averages, connected parts and errors are made later
from the columns, never here.
"""

import abc
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field
from latflow.execution import map_pieces, piece_size
from latflow.stats.quantities import AbstractEstimator, MeanOf
from latflow.words import ObservableWords


class AbstractObservable(eqx.Module):
    """A number or a vector computed from one configuration.

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
    """
    fields = np.asarray(fields)
    size = piece_size(len(fields), fields[0].nbytes)
    return map_pieces(lambda piece: _measure(tuple(observables), piece), fields, size=size)


@eqx.filter_jit
def _measure(
    observables: tuple[AbstractObservable, ...], fields: Inexact[Array | np.ndarray, "n *shape"]
) -> dict[str, Float[Array, "n ..."]]:
    return {observable.name: jax.vmap(observable)(jnp.asarray(fields)) for observable in observables}
