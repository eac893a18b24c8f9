"""Bridge++ text: one real number per line, t slowest, then z, y, x, direction, row, column, real and imaginary part.

There is no header: the caller gives the shape, and the number of numbers must fit.
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
_CHARACTERS = frozenset(b"0123456789+-.eE \t\r\n")


def recognises(head: bytes) -> bool:
    """Whether a file begins like numbers in text."""
    return bool(head.split()) and _CHARACTERS.issuperset(head)


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
    shape, colours = hints.shape, hints.colours or 3
    d, sites = len(shape), math.prod(shape)
    needed = sites * d * colours * colours * 2
    wanted = f"{'x'.join(map(str, shape))}, SU({colours}), as {hints.origin} says"
    if 2 * needed > source.size + 1:  # a digit and a separator each
        raise source.too_short(f"{needed} numbers for {wanted}")
    numbers = np.empty(needed)
    found = 0
    for values in _numbers(source):
        if found + len(values) > needed:
            raise LengthError(f"{source.path}: more than {needed} numbers", allowed=f"{needed} for {wanted}")
        numbers[found : found + len(values)] = values
        found += len(values)
    if found != needed:
        raise LengthError(f"{source.path}: {found} numbers", allowed=f"{needed} for {wanted}", hint="or truncated")
    stored = numbers.view(np.complex128).reshape(*shape[::-1], d, colours, colours)
    links = np.ascontiguousarray(stored.transpose(d, d + 1, d + 2, *range(d - 1, -1, -1)))
    return examine(links, format="bridge", precision="float64", details={"text": "one number per line"})


def _numbers(source: Source):
    """Numbers of the file, some thousand at a time."""
    rest, place = b"", 0
    while place < source.size:
        data = source.read_up_to(place, _PIECE)
        place += _PIECE
        head, separator, tail = data.rpartition(b"\n") if place < source.size else (data, b"", b"")
        whole, rest = (rest + head, tail) if separator or place >= source.size else (b"", rest + data)
        if len(rest) > _LONGEST_NUMBER or not _CHARACTERS.issuperset(data):
            raise FormatError(f"{source.path}: not numbers in text", value=f"near byte {place - _PIECE}")
        try:
            yield np.array([float(word) for word in whole.split()])
        except ValueError as error:
            raise FormatError(f"{source.path}: not a number", value=str(error)[:80]) from error
