"""Bridge++ text: one real number per line, t slowest, then z, y, x, direction, row, column, real and imaginary part.

There is no header: the caller gives the shape, and the number of numbers tells the group. Exponents may be Fortran's,
``1.0D+00``.
"""

import math

import numpy as np

from latflow.store.gauge_files.configuration import Configuration, examine
from latflow.store.gauge_files.hints import Hints
from latflow.store.gauge_files.layout import Source
from latflow.store.gauge_files.refusals import LengthError, ShapeUnknownError
from latflow.store.records import FormatError

_PIECE = 1 << 18
_LONGEST_NUMBER = 100
_CHARACTERS = frozenset(b"0123456789+-.eEdD \t\r\n")
_TEXT = frozenset((*range(32, 127), *b"\t\r\n"))
_FORTRAN = bytes.maketrans(b"dD", b"ee")
_COLOURS = range(2, 9)


def recognises(head: bytes) -> bool:
    """Whether a file is text and begins with a number; what is no number further on is refused by its line."""
    words = head.split(maxsplit=1)
    first = words[0] if words else b""
    begins = any(digit in first for digit in b"0123456789") and _CHARACTERS.issuperset(first)
    return begins and all(byte in _TEXT for byte in head)


def read(source: Source, hints: Hints) -> Configuration:
    """Read a text file of links.

    Raises:
        DataError: Not numbers, or another number of them than the shape needs.
    """
    if hints.shape is None:
        raise ShapeUnknownError(
            f"{source.path}: text without a header does not say the shape of the lattice",
            hint="say it: --shape X Y Z T",
        )
    shape, candidates = hints.shape, [hints.colours] if hints.colours else list(_COLOURS)
    d, sites = len(shape), math.prod(shape)
    needed = {n: sites * d * n * n * 2 for n in candidates}
    least, most = min(needed.values()), max(needed.values())
    of_what = f"{'x'.join(map(str, shape))}, as {hints.origin} says"
    if 2 * least > source.size + 1:  # a digit and a separator each
        raise source.too_short(f"{least} numbers for {of_what}")
    pieces: list[np.ndarray] = []
    found = 0
    for values in _numbers(source):
        found += len(values)
        pieces.append(values)
        if found > most:
            break
    fitting = [n for n, number in needed.items() if number == found]
    if not fitting:
        allowed = ", ".join(f"{number} of SU({n})" for n, number in needed.items() if n <= 4 or hints.colours)
        more = "more than " if found > most else ""
        raise LengthError(
            f"{source.path}: {more}{min(found, most)} numbers", allowed=f"{allowed} for {of_what}", hint="or truncated"
        )
    colours = fitting[0]
    stored = np.concatenate(pieces).view(np.complex128).reshape(*shape[::-1], d, colours, colours)
    links = np.ascontiguousarray(stored.transpose(d, d + 1, d + 2, *range(d - 1, -1, -1)))
    return examine(links, format="bridge", precision="float64", details={"text": "real numbers one after another"})


def _numbers(source: Source):
    """Numbers of the file, some thousand at a time."""
    rest, place, line = b"", 0, 1
    while place < source.size:
        data = source.read_up_to(place, _PIECE)
        place += _PIECE
        head, separator, tail = data.rpartition(b"\n") if place < source.size else (data, b"", b"")
        whole, rest = (rest + head, tail) if separator or place >= source.size else (b"", rest + data)
        if len(rest) > _LONGEST_NUMBER:
            raise FormatError(f"{source.path}: not numbers in text", value=f"near byte {place - _PIECE}")
        try:
            numbers = np.array([float(word) for word in whole.translate(_FORTRAN).split()])
        except ValueError:
            numbers = np.array([np.nan])
        if not np.all(np.isfinite(numbers)) or not _CHARACTERS.issuperset(whole):
            raise _no_number(source, whole, line)
        line += whole.count(b"\n") + 1
        yield numbers


def _no_number(source: Source, text: bytes, line: int) -> FormatError:
    """The first word that is no finite number, and its line."""
    for number, row in enumerate(text.split(b"\n"), start=line):
        for word in row.split():
            if not _is_number(word):
                shown = word[:40].decode("ascii", "replace")
                return FormatError(f"{source.path}, line {number}", value=repr(shown), allowed="a finite real number")
    return FormatError(f"{source.path}: not numbers in text", value=f"near line {line}")


def _is_number(word: bytes) -> bool:
    try:
        return _CHARACTERS.issuperset(word) and math.isfinite(float(word.translate(_FORTRAN)))
    except ValueError:
        return False
