"""Observables of angles and unit vectors whose density is known: moments, shares of modes, the tip of an arm."""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, Scalar
from latflow.observables.base import AbstractObservable
from latflow.words import AxisWords, ObservableWords

_ANGLE = AxisWords("angle", first=1)


class Cosines(AbstractObservable):
    """The cosine of every angle."""

    name: ClassVar[str] = "cosines"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "cosines", "⟨cos θ⟩", r"$\langle\cos\theta\rangle$", "of every angle", axis=_ANGLE
    )

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " n"]:
        return jnp.cos(x).ravel()


class Sines(AbstractObservable):
    """The sine of every angle."""

    name: ClassVar[str] = "sines"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "sines", "⟨sin θ⟩", r"$\langle\sin\theta\rangle$", "of every angle", axis=_ANGLE
    )

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " n"]:
        return jnp.sin(x).ravel()


class Direction(AbstractObservable):
    """The unit vector itself."""

    name: ClassVar[str] = "direction"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "mean unit vector", "⟨x⟩", r"$\langle x\rangle$", "of every component", axis=AxisWords("component")
    )

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " n"]:
        return x.ravel()


class Shares(AbstractObservable):
    """The share that every part of the density has in a configuration.

    Args:
        parts: Logarithms of all parts of the density, as a function of the configuration.
    """

    name: ClassVar[str] = "shares"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "shares of modes",
        "w_{j}",
        r"$w_j$",
        "weight of every part of the density, of an arm of every goal",
        axis=AxisWords("mode", first=1),
    )
    parts: Callable[[Configuration], Float[Array, " m"]]

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, " m"]:
        return jax.nn.softmax(self.parts(x))


class Mode(AbstractObservable):
    """The number of the part that is largest in a configuration, from zero.

    Args:
        parts: Logarithms of all parts of the density, as a function of the configuration.
    """

    name: ClassVar[str] = "mode"
    parts: Callable[[Configuration], Float[Array, " m"]]

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        return jnp.argmax(self.parts(x)).astype(float)


class Tip(AbstractObservable):
    """Where an arm ends.

    Args:
        tip: Of an arm, as a function of its angles.
    """

    name: ClassVar[str] = "tip"
    tip: Callable[[Configuration], Float[Array, "2"]]

    @override
    def __call__(self, x: Float[Array, " links"]) -> Float[Array, "2"]:
        return self.tip(x)


class Elbow(AbstractObservable):
    """1 where the elbow of an arm is on the right of the line from base to tip, else 0.

    Args:
        bend: Positive where the elbow is on the right, as a function of the angles.
    """

    name: ClassVar[str] = "elbow"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "elbow on the right",
        "w_{right}",
        r"$w_\mathrm{right}$",
        "share of arms that turn left about the line from base to tip",
    )
    bend: Callable[[Configuration], Scalar]

    @override
    def __call__(self, x: Float[Array, " links"]) -> Scalar:
        return jnp.where(self.bend(x) > 0, 1.0, 0.0)
