"""ILDG and SciDAC files: LIME records with the links big-endian, XML about them, and the SciDAC checksum.

All eight records are written, in the order of QIO, which all known readers accept. Reading accepts files without the
logical file name, without the private records and, if the caller gives the shape, with nothing but the links.
"""

import math
import re
import time
from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from latflow.errors import DataError
from latflow.store.gauge_files import lime, markup
from latflow.store.gauge_files.checksums import SciDACChecksum
from latflow.store.gauge_files.configuration import PRECISIONS, Configuration, FileCheck, checksum, declared, examine
from latflow.store.gauge_files.hints import MOST_DIMENSIONS, Hints
from latflow.store.gauge_files.layout import Source, payload_bytes, read_links, require_group, spell_links
from latflow.store.gauge_files.lime import Record
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, UNKNOWN, Provenance, as_text, from_text, held
from latflow.store.gauge_files.refusals import LengthError, ShapeUnknownError, UnsupportedError
from latflow.store.records import FormatError

_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_BITS = {"32": "float32", "64": "float64"}
_LETTERS = {"F": "float32", "D": "float64"}
_LONGEST_NAME = 1000
_USER_TAGS = {"usqcdInfo", "version", "plaq", "linktr", "info"}
_T = TypeVar("_T", tuple[int, ...], int, str)
_DATA = {"ildg-binary-data": "ildg", "scidac-binary-data": "scidac"}


def read(source: Source, hints: Hints) -> Configuration:
    """Read an ILDG or SciDAC file.

    Raises:
        DataError: Not one, or with sizes that contradict each other or the file's length.
    """
    records = lime.scan(source)
    data = _only(source, records, *_DATA)
    facts = _facts(source, records, data)
    shape, colours, precision = _layout(source, data, facts, hints)
    dtype = np.dtype(f">{PRECISIONS[precision]}")
    sums = SciDACChecksum(len(shape) * colours * colours * dtype.itemsize)
    links = read_links(source, data.offset, shape=shape, dtype=dtype, colours=colours, seen=sums.add)
    checks = [
        FileCheck(
            "records", "in messages", "messages that begin and end", lime.messages_are_whole(records), FormatError
        ),
        *_checksums(source, records, sums),
    ]
    return examine(
        links,
        format=_DATA[data.type],
        precision=precision,
        details=_details(records),
        checks=checks,
        declarations=_declarations(source, records, precision),
        provenance=_provenance(source, records),
    )


def spell(links: Links, *, precision: str, provenance: Provenance = NOTHING_KNOWN, ildg: bool = True) -> bytes:
    """The bytes of an ILDG file, or of a SciDAC one, which holds any dimension.

    Args:
        links: The field.
        precision: ``float32`` or ``float64``; the caller has checked that rounding is wanted.
        provenance: For the logical file name and the text of the user record.
        ildg: Whether to write the records that make a SciDAC file an ILDG one.

    Raises:
        UnsupportedError: ILDG files have four dimensions only.
    """
    require_group(links, format="ildg" if ildg else "scidac", colours=None, dimension=4 if ildg else None)
    dtype = np.dtype(f">{PRECISIONS[precision]}")
    payload = spell_links(links, dtype)
    sums = SciDACChecksum(len(links) * links.shape[1] ** 2 * dtype.itemsize)
    sums.add(payload)
    stored = links.astype(dtype.newbyteorder("="))
    measured = examine(stored, format="ildg", precision=precision, details={})
    has = held(provenance, "ildg")
    private, user = _record_xml(measured, as_text(has, lfn=not ildg))
    suma, sumb = sums.values
    middle = [("ildg-format", _ildg_xml(measured)), ("ildg-data-lfn", (has.lfn or UNKNOWN).encode())] if ildg else []
    messages = [
        [
            ("scidac-private-file-xml", _file_xml(measured.shape)),
            ("scidac-file-xml", f"{_XML}<title>gauge configuration</title>".encode()),
        ],
        [
            ("scidac-private-record-xml", private),
            ("scidac-record-xml", user),
            *middle,
            ("ildg-binary-data" if ildg else "scidac-binary-data", payload),
            (
                "scidac-checksum",
                f"{_XML}<scidacChecksum><version>1.0</version><suma>{suma}</suma><sumb>{sumb}</sumb></scidacChecksum>".encode(),
            ),
        ],
    ]
    return lime.spell(messages)


def _only(source: Source, records: list[Record], *types: str) -> Record:
    found = [record for record in records if record.type in types]
    if not found:
        raise FormatError(f"{source.path}: no record {' or '.join(types)}", hint="not a gauge configuration")
    if len(found) > 1:
        raise UnsupportedError(
            f"{source.path}: records {types[0]}", value=str(len(found)), allowed="one configuration per file"
        )
    return found[0]


def _xml(source: Source, records: list[Record], kind: str) -> dict[str, list[str]] | None:
    """Elements of the one record of a type; None if there is none."""
    found = [record for record in records if record.type == kind]
    if not found:
        return None
    if len(found) > 1:
        raise UnsupportedError(f"{source.path}: records {kind}", value=str(len(found)), allowed="one")
    record = found[0]
    if record.length > markup.LARGEST:
        raise FormatError(f"{source.path}: {kind}", value=f"{record.length} bytes", allowed=f"at most {markup.LARGEST}")
    return markup.texts(source.read(record.offset, record.length), what=f"{source.path}: {kind}")


def _facts(source: Source, records: list[Record], data: Record) -> list[Hints]:
    """The facts about the layout in each record of the file."""
    facts = []
    if (found := _xml(source, records, "ildg-format")) is not None:
        what = f"{source.path}: ildg-format"
        extents = [
            markup.whole(markup.one(found, tag, what=what), what=f"{what} {tag}") for tag in ("lx", "ly", "lz", "lt")
        ]
        field = re.fullmatch(r"su([1-9])gauge", markup.one(found, "field", what=what))
        bits = _BITS.get(markup.one(found, "precision", what=what))
        if field is None or bits is None or field[1] == "1":
            raise UnsupportedError(what, value=f"{found['field']}, {found['precision']}", allowed="su3gauge, 32 or 64")
        facts.append(Hints(tuple(extents), int(field[1]), bits))
    if (found := _xml(source, records, "scidac-private-record-xml")) is not None:
        facts.append(_private(found, what=f"{source.path}: scidac-private-record-xml"))
    if data.type == "scidac-binary-data" and (found := _xml(source, records, "scidac-private-file-xml")) is not None:
        facts.append(Hints(shape=_dims(found, what=f"{source.path}: scidac-private-file-xml")))
    return facts


def _private(found: dict[str, list[str]], *, what: str) -> Hints:
    kind = markup.one(found, "datatype", what=what, default="ColorMatrix")
    precision = _LETTERS.get(markup.one(found, "precision", what=what))
    if "ColorMatrix" not in kind or precision is None:
        raise UnsupportedError(
            f"{what}: datatype", value=repr(kind[:40]), allowed="QDP_D3_ColorMatrix, QDP_F3_ColorMatrix"
        )
    return Hints(
        colours=markup.whole(markup.one(found, "colors", what=what), what=f"{what} colors", largest=16),
        precision=precision,
    )


def _dims(found: dict[str, list[str]], *, what: str) -> tuple[int, ...]:
    words = markup.one(found, "dims", what=what).split()
    if markup.one(found, "volfmt", what=what, default="0") != "0" or not 1 <= len(words) <= MOST_DIMENSIONS:
        raise UnsupportedError(f"{what}: layout", allowed=f"one file in 1 to {MOST_DIMENSIONS} dimensions (volfmt 0)")
    return tuple(markup.whole(word, what=f"{what} dims") for word in words)


def _layout(source: Source, data: Record, facts: list[Hints], hints: Hints) -> tuple[tuple[int, ...], int, str]:
    """Shape, colours and precision that everything agrees on, compared with the length of the links."""
    shape = _agreed(source, "shape", [fact.shape for fact in facts]) or hints.shape
    if shape is None:
        raise ShapeUnknownError(
            f"{source.path}: no record says the shape of the lattice", hint="say it: --shape X Y Z T"
        )
    colours = _agreed(source, "colours", [fact.colours for fact in facts]) or hints.colours
    precision = _agreed(source, "precision", [fact.precision for fact in facts]) or hints.precision
    hints.require(source.path, shape=shape, colours=colours, precision=precision)
    fitting = [
        (n, p)
        for n in ([colours] if colours else range(2, 17))
        for p in ([precision] if precision else PRECISIONS)
        if payload_bytes(shape, n, p) == data.length
    ]
    if len(fitting) != 1:
        numbers = math.prod(shape) * len(shape)
        said = "" if any(fact.shape for fact in facts) else f", as {hints.origin} says"
        raise LengthError(
            f"{source.path}: {data.type} has {data.length} bytes",
            value=f"lattice {'x'.join(map(str, shape))}, {numbers} links{said}",
            allowed=f"{payload_bytes(shape, colours or 3, precision or 'float64')} bytes",
            hint="the file is damaged, or not what it says",
        )
    return (shape, *fitting[0])


def _agreed(source: Source, name: str, values: Iterable[_T | None]) -> _T | None:
    """The one value among those given; None if there is none."""
    distinct = {value for value in values if value is not None}
    if len(distinct) > 1:
        raise FormatError(f"{source.path}: {name}", value=" and ".join(sorted(map(str, distinct))), allowed="one value")
    return distinct.pop() if distinct else None


def _checksums(source: Source, records: list[Record], sums: SciDACChecksum) -> list[FileCheck]:
    found = _xml(source, records, "scidac-checksum")
    if found is None:
        return []
    checks = []
    for tag, computed in zip(("suma", "sumb"), sums.values, strict=True):
        stored = markup.one(found, tag, what=f"{source.path}: scidac-checksum")
        if not re.fullmatch(r"[0-9a-fA-F]{1,8}", stored):
            raise FormatError(f"{source.path}: {tag}", value=repr(stored[:40]), allowed="up to 8 hexadecimal digits")
        checks.append(checksum(tag, stored=stored, computed=computed))
    return checks


def _declarations(source: Source, records: list[Record], precision: str) -> list[tuple[str, float, float]]:
    """Plaquette and link trace of the user record if it is that of USQCD; the standard leaves its contents open."""
    found = _elements(source, records, "scidac-record-xml")
    tolerance = {"float32": 1e-5, "float64": 1e-8}[precision]
    names = {"plaq": "plaquette", "linktr": "link trace"}
    numbers = {tag: _number(found.get(tag, [""])[0]) for tag in names} if "usqcdInfo" in found else {}
    return [declared(names[tag], stored=x, tolerance=tolerance) for tag, x in numbers.items() if x is not None]


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", text) else None


def _details(records: list[Record]) -> dict[str, str]:
    return {"byte order": "big", "records": ", ".join(dict.fromkeys(r.type for r in records[:100]))}


def _provenance(source: Source, records: list[Record]) -> Provenance:
    """The logical file name, the date of the record and the user record, which others fill with anything."""
    lfn = _text(source, records, "ildg-data-lfn", largest=_LONGEST_NAME)
    user = _text(source, records, "scidac-record-xml", largest=markup.LARGEST)
    private = _elements(source, records, "scidac-private-record-xml")
    elements = _elements(source, records, "scidac-record-xml")
    ours = elements and set(elements) <= _USER_TAGS  # text within an element of USQCD or MILC, or else all of it
    text = elements.get("info", [""])[0] if ours else user
    return from_text(text, lfn=lfn, created=private.get("date", [""])[0])


def _text(source: Source, records: list[Record], kind: str, *, largest: int) -> str:
    """The first record of a type as text; empty if there is none, or a very long one."""
    record = next((record for record in records if record.type == kind and record.length <= largest), None)
    return source.read(record.offset, record.length).decode("utf-8", "replace") if record else ""


def _elements(source: Source, records: list[Record], kind: str) -> dict[str, list[str]]:
    """Elements of the one record of a type; empty if it is no XML, or if there are several."""
    try:
        return _xml(source, records, kind) or {}
    except DataError:
        return {}


def _file_xml(shape: tuple[int, ...]) -> bytes:
    dims = " ".join(map(str, shape))
    return (
        f"{_XML}<scidacFile><version>1.1</version><spacetime>{len(shape)}</spacetime><dims>{dims} </dims>"
        "<volfmt>0</volfmt></scidacFile>"
    ).encode()


def _record_xml(measured: Configuration, information: str) -> tuple[bytes, bytes]:
    """The private record and the user record."""
    letter = {precision: letter for letter, precision in _LETTERS.items()}[measured.precision]
    n, d = measured.colours, len(measured.shape)
    date = time.strftime("%a %b %d %H:%M:%S %Y UTC", time.gmtime())
    size = n * n * np.dtype(PRECISIONS[measured.precision]).itemsize
    private = (
        f"{_XML}<scidacRecord><version>1.1</version><date>{date}</date><recordtype>0</recordtype>"
        f"<datatype>QDP_{letter}{n}_ColorMatrix</datatype><precision>{letter}</precision><colors>{n}</colors>"
        f"<spins>1</spins><typesize>{size}</typesize><datacount>{d}</datacount></scidacRecord>"
    )
    plaquette = f"<plaq>{measured.plaquette:.12g}</plaq>" if d > 1 else ""
    user = (
        f"{_XML}<usqcdInfo><version>1.0</version>{plaquette}"
        f"<linktr>{measured.link_trace.real:.12g}</linktr><info>{markup.escape(information)}</info></usqcdInfo>"
    )
    return private.encode(), user.encode()


def _ildg_xml(measured: Configuration) -> bytes:
    extents = "".join(f"<l{axis}>{n}</l{axis}>" for axis, n in zip("xyzt", measured.shape, strict=True))
    bits = {precision: bits for bits, precision in _BITS.items()}[measured.precision]
    return (
        f'{_XML}<ildgFormat xmlns="http://www.lqcd.org/ildg" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.lqcd.org/ildg filefmt.xsd"><version>1.0</version>'
        f"<field>su{measured.colours}gauge</field><precision>{bits}</precision>{extents}</ildgFormat>"
    ).encode()
