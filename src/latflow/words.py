"""Words for observables, the axes of their arrays, and the works that a study cites."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


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
        axis: Of an array, what its entries are numbered by; None for a number.
        estimated: Whether an estimate of it is made; else its history alone is shown.
        power: Power of the field that its values are proportional to, 2 for ⟨φ²⟩; 0 where they are the same in every
            normalisation of the field.
    """

    title: str
    symbol: str
    math: str
    definition: str
    axis: AxisWords | None = None
    estimated: bool = True
    power: int = 0


def plain_words(name: str) -> ObservableWords:
    """Words for an observable that has none: its name, spaced."""
    spaced = name.replace("_", " ")
    return ObservableWords(spaced, spaced, spaced.replace("$", r"\$"), "", ENTRY)


@dataclass(frozen=True)
class Work:
    """One entry of the bibliography.

    Attributes:
        text: What it is.
        arxiv: Its number on arXiv, if it has one.
        used_for: What it is cited for.
        key: Dotted key of the study that decides whether it was used; empty for what every report rests on.
        values: Values of that key, or entries of its list, at which it was; none for all that are not zero.
        sampler: The sampler that the key belongs to: a study that does not run it did not use it.
        of_flows: Whether it speaks of flows, and of nothing that a study without one does.
    """

    text: str
    arxiv: str
    used_for: str
    key: str = ""
    values: tuple[str, ...] = ()
    sampler: str = ""
    of_flows: bool = False

    def is_used(self, study: Mapping[str, Any]) -> bool:
        """Whether a study used it, as far as its file says."""
        sampled = (study.get("sampling") or {}).get("samplers")
        if self.sampler and sampled is not None and self.sampler not in sampled:
            return False
        found: Any = study
        for part in self.key.split(".") if self.key else ():
            found = found.get(part) if isinstance(found, Mapping) else None
        if self.key and not self.values:
            return bool(found)
        return not self.key or any(word in self.values for word in (found if isinstance(found, list) else [found]))
