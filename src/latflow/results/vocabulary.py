"""From the words of a theory to the observables of its results: titles, symbols, and axes with their entries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from latflow.results.records import Axis, Observable, Theory
from latflow.words import ENTRY, AxisWords, ObservableWords, plain_words


def _no_theory(study: Mapping[str, Any]) -> Theory | None:
    del study
    return None


@dataclass(frozen=True)
class Vocabulary:
    """Words of the theories, for results of version 1, which do not hold them.

    Attributes:
        observables: Words by observable, in the order of tables; others are written as their names.
        theory: The theory of a study, from its file as plain data; None where it cannot be told.
    """

    observables: Mapping[str, ObservableWords] = field(default_factory=dict)
    theory: Callable[[Mapping[str, Any]], Theory | None] = _no_theory

    def words_of(self, observable: str) -> ObservableWords:
        """How an observable is written; its own name, spaced, where no theory says so."""
        return self.observables.get(observable) or plain_words(observable)


def described(
    lengths: Mapping[str, int | None],
    vocabulary: Vocabulary,
    *,
    shape: tuple[int, ...],
    flow_times: tuple[float, ...],
) -> dict[str, Observable]:
    """The observables of a run, in the order of tables; an array whose words name no axis has numbered entries.

    Args:
        lengths: By observable the number of its entries; None for a scalar.
        vocabulary: Words of the theories.
        shape: Extents of the lattice; empty if they are not known.
        flow_times: Times of the gradient flow from 0 on; empty without one.
    """
    known = list(vocabulary.observables)
    order = sorted(lengths, key=lambda name: (known.index(name) if name in known else len(known), name))
    found = {}
    for place, name in enumerate(order):
        words, length = vocabulary.words_of(name), lengths[name]
        axis = None if length is None else axis_of(words.axis or ENTRY, length, shape=shape, flow_times=flow_times)
        found[name] = Observable(
            title=words.title,
            symbol=words.symbol,
            math=words.math,
            definition=words.definition,
            axis=axis,
            place=place,
            power=words.power,
        )
    return found


def axis_of(words: AxisWords, length: int, *, shape: tuple[int, ...], flow_times: tuple[float, ...]) -> Axis:
    """The axis of an array of `length` entries; consecutive numbers where lattice or flow have another length."""
    planes = [_plane(mu, nu, len(shape)) for mu, nu in combinations(range(len(shape)), 2)]
    if words.by == "plane" and len(planes) == length:
        return Axis(name=words.name, labels=tuple(planes))
    if words.by == "flow time" and len(flow_times) > length:
        return Axis(name=words.name, values=flow_times[1 : length + 1])
    return Axis(name=words.name, values=tuple(range(words.first, words.first + length)))


def _plane(mu: int, nu: int, ndim: int) -> str:
    return f"({mu},{nu})" + (" with time" if nu == ndim - 1 else "")
