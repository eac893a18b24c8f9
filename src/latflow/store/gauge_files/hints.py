"""Facts about a gauge configuration given by the caller: used where a file lacks them, compared where it has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latflow.store.gauge_files.checks import FileCheck, contradiction, noted
from latflow.store.gauge_files.configuration import PRECISIONS
from latflow.store.gauge_files.refusals import DisagreementError, UnsupportedError
from latflow.store.records import FormatError

LARGEST_EXTENT = 1 << 20
MOST_DIMENSIONS = 6
_FORCED = "--force reads it as you say, if its length fits"
_T = TypeVar("_T", tuple[int, ...], int, str)


@dataclass(frozen=True)
class Hints:
    """Facts given by the caller; None where unknown.

    Attributes:
        shape: Extents, time last.
        colours: N of SU(N).
        precision: ``float32`` or ``float64``.
        origin: Where they come from, in words, for messages.

    Raises:
        UnsupportedError: On creation: no lattice, group or precision that can be read here.
    """

    shape: tuple[int, ...] | None = None
    colours: int | None = None
    precision: str | None = None
    origin: str = "the caller"

    def __post_init__(self) -> None:
        shape = (1,) if self.shape is None else self.shape
        if not sensible(shape):
            raise UnsupportedError("shape", value=str(shape), allowed=EXTENTS)
        colours = 2 if self.colours is None else self.colours
        if not 2 <= colours <= 16 or self.precision not in (None, *PRECISIONS):
            raise UnsupportedError(
                "colours or precision", value=f"{colours}, {self.precision}", allowed="2 to 16; float32 or float64"
            )

    def require(self, path: Path, *, shape: tuple[int, ...], colours: int | None, precision: str | None) -> None:
        """Refuse a file that disagrees.

        Raises:
            FormatError: The file has other values; the message names both.
        """
        pairs = (
            ("lattice", _crosses(shape), _crosses(self.shape)),
            ("group", colours and f"SU({colours})", self.colours and f"SU({self.colours})"),
            ("precision", precision, self.precision),
        )
        for name, has, wanted in pairs:
            if None not in (has, wanted) and has != wanted:
                raise FormatError(f"{path}: the file has {name} {has}", allowed=f"{wanted}, as {self.origin} says")

    def settled(self, stated: Sequence["Hints"]) -> tuple["Hints", list[FileCheck]]:
        """Shape, colours and precision that a file states, or the caller instead; None where nobody does.

        Args:
            stated: What each record of the file says.

        Returns:
            The layout, and a failed check for every value that contradicts another one or the caller.
        """
        shape, first = self._one("lattice", [h.shape for h in stated], self.shape, _crosses)
        colours, second = self._one("group", [h.colours for h in stated], self.colours, lambda n: f"SU({n})")
        precision, third = self._one("precision", [h.precision for h in stated], self.precision, str)
        return Hints(shape, colours, precision, self.origin), [*first, *second, *third]

    def _one(
        self, name: str, stated: Sequence[_T | None], given: _T | None, words: Callable[[_T], object]
    ) -> tuple[_T | None, list[FileCheck]]:
        distinct = {value for value in stated if value is not None}
        said = " and ".join(sorted(str(words(value)) for value in distinct))
        if given is not None:
            allowed = f"{words(given)}, as {self.origin} says"
            what = f"the file has {name} {said}"
            differs = contradiction(what, "", allowed=allowed, refusal=DisagreementError, hint=_FORCED)
            return given, [differs] if distinct - {given} else []
        if len(distinct) > 1:
            return None, [contradiction(name, said, allowed="one value")]
        return (distinct.pop() if distinct else None), []

    def supplies(self, check: FileCheck, key: str) -> FileCheck:
        """A check of an unreadable value, as a note if the caller gives the value.

        Args:
            check: The check.
            key: ``shape``, ``colours`` or ``precision``.
        """
        given = {"shape": self.shape, "colours": self.colours, "precision": self.precision}[key]
        return check if given is None else noted(check.name, str(check.value), expected=f"as {self.origin} says")


EXTENTS = f"1 to {MOST_DIMENSIONS} extents, each from 1 to {LARGEST_EXTENT}"


def sensible(shape: tuple[int, ...]) -> bool:
    """Whether number and size of the extents are within the limits of the readers."""
    return 1 <= len(shape) <= MOST_DIMENSIONS and all(1 <= extent <= LARGEST_EXTENT for extent in shape)


def _crosses(shape: tuple[int, ...] | None) -> str | None:
    return None if shape is None else "x".join(map(str, shape))
