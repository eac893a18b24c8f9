"""What an observable may give: real numbers, and for an estimate one axis at most."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from latflow.errors import ConfigError
from latflow.observables.base import AbstractObservable, measure
from latflow.words import ObservableWords, plain_words

FIELDS = np.random.default_rng(0).normal(size=(3, 2, 2))


class Phase(AbstractObservable):
    """A complex number."""

    name: ClassVar[str] = "phase"

    def __call__(self, x: Array) -> Any:
        return jnp.mean(jnp.exp(1j * x))


class Pair(AbstractObservable):
    """Two numbers that are no array."""

    name: ClassVar[str] = "pair"

    def __call__(self, x: Array) -> Any:
        return jnp.min(x), jnp.max(x)


class Column(AbstractObservable):
    """The field itself, as a column of an estimator."""

    name: ClassVar[str] = "field"

    def __call__(self, x: Array) -> Any:
        return x


class Field(AbstractObservable):
    """The field itself, as an estimate."""

    name: ClassVar[str] = "field"
    words: ClassVar[ObservableWords | None] = plain_words("field")

    def __call__(self, x: Array) -> Any:
        return x


@pytest.mark.parametrize(
    ("observable", "said"),
    [
        (Phase(), "phase gives complex128 numbers; allowed: real ones"),
        (Pair(), "pair gives a tuple; allowed: a real number"),
        (Field(), r"field has 2 axes, \(2, 2\); allowed: a number or a vector"),
    ],
)
def test_what_cannot_be_a_column_is_refused_by_name(observable: AbstractObservable, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        measure([observable], FIELDS)


def test_a_column_without_words_may_have_axes() -> None:
    np.testing.assert_array_equal(measure([Column()], FIELDS)["field"], FIELDS)
