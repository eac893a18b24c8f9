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
from latflow.stats.quantities import AbstractEstimator, MeanOf
from latflow.words import ObservableWords

_CHUNK_BYTES = 2**20
"""Configurations that go through the program together: what a core's cache holds; more measured 2 to 4 times slower."""

_ACCELERATOR = 16
"""How many times more keep an accelerator busy."""


class AbstractObservable(eqx.Module):
    """A number or a vector computed from one configuration.

    One that has words is an estimate of its own, the mean of its column; one without is raw material of the estimates
    that its theory makes.

    Attributes:
        name: The measurement column; every observable sets its own.
        words: How its mean is written; None for raw material.
        revision: Raised whenever the same configuration comes to give another value: stored columns of another number
            are measured again.
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
        """What makes estimates of its column; None for raw material."""
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
