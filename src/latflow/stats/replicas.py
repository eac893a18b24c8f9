"""Numbers of configurations along one or several replicas, with gaps and irregular steps, for the Γ method.

A record's number is its place on the Markov chain: two records are as far apart as their numbers say. Autocorrelation
times are then counted in the greatest common step, which is one record where numbers are regular.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from latflow.given import require_type
from latflow.stats.estimates import SeriesShapeError, TooShortError
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.stats.slow_modes import SlowMode

_WIDEST = 100
_ALWAYS = 10**6


@dataclasses.dataclass(frozen=True)
class Replicas:
    """The numbers of the records of series with axes (1, records, …), replica by replica.

    Attributes:
        names: Of the replicas.
        numbers: Of the records of each replica, growing.

    Raises:
        SeriesShapeError: On creation: numbers that do not grow, or gaps so wide that records are lost in them.
    """

    names: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        require_type("replicas.names", self.names, (tuple, list), "a tuple of names")
        require_type("replicas.numbers", self.numbers, (tuple, list), "a tuple of numbers for each replica")
        if len(self.names) != len(self.numbers) or len(set(self.names)) < len(self.names):
            raise SeriesShapeError("replicas", value=str(self.names), allowed="one name for each")
        for name, numbers in zip(self.names, self.numbers, strict=True):
            if not numbers or any(np.diff(numbers) <= 0):
                raise SeriesShapeError(f"numbers of replica {name!r}", allowed="one or more that grow")
        places = sum((numbers[-1] - numbers[0]) // self.step + 1 for numbers in self.numbers)
        if places > max(_ALWAYS, _WIDEST * self.size):
            hint = "number the stretches between wide gaps as replicas of their own"
            raise SeriesShapeError("gaps between configurations", value=f"{places} places", hint=hint)

    @classmethod
    def sorted_from(cls, names: Sequence[str], numbers: Sequence[int]) -> tuple["Replicas", Int[np.ndarray, " n"]]:
        """Replicas of records in any order, and the order that brings them replica by replica, by number."""
        order = np.array(sorted(range(len(names)), key=lambda i: (names[i], numbers[i])), dtype=int)
        found: dict[str, list[int]] = {}
        for i in map(int, order):
            found.setdefault(str(names[i]), []).append(int(numbers[i]))
        return cls(tuple(found), tuple(tuple(each) for each in found.values())), order

    @property
    def size(self) -> int:
        """Records of all replicas."""
        return sum(map(len, self.numbers))

    @property
    def step(self) -> int:
        """The greatest common step between the numbers of one replica; 1 where there is a single record."""
        return math.gcd(*(int(step) for numbers in self.numbers for step in np.diff(numbers))) or 1

    @property
    def is_regular(self) -> bool:
        """Whether all replicas have as many records, without a gap: then they are chains like any others."""
        whole = all(numbers[-1] - numbers[0] == self.step * (len(numbers) - 1) for numbers in self.numbers)
        return whole and len(set(map(len, self.numbers))) == 1

    @property
    def gaps(self) -> int:
        """Missing numbers inside the replicas."""
        return sum((numbers[-1] - numbers[0]) // self.step + 1 - len(numbers) for numbers in self.numbers)

    def require(self, records: int) -> None:
        """Refuse series of another length, and replicas that are all too short for an error.

        Raises:
            SeriesShapeError, TooShortError: Naming both numbers.
        """
        if records != self.size:
            raise SeriesShapeError("records", value=str(records), allowed=f"{self.size} numbers")
        longest = max(map(len, self.numbers))
        if longest < MINIMUM_RECORDS:
            least = f"at least {MINIMUM_RECORDS}"
            raise TooShortError("records of the longest replica", value=str(longest), allowed=least)

    def split(self, series: np.ndarray) -> list[np.ndarray]:
        """The records of every replica, along the first axis."""
        return np.split(series, np.cumsum([len(numbers) for numbers in self.numbers])[:-1])


class Chains(NamedTuple):
    """What is known of Markov chains beside their columns.

    Attributes:
        replicas: Numbers of their records; None where all have as many, without gaps.
        slow: Quantities that move slowly along them, whose tails belong to the errors of what depends on them.
    """

    replicas: Replicas | None = None
    slow: tuple[SlowMode, ...] = ()


Along: TypeAlias = Chains | Replicas | None
"""Of chains: what is known beside their columns, or the numbers of their records alone, or nothing."""


def as_chains(along: Along) -> Chains:
    """The same as `Chains`."""
    return along if isinstance(along, Chains) else Chains(along)
