"""Observables of points and particles: energies, states, distances of pairs."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, Scalar
from latflow.fields.euclidean import pair_distances
from latflow.observables.base import AbstractObservable
from latflow.words import ObservableWords


class Energy(AbstractObservable):
    """The energy.

    Args:
        energy: Of a configuration, in the units of the theory.
    """

    name: ClassVar[str] = "energy"
    words: ClassVar[ObservableWords | None] = ObservableWords("energy", "⟨U⟩", r"$\langle U\rangle$", "mean energy")
    energy: Callable[[Configuration], Scalar]

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        return self.energy(x)


class StateShare(AbstractObservable):
    """How much of a configuration is in the second of two states: 0 or 1 of a point, the share of its pairs otherwise.

    Args:
        within: Of every point or pair, whether it is there.
    """

    name: ClassVar[str] = "state"
    within: Callable[[Configuration], Float[Array, " n"]]

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        return jnp.mean(self.within(x))


class Place(AbstractObservable):
    """The coordinates of a point."""

    name: ClassVar[str] = "place"

    @override
    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return x


class PairDistance(AbstractObservable):
    """The mean distance of all pairs."""

    name: ClassVar[str] = "pair_distance"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "distance of pairs", "⟨d⟩", r"$\langle d\rangle$", "mean over pairs"
    )

    @override
    def __call__(self, x: Float[Array, "n d"]) -> Scalar:
        return jnp.mean(pair_distances(x))


class SquaredPairDistance(AbstractObservable):
    """The mean squared distance of all pairs."""

    name: ClassVar[str] = "squared_pair_distance"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "squared distance of pairs", "⟨d²⟩", r"$\langle d^2\rangle$", "mean over pairs"
    )

    @override
    def __call__(self, x: Float[Array, "n d"]) -> Scalar:
        return jnp.mean(pair_distances(x) ** 2)
