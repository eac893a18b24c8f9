"""The form in which an observable is put into words, with what the entries of an array are numbered by."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class AxisWords:
    """What the entries of an array-valued observable are numbered by.

    Attributes:
        name: Heading of that column in a table.
        first: Number of the first entry.
        by: ``number``, consecutive numbers from `first`; ``flow time``, the times of the gradient flow after zero;
            ``plane``, the planes of the lattice.
    """

    name: str
    first: int = 0
    by: Literal["number", "flow time", "plane"] = "number"


TIME = AxisWords("t")
PLANE = AxisWords("plane", by="plane")
FLOW_TIME = AxisWords("flow time t", by="flow time")
ENTRY = AxisWords("entry")


@dataclass(frozen=True)
class ObservableWords:
    """How one observable is written.

    Attributes:
        title: Words.
        symbol: Short symbol for tables; ``_{…}`` and ``^{…}`` are set low and high.
        math: The same in TeX, for figures.
        definition: What is measured, in the notation of the conventions.
        axis: Of an array, what its entries are numbered by.
    """

    title: str
    symbol: str
    math: str
    definition: str
    axis: AxisWords = TIME


def plain_words(name: str) -> ObservableWords:
    """Words for an observable that has none: its name, spaced."""
    spaced = name.replace("_", " ")
    return ObservableWords(spaced, spaced, spaced.replace("$", r"\$"), "", ENTRY)
