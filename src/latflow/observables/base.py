"""Observables: named functions of one configuration, measured over many.

A measurement column is one number or vector per configuration; averages, connected parts and errors are made later
from the columns, never here.
"""

import abc
from collections.abc import Iterator, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field

_CHUNK_BYTES = 2**20
"""Configurations that go through the program together: what a core's cache holds; more measured 2 to 4 times slower."""

_ACCELERATOR = 16
"""How many times more keep an accelerator busy."""


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
    pieces = [_measure(tuple(observables), piece) for piece in _pieces(np.asarray(fields))]
    joined = {name: np.concatenate([np.asarray(piece[name]) for piece in pieces]) for name in pieces[0]}
    return {name: values[: len(fields)] for name, values in joined.items()}


def _pieces(fields: Inexact[np.ndarray, "n *shape"]) -> Iterator[Inexact[np.ndarray, "piece *shape"]]:
    """Equal pieces; the last is filled up with copies of the first configuration so that nothing is compiled twice."""
    chunk = _CHUNK_BYTES * (1 if jax.default_backend() == "cpu" else _ACCELERATOR)
    size = min(len(fields), max(1, chunk // fields[0].nbytes))
    for start in range(0, len(fields), size):
        piece = fields[start : start + size]
        yield np.concatenate([piece, np.repeat(fields[:1], size - len(piece), axis=0)])


@eqx.filter_jit
def _measure(
    observables: tuple[AbstractObservable, ...], fields: Inexact[Array | np.ndarray, "n *shape"]
) -> dict[str, Float[Array, "n ..."]]:
    return {observable.name: jax.vmap(observable)(jnp.asarray(fields)) for observable in observables}
