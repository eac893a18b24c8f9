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


class AbstractObservable(eqx.Module):
    """A number or a vector computed from one configuration.

    Attributes:
        name: The measurement column; every observable sets its own.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def __call__(self, x: Field) -> Float[Array, "*value"]:
        """The value on configuration `x`."""


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
