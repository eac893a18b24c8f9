"""Checks of a gauge file: what it states against what its links give.

A value that cannot be read, or is not that of the links, is a failed check, shown with what was found; reading may be
forced past it. Only what fixes the layout stops a reader, and the caller may supply that. A *note* differs, too, but
refuses nothing: what it compares is no property of the links alone, or is known to be left stale by some codes.
"""

import re
from dataclasses import dataclass, field

from latflow.errors import DataError
from latflow.store.gauge_files.refusals import UnreadableError, word_of
from latflow.store.records import ChecksumError, FormatError

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.([0-9]{0,30}))?([eEdD]([+-]?[0-9]{1,3}))?")
_HEXADECIMAL = re.compile(r"(0[xX])?[0-9a-fA-F]{1,8}")
_SHOWN = 40
DAMAGED = "the file is damaged; --force reads it all the same"
WHOLE = "the links are whole; --force reads them"
_STATED = "unreadable, which says nothing about the links; --force reads them all the same"


@dataclass(frozen=True)
class FileCheck:
    """One check of a file, against what it declares or against a general limit.

    Attributes:
        name: Quantity that is compared.
        value: What was found: its value from the links, or what the file states where that cannot be read.
        limit: The declared value, the limit, or what could be read.
        passed: Whether the check passed.
        refusal: Exception to raise if it failed.
        hint: What to do if it failed.
        note: Whether a difference is only reported.
        of_links: Whether `value` was computed from the links.
    """

    name: str
    value: str | float
    limit: str
    passed: bool
    refusal: type[DataError] = field(default=DataError, repr=False)
    hint: str = field(default=DAMAGED, repr=False)
    note: bool = field(default=False, repr=False)
    of_links: bool = field(default=True, repr=False)

    @property
    def failed(self) -> bool:
        """Whether it refuses the file."""
        return not (self.passed or self.note)

    @property
    def state(self) -> str:
        """One word: PASS, NOTE, DAMAGED, UNREADABLE, UNSUPPORTED, FLAGS or FAIL."""
        if self.note:
            return "NOTE"
        return "PASS" if self.passed else word_of(self.refusal)


def unreadable(
    name: str, found: str, *, allowed: str, refusal: type[DataError] = UnreadableError, hint: str = _STATED
) -> FileCheck:
    """A value of the file that cannot be read, or is missing."""
    shown = repr(found[:_SHOWN]) if found else "missing"
    return FileCheck(name, shown, allowed, passed=False, refusal=refusal, hint=hint, of_links=False)


def malformed(name: str, found: str, *, allowed: str) -> FileCheck:
    """A part of the file that cannot be read, and why."""
    return FileCheck(name, found, allowed, passed=False, refusal=UnreadableError, hint=_STATED, of_links=False)


def contradiction(
    name: str,
    found: str,
    *,
    allowed: str,
    refusal: type[DataError] = FormatError,
    hint: str = "the file contradicts itself; --force reads it all the same",
) -> FileCheck:
    """Two values of which one is wrong."""
    return FileCheck(name, found, allowed, passed=False, refusal=refusal, hint=hint, of_links=False)


def noted(name: str, found: str, *, expected: str) -> FileCheck:
    """A difference that is reported and refuses nothing."""
    return FileCheck(name, found, expected, passed=True, note=True, of_links=False)


def checksum(name: str, *, stored: str, computed: str) -> FileCheck:
    """Hexadecimal checksums compared as numbers, with or without 0x."""
    if not _HEXADECIMAL.fullmatch(stored):
        return unreadable(name, stored, allowed=f"up to 8 hexadecimal digits; the links give {computed}")
    number = int(stored, 16)
    hint = DAMAGED if number else "zero, as codes write that do not compute it; --force reads it all the same"
    return FileCheck(name, computed, stored, number == int(computed, 16), ChecksumError, hint)


def decimal(text: str) -> tuple[float, float] | None:
    """A number in text with one unit of its last printed digit; None if it is none."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    digit = 10.0 ** min(300, int(found[4] or 0) - len(found[2] or ""))
    return float(text.replace("D", "e").replace("d", "e")), digit


def declared(name: str, *, stored: float, tolerance: float) -> tuple[str, float, float]:
    """A measured quantity that the file gives: `plaquette` or `link_trace`, normalised to 1."""
    return name, stored, tolerance
