"""The header of a NERSC archive: what fixes the layout, and values to compare with.

A key that stands twice with two values, or cannot be read, is a failed check. `FLOATING_POINT` and the group may be
missing or unreadable where the length of the file tells them, or the caller does.
"""

import re
from collections.abc import Sequence

from latflow.store.gauge_files import markup
from latflow.store.gauge_files.checks import FileCheck, contradiction, decimal, declared, unreadable
from latflow.store.gauge_files.configuration import PRECISIONS
from latflow.store.gauge_files.hints import Hints
from latflow.store.gauge_files.layout import Source, payload_bytes
from latflow.store.gauge_files.refusals import LengthError, UnsupportedError
from latflow.store.records import FormatError

MAGIC = b"BEGIN_HEADER"
ORDERS = {"BIG": ">", "LITTLE": "<"}
"""Byte orders by their words."""

_LONGEST_HEADER = 1 << 20
_END = re.compile(rb"^END_HEADER[ \t]*\r?\n", re.MULTILINE)
_BEGIN = re.compile(rb"BEGIN_HEADER[ \t]*\r?\n")
_DIMENSIONS = tuple(f"DIMENSION_{i}" for i in range(1, 5))
_LAYOUT = (*_DIMENSIONS, "DATATYPE", "FLOATING_POINT")
_SAYING = {"DATATYPE": "--group SU(N)", "FLOATING_POINT": "--precision float32 or float64"}
_COLOURS = range(2, 10)
_COARSEST = 1e-2  # a number that lost its digits must not pass for a rounded one
_TYPES = "4D_SU3_GAUGE_3x3 or another N, 4D_SU3_GAUGE, 4D_SU2_GAUGE"
_FLOATING = "IEEE32 or IEEE64, then BIG, LITTLE or nothing"


class Header:
    """The header of one archive.

    Args:
        source: The file.
        hints: Facts given by the caller.

    Attributes:
        keys: Values by key, the first where a key stands twice.
        offset: Where the links begin.
        order: Byte order that is declared, ``>`` or ``<``; big where none is.
        checks: Values found unreadable or contradictory so far.
    """

    def __init__(self, source: Source, hints: Hints) -> None:
        self._source = source
        self._hints = hints
        self.keys: dict[str, str] = {}
        self.checks: list[FileCheck] = []
        self.order = ">"
        text, self.offset = _read(source)
        for key, _, value in (line.partition("=") for line in text.splitlines() if "=" in line):
            self._add(key.strip(), value.strip().strip("\0"))

    def _add(self, name: str, text: str) -> None:
        first = self.keys.setdefault(name, text)
        if first == text:
            return
        two = f"{first[:40]!r} and {text[:40]!r}"
        given = {"DATATYPE": self._hints.colours, "FLOATING_POINT": self._hints.precision}
        if name in _LAYOUT and not given.get(name, self._hints.shape):
            hint = f"say what holds: {_SAYING.get(name, '--shape X Y Z T')}"
            raise FormatError(f"{self._source.path}: {name[:40]}", value=two, allowed="one value", hint=hint)
        self.checks.append(contradiction(name[:40], two, allowed="one value"))

    def layout(self) -> tuple[tuple[int, ...], int, int, str]:
        """Shape, colours, stored rows and precision.

        Raises:
            DataError: If they cannot be told, or need more bytes than there are.
        """
        colours, whole, unknown = self._datatype()
        precision = self._floating_point()
        stated, contradictions = self._hints.settled([Hints(self._shape(), colours, precision)])
        self.checks += contradictions
        if stated.shape is None:
            raise FormatError(f"{self._source.path}: extents", hint="say them: --shape X Y Z T")
        return self._fitted(stated, stated.shape, whole=whole, unknown=unknown)

    def _fitted(
        self, stated: Hints, shape: tuple[int, ...], *, whole: bool | None, unknown: FileCheck | None
    ) -> tuple[tuple[int, ...], int, int, str]:
        """The first layout, of those that nothing contradicts, that the length of the links has room for."""
        there = self._source.size - self.offset
        if unknown is not None and not stated.colours:
            self._refuse(unknown)
        colours = stated.colours or 3
        rows = [colours if whole else colours - 1] if whole is not None else [colours, colours - 1]
        rows = [r for r in rows if r == colours or colours in (2, 3)]
        precisions: Sequence[str] = [stated.precision] if stated.precision else list(PRECISIONS)
        pairs = [(r, p) for r in rows for p in precisions]
        exact = [(r, p) for r, p in pairs if payload_bytes(shape, colours, p, rows=r) == there]
        row, precision = (exact or pairs[-1:])[0]
        needed = payload_bytes(shape, colours, precision, rows=row)
        if needed > there:
            failed = [check for check in self.checks if check.failed]
            if failed and not exact:
                self._refuse(failed[0])
            raise self._too_short(shape, there, offset=needed)
        return shape, colours, row, precision

    def _too_short(self, shape: tuple[int, ...], there: int, *, offset: int) -> LengthError:
        error = self._source.too_short(f"{self.offset + offset} bytes")
        fits = [n for n in _COLOURS for p in PRECISIONS if payload_bytes(shape, n, p) == there]
        if fits:
            error.hint = f"its length is that of SU({fits[0]}): --group SU({fits[0]}) --force reads it so"
        return error

    def _refuse(self, check: FileCheck) -> None:
        hint = "--shape, --group and --precision say what the file does not"
        raise check.refusal(
            f"{self._source.path}: {check.name}", value=str(check.value), allowed=check.limit, hint=hint
        )

    def _shape(self) -> tuple[int, ...] | None:
        extents: list[int] = []
        for name in _DIMENSIONS:
            text = self.keys.get(name, "")
            try:
                extents.append(markup.whole(text, what=f"{self._source.path}: {name}"))
            except FormatError as error:
                if self._hints.shape is None:
                    raise
                check = unreadable(name, text, allowed=error.allowed)
                self.checks.append(self._hints.supplies(check, "shape"))
        return tuple(extents) if len(extents) == len(_DIMENSIONS) else None

    def _datatype(self) -> tuple[int | None, bool | None, FileCheck | None]:
        """Colours, whether all rows are stored, and a check where this cannot be read."""
        value = self.keys.get("DATATYPE", "")
        found = re.fullmatch(r"4D_SU([2-9])_GAUGE(?:_([2-9])x([2-9]))?", value, re.IGNORECASE)
        colours = int(found[1]) if found else 0
        whole = found is not None and found[2] is not None
        if found and ((whole and found[1] == found[2] == found[3]) or (not whole and colours in (2, 3))):
            return colours, whole, None
        check = unreadable("DATATYPE", value, allowed=_TYPES, refusal=UnsupportedError)
        self.checks.append(self._hints.supplies(check, "colours"))
        return None, None, check

    def _floating_point(self) -> str | None:
        """The precision; the byte order that is declared is kept."""
        value = self.keys.get("FLOATING_POINT", "")
        found = re.fullmatch(r"IEEE(32|64)(.*)", value, re.IGNORECASE)
        order = (found[2] or "BIG").upper() if found else ""
        self.order = ORDERS.get(order, ">")
        if found and order in ORDERS:
            return f"float{found[1]}"
        check = unreadable("FLOATING_POINT", value, allowed=_FLOATING, refusal=UnsupportedError)
        self.checks.append(check if found else self._hints.supplies(check, "precision"))
        return f"float{found[1]}" if found else None

    def declarations(self, precision: str) -> list[tuple[str, float, float]]:
        """Plaquette and link trace with the error of their last printed digit and of the arithmetic they come from."""
        found: list[tuple[str, float, float]] = []
        rounding = {"float32": 1e-6, "float64": 1e-9}[precision]
        for key, name in (("PLAQUETTE", "plaquette"), ("LINK_TRACE", "link trace")):
            if key not in self.keys:
                continue
            number = decimal(self.keys[key])
            if number is None:
                self.checks.append(unreadable(key, self.keys[key], allowed="a number"))
            else:
                tolerance = min(_COARSEST, number[1]) + rounding
                found.append(declared(name, stored=number[0], tolerance=tolerance))
        return found


def _read(source: Source) -> tuple[str, int]:
    """The lines of the header, and where the links begin."""
    data = source.read_up_to(0, _LONGEST_HEADER)
    begin, end = _BEGIN.match(data), _END.search(data)
    if begin is None or end is None:
        raise FormatError(
            f"{source.path}: not a NERSC header", allowed="BEGIN_HEADER … END_HEADER", hint="truncated or damaged"
        )
    return data[begin.end() : end.start()].decode("latin-1"), end.end()
