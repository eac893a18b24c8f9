"""What the records of an ILDG or SciDAC file say: the layout of the links, values to compare with, the origin.

Records that fix the layout are read strictly where nothing else tells it; everything else may be unreadable, which is
a failed check. Records that no reader here knows are named. ``xlf-info`` of tmLQCD is read: its plaquette is compared,
and a difference only noted, since some programs copy the record of another configuration.
"""

import itertools
import math
import re
from collections.abc import Sequence

from latflow.errors import DataError
from latflow.store.gauge_files import lime, markup
from latflow.store.gauge_files.checks import (
    WHOLE,
    FileCheck,
    checksum,
    contradiction,
    decimal,
    declared,
    malformed,
    noted,
    unreadable,
)
from latflow.store.gauge_files.checksums import SciDACChecksum
from latflow.store.gauge_files.configuration import PRECISIONS
from latflow.store.gauge_files.hints import MOST_DIMENSIONS, Hints
from latflow.store.gauge_files.layout import Source, payload_bytes
from latflow.store.gauge_files.lime import Record
from latflow.store.gauge_files.provenance import Provenance, from_text
from latflow.store.gauge_files.refusals import FlagsError, LengthError, ShapeUnknownError, UnsupportedError
from latflow.store.records import FormatError

DATA = {"ildg-binary-data": "ildg", "scidac-binary-data": "scidac"}
"""Formats by the record of the links."""

_BITS = {"32": "float32", "64": "float64"}
_LETTERS = {"F": "float32", "D": "float64"}
_XLF = "xlf-info"
_KNOWN = {
    *DATA,
    _XLF,
    "ildg-format",
    "ildg-data-lfn",
    "scidac-checksum",
    *(f"scidac-{which}-xml" for which in ("private-file", "file", "private-record", "record")),
}
_XLF_KEYS = ("plaquette", "trajectory nr", "beta", "kappa", "mu", "c2_rec")
_SHOWN = 40
_BEHIND = ("scidac-checksum", "ildg-data-lfn")
_LONGEST_NAME = 1000
_LONGEST_XLF = 1 << 16
_USER_TAGS = {"usqcdInfo", "version", "plaq", "linktr", "info"}
_MOST_COLOURS = 16
_NAMED = 100


class Records:
    """The records of one configuration in a file.

    Args:
        source: The file.
        hints: Facts given by the caller.
        which: Number of the configuration, from 0; None where the file holds one.

    Attributes:
        data: The record of the links.
        checks: Values found unreadable or contradictory so far.
    """

    def __init__(self, source: Source, hints: Hints, *, which: int | None) -> None:
        self._source = source
        self._hints = hints
        self._all, self._problem = lime.survey(source)
        self._records, self.data = self._chosen(which)
        self.checks: list[FileCheck] = []

    def _chosen(self, which: int | None) -> tuple[list[Record], Record]:
        """The records of one configuration, and that of its links."""
        groups = _groups(self._all)
        if not groups:
            if self._problem is not None:
                raise self._problem
            raise FormatError(f"{self._source.path}: no record {' or '.join(DATA)}", hint="not a gauge configuration")
        if which is None and len(groups) > 1:
            raise UnsupportedError(
                f"{self._source.path}: holds {len(groups)} configurations",
                allowed="one configuration per file",
                hint=f"say which: --which 0 to {len(groups) - 1}; with `latflow convert FOLDER`, of every file",
            )
        if not 0 <= (which or 0) < len(groups):
            raise UnsupportedError(f"{self._source.path}: --which", value=str(which), allowed=f"0 to {len(groups) - 1}")
        return groups[which or 0]

    def structure(self) -> list[FileCheck]:
        """Flags of the records, and what stands at the end of the file."""
        whole = lime.messages_are_whole(self._all)
        found = "in whole messages" if whole else lime.messages_begin_and_end(self._all)
        hint = "the links do not depend on these flags; --force reads them"
        flags = FileCheck(
            "message flags", found, "messages that begin and end", whole, FlagsError, hint, of_links=False
        )
        if self._problem is None:
            return [flags]
        text = str(self._problem.what).removeprefix(f"{self._source.path}: ")
        value = ": ".join(filter(None, [text, self._problem.value]))
        allowed = self._problem.allowed or "whole records"
        end = contradiction("end of the file", value, allowed=allowed, refusal=type(self._problem), hint=WHOLE)
        return [end, flags]

    def layout(self) -> tuple[tuple[int, ...], int, str]:
        """Shape, colours and precision, compared with the length of the links.

        Raises:
            DataError: If they cannot be told, or do not fit.
        """
        stated = self._stated()
        settled, contradictions = self._hints.settled(stated)
        self.checks += contradictions
        shape, colours, precision = settled.shape, settled.colours, settled.precision
        if shape is None:
            self._refuse_shapeless()
            raise ShapeUnknownError(
                f"{self._source.path}: no record says the shape of the lattice", hint="say it: --shape X Y Z T"
            )
        fitting = [
            (n, p)
            for n in ([colours] if colours else range(2, _MOST_COLOURS + 1))
            for p in ([precision] if precision else PRECISIONS)
            if payload_bytes(shape, n, p) == self.data.length
        ]
        if len(fitting) != 1:
            self._refuse(contradictions)
            raise self._misfit(shape, colours, precision, told=any(fact.shape for fact in stated))
        return (shape, *fitting[0])

    def _misfit(self, shape: tuple[int, ...], colours: int | None, precision: str | None, *, told: bool) -> LengthError:
        said = "" if told else f", as {self._hints.origin} says"
        return LengthError(
            f"{self._source.path}: {self.data.type} has {self.data.length} bytes",
            value=f"lattice {'x'.join(map(str, shape))}, {math.prod(shape) * len(shape)} links{said}",
            allowed=f"{payload_bytes(shape, colours or 3, precision or 'float64')} bytes",
            hint="the file is damaged, or not what it says; --shape, --group and --precision may say it",
        )

    def _refuse_shapeless(self) -> None:
        """Raise the reason why no record tells the shape, if there is one."""
        self._refuse([check for check in self.checks if check.failed])
        if self._problem is not None:
            raise self._problem

    def _refuse(self, checks: Sequence[FileCheck]) -> None:
        for check in checks[:1]:
            hint = "--shape, --group and --precision say what the file does not"
            raise check.refusal(
                f"{self._source.path}: {check.name}", value=str(check.value), allowed=check.limit, hint=hint
            )

    def _stated(self) -> list[Hints]:
        """What each record says of the layout."""
        facts = []
        if (found := self._xml("ildg-format")) is not None:
            facts.append(self._format_facts(found))
        if (found := self._xml("scidac-private-record-xml")) is not None:
            facts.append(self._private_facts(found))
        if self.data.type == "scidac-binary-data" and (found := self._xml("scidac-private-file-xml")) is not None:
            facts.append(Hints(shape=self._dims(found)))
        return facts

    def _format_facts(self, found: dict[str, list[str]]) -> Hints:
        extents = [self._extent(found, f"l{axis}") for axis in "xyzt"]
        field, bits = self._one(found, "field"), self._one(found, "precision")
        group = re.fullmatch(r"su([2-9])gauge", field)
        if group is None:
            self._unread("colours", "ildg-format field", field, allowed="su3gauge", refusal=UnsupportedError)
        if bits not in _BITS:
            self._unread("precision", "ildg-format precision", bits, allowed="32 or 64", refusal=UnsupportedError)
        shape = None if None in extents else tuple(extent for extent in extents if extent is not None)
        return Hints(shape, int(group[1]) if group else None, _BITS.get(bits))

    def _extent(self, found: dict[str, list[str]], tag: str) -> int | None:
        text = self._one(found, tag)
        try:
            return markup.whole(text, what=tag)
        except FormatError as error:
            self._unread("shape", f"ildg-format {tag}", text, allowed=error.allowed, refusal=FormatError)
            return None

    def _private_facts(self, found: dict[str, list[str]]) -> Hints:
        where = "scidac-private-record-xml"
        kind = self._one(found, "datatype") if "datatype" in found else "ColorMatrix"
        if "ColorMatrix" not in kind:
            allowed = "QDP_D3_ColorMatrix, QDP_F3_ColorMatrix"
            self.checks.append(unreadable(f"{where} datatype", kind, allowed=allowed, refusal=UnsupportedError))
        letter, colours = self._one(found, "precision"), self._one(found, "colors")
        if letter not in _LETTERS:
            self._unread("precision", f"{where} precision", letter, allowed="F or D", refusal=UnsupportedError)
        known = colours.isascii() and colours.isdecimal() and 2 <= int(colours[:3]) <= _MOST_COLOURS
        if not known:
            self._unread("colours", f"{where} colors", colours, allowed=f"2 to {_MOST_COLOURS}", refusal=FormatError)
        return Hints(colours=int(colours) if known else None, precision=_LETTERS.get(letter))

    def _dims(self, found: dict[str, list[str]]) -> tuple[int, ...] | None:
        where = "scidac-private-file-xml"
        volfmt = self._one(found, "volfmt") if "volfmt" in found else "0"
        if volfmt != "0":
            raise UnsupportedError(f"{self._source.path}: volfmt", value=volfmt, allowed="0, one file")
        text = self._one(found, "dims")
        try:
            words = text.split()
            if not 1 <= len(words) <= MOST_DIMENSIONS:
                raise FormatError(where, value=text, allowed=f"1 to {MOST_DIMENSIONS} extents")
            return tuple(markup.whole(word, what=where) for word in words)
        except FormatError as error:
            self._unread("shape", f"{where} dims", text, allowed=error.allowed, refusal=FormatError)
            return None

    def _unread(self, key: str, name: str, found: str, *, allowed: str, refusal: type[DataError]) -> None:
        """Note a value of the layout that cannot be read; no failure if the caller gives it."""
        check = unreadable(name, found, allowed=allowed, refusal=refusal)
        self.checks.append(self._hints.supplies(check, key))

    def _one(self, found: dict[str, list[str]], tag: str) -> str:
        """The text of an element; all of them where they differ; empty if it is missing."""
        return " and ".join(dict.fromkeys(found.get(tag, [])))

    def _xml(self, kind: str) -> dict[str, list[str]] | None:
        """Elements of the one record of a type; None if there is none."""
        record = self._only(kind)
        if record is None:
            return None
        where = f"{self._source.path}: {kind}"
        if record.length > markup.LARGEST:
            raise FormatError(where, value=f"{record.length} bytes", allowed=f"at most {markup.LARGEST}")
        data, behind = markup.before_nul(self._source.read(record.offset, record.length))
        if behind:
            allowed = "nothing after the end"
            self.checks.append(malformed(kind, f"{behind} bytes after its end", allowed=allowed))
        try:
            return markup.texts(data, what=where)
        except markup.MalformedError as error:
            self.checks.append(malformed(kind, error.value, allowed="XML that is well-formed"))
            return markup.loose_texts(data)

    def _only(self, kind: str) -> Record | None:
        found = [record for record in self._records if record.type == kind]
        if len(found) > 1:
            raise UnsupportedError(f"{self._source.path}: records {kind}", value=str(len(found)), allowed="one")
        return found[0] if found else None

    def checksums(self, sums: SciDACChecksum) -> list[FileCheck]:
        """The checksums of the links, if the file has any."""
        try:
            found = self._xml("scidac-checksum")
        except DataError as error:
            what = error.what.removeprefix(f"{self._source.path}: ")
            return [contradiction(what, error.value, allowed=error.allowed, refusal=type(error), hint=WHOLE)]
        if found is None:
            return []
        pairs = zip(("suma", "sumb"), sums.values, strict=True)
        return [checksum(tag, stored=self._one(found, tag), computed=computed) for tag, computed in pairs]

    def declarations(self, precision: str) -> list[tuple[str, float, float]]:
        """Plaquette and link trace of the user record if it is that of USQCD; the standard leaves its contents open."""
        found = self._elements("scidac-record-xml")
        tolerance = {"float32": 1e-5, "float64": 1e-8}[precision]
        stated = []
        for tag, name in (("plaq", "plaquette"), ("linktr", "link trace")):
            if "usqcdInfo" not in found or tag not in found:
                continue
            text = found[tag][0]
            number = decimal(text)
            if number is None:
                self.checks.append(unreadable(name, text, allowed="a number"))
            else:
                stated.append(declared(name, stored=number[0], tolerance=tolerance))
        return stated

    def notes(self, plaquette: float) -> list[FileCheck]:
        """The plaquette of ``xlf-info`` where it is not that of the links."""
        text = self._xlf().get("plaquette")
        if text is None:
            return []
        number = decimal(text)
        if number is None:
            return [noted(f"plaquette of {_XLF}", repr(text[:40]), expected="a number")]
        tolerance = max(number[1], 1e-9)
        if abs(number[0] - plaquette) <= tolerance:
            return [FileCheck(f"plaquette of {_XLF}", plaquette, f"{number[0]:.12g} ± {tolerance:.1g}", passed=True)]
        return [noted(f"plaquette of {_XLF}", f"{number[0]:.12g}", expected=f"{plaquette:.12g}, that of the links")]

    def details(self) -> dict[str, str]:
        """Facts of the format in words."""
        names = dict.fromkeys(record.type for record in self._records[:_NAMED])
        unknown = [name for name in names if name not in _KNOWN]
        told = {key: value[:_SHOWN] for key, value in self._xlf().items() if key in _XLF_KEYS}
        return {
            "byte order": "big",
            "records": ", ".join(names),
            **({"records not read": ", ".join(unknown)} if unknown else {}),
            **({_XLF: ", ".join(f"{key} {value}" for key, value in told.items())} if told else {}),
        }

    def provenance(self) -> Provenance:
        """The logical file name, the date of the record and the user record, which others fill with anything."""
        lfn = self._text("ildg-data-lfn", largest=_LONGEST_NAME)
        user = self._text("scidac-record-xml", largest=markup.LARGEST)
        private = self._elements("scidac-private-record-xml")
        elements = self._elements("scidac-record-xml")
        ours = elements and set(elements) <= _USER_TAGS  # text within an element of USQCD or MILC, or else all of it
        text = elements.get("info", [""])[0] if ours else user
        xlf = self._xlf()
        more = {"sequence_number": xlf["trajectory nr"]} if xlf.get("trajectory nr", "").isdecimal() else {}
        date = private.get("date", [""])[0] or xlf.get("date", "")
        return from_text(text or self._text(_XLF, largest=_LONGEST_XLF), lfn=lfn, created=date, **more)

    def _xlf(self) -> dict[str, str]:
        """Keys and values of ``xlf-info``, several of which stand on one line."""
        text = self._text(_XLF, largest=_LONGEST_XLF).partition("\0")[0]
        pieces = [piece for line in text.splitlines() for piece in line.split(",")]
        pairs = (piece.partition("=") for piece in pieces)
        return {key.strip(): value.strip() for key, equals, value in pairs if equals}

    def _text(self, kind: str, *, largest: int) -> str:
        """The first record of a type as text; empty if there is none, or a very long one."""
        record = next((r for r in self._records if r.type == kind and r.length <= largest), None)
        return self._source.read(record.offset, record.length).decode("utf-8", "replace") if record else ""

    def _elements(self, kind: str) -> dict[str, list[str]]:
        """Elements of the one record of a type; empty if it is no XML, or if there are several."""
        kept = list(self.checks)
        try:
            return self._xml(kind) or {}
        except DataError:
            return {}
        finally:
            self.checks = kept


def _groups(records: Sequence[Record]) -> list[tuple[list[Record], Record]]:
    """The records of every configuration: those before its links, and checksum and name behind them.

    The records of the file as a whole, at its beginning, belong to every configuration.
    """
    places = [i for i, record in enumerate(records) if record.type in DATA]
    starts, common = [0], [record for record in records[: places[0]] if "file" in record.type] if places else []
    for place in places:
        behind = itertools.takewhile(lambda record: record.type in _BEHIND, records[place + 1 :])
        starts.append(place + 1 + len(list(behind)))
    last = len(places) - 1
    found = []
    for i, place in enumerate(places):
        own = list(records[starts[i] : None if i == last else starts[i + 1]])
        own_kinds = {record.type for record in own}
        found.append(([*(record for record in common if record.type not in own_kinds), *own], records[place]))
    return found
