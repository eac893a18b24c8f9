"""NERSC archives: an ASCII header of ``KEY = VALUE`` lines, then the links, whole or without their last row.

``FLOATING_POINT`` names the precision and sometimes the byte order; where it does not, or is wrong, the order is the
one whose checksum matches. The checksum is the sum of all stored 32-bit words.
"""

import re
import time

import numpy as np

from latflow.store.gauge_files import markup
from latflow.store.gauge_files.checksums import NERSCChecksum
from latflow.store.gauge_files.configuration import PRECISIONS, Configuration, checksum, declared, examine
from latflow.store.gauge_files.layout import Source, payload_bytes, read_links, require_group, spell_links
from latflow.store.gauge_files.measure import Links, third_row
from latflow.store.gauge_files.provenance import KEYS, NOTHING_KNOWN, UNKNOWN, Provenance, from_keys, held
from latflow.store.gauge_files.refusals import UnsupportedError
from latflow.store.records import FormatError

MAGIC = b"BEGIN_HEADER"

_LONGEST_HEADER = 1 << 16
_PIECE = 1 << 20
_COARSEST = -2  # a number that lost its digits must not pass for a rounded one
_PLACEHOLDERS = {"SEQUENCE_NUMBER": "0"}  # other readers want a number
_ORDERS = {"BIG": ">", "LITTLE": "<"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.([0-9]{0,30}))?([eE]([+-]?[0-9]{1,3}))?")


def read(source: Source) -> Configuration:
    """Read a NERSC archive.

    Raises:
        DataError: Not one, or with sizes that contradict each other or the file's length.
    """
    header, offset = _header(source)
    shape, colours, rows = _datatype(source, header)
    precision, order = _floating_point(source, header)
    source.require_size(offset + payload_bytes(shape, colours, precision, rows=rows))
    sums = _sums(source, offset)
    stored = header.get("CHECKSUM", "")
    if "CHECKSUM" in header and not re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,8}", stored):
        raise FormatError(f"{source.path}: CHECKSUM", value=repr(stored[:40]), allowed="up to 8 hexadecimal digits")
    order = _settle(sums, stored, order)
    dtype = np.dtype(f"{order}{PRECISIONS[precision]}")
    links = read_links(source, offset, shape=shape, dtype=dtype, colours=colours, rows=rows)
    checks = [checksum("checksum", stored=stored, computed=sums.value(order))] if stored else []
    return examine(
        links,
        format="nersc",
        precision=precision,
        details={"byte order": "big" if order == ">" else "little", "rows": str(rows)},
        checks=checks,
        declarations=_declarations(source, header, precision),
        provenance=from_keys(header),
    )


def spell(
    links: Links,
    *,
    precision: str,
    provenance: Provenance = NOTHING_KNOWN,
    rows: int | None = None,
    byte_order: str = "big",
) -> bytes:
    """The bytes of a NERSC archive.

    Args:
        links: The field, in four dimensions.
        precision: ``float32`` or ``float64``.
        provenance: For the header, as far as it has keys for it.
        rows: 2 leaves the last row of SU(3) out.
        byte_order: ``big``, which every reader takes, or ``little``.

    Raises:
        UnsupportedError: Other dimensions, or two rows of another group.
    """
    n = links.shape[1]
    kept: int = rows or n
    require_group(links, format="nersc", colours=None if kept == n else 3)
    order = _ORDERS[byte_order.upper()]
    dtype = np.dtype(f"{order}{PRECISIONS[precision]}")
    payload = spell_links(links, dtype, rows=kept)
    sums = NERSCChecksum()
    sums.add(payload)
    measured = examine(_as_read(links, dtype, kept), format="nersc", precision=precision, details={})
    has = held(provenance, "nersc").facts()
    now = time.strftime("%a %b %d %H:%M:%S %Y UTC", time.gmtime())
    keys = {
        "HDR_VERSION": "1.0",
        "DATATYPE": f"4D_SU{n}_GAUGE" + (f"_{n}x{n}" if kept == n else ""),
        "STORAGE_FORMAT": "1.0",
        **{f"DIMENSION_{i}": str(extent) for i, extent in enumerate(measured.shape, start=1)},
        "LINK_TRACE": f"{measured.link_trace.real:.12g}",
        "PLAQUETTE": f"{measured.plaquette:.12g}",
        **{f"BOUNDARY_{i}": "PERIODIC" for i in range(1, 5)},
        "CHECKSUM": sums.value(order),
        **{key: has.get(name, _PLACEHOLDERS.get(key, UNKNOWN)) for name, key in KEYS.items()},
        "ARCHIVE_DATE": now,
        "FLOATING_POINT": f"IEEE{precision.removeprefix('float')}{byte_order.upper()}",
    }
    lines = ["BEGIN_HEADER", *(f"{key} = {value}" for key, value in keys.items()), "END_HEADER", ""]
    return "\n".join(lines).encode("ascii") + payload


def _as_read(links: Links, dtype: np.dtype, rows: int) -> Links:
    """The links that a reader will find: rounded, with the last row restored if it is left out."""
    stored = links.astype(dtype.newbyteorder("="))
    if rows == links.shape[1]:
        return stored
    last = third_row(np.moveaxis(stored[:, :rows], (1, 2), (-2, -1)))
    return np.concatenate([stored[:, :rows], np.moveaxis(last, -1, 1)[:, None]], axis=1)


def _header(source: Source) -> tuple[dict[str, str], int]:
    """The keys, and where the links begin."""
    data = source.read_up_to(0, _LONGEST_HEADER)
    found = re.match(rb"BEGIN_HEADER[ \t]*\r?\n((?:[^\n]*\n)*?)END_HEADER[ \t]*\r?\n", data)
    if found is None:
        raise FormatError(
            f"{source.path}: not a NERSC header", allowed="BEGIN_HEADER … END_HEADER", hint="truncated or damaged"
        )
    lines = found[1].decode("latin-1").splitlines()
    header: dict[str, str] = {}
    for key, _, value in (line.partition("=") for line in lines if "=" in line):
        name, text = key.strip(), value.strip().strip("\0")
        if header.setdefault(name, text) != text:
            two = f"{header[name][:40]!r} and {text[:40]!r}"
            raise FormatError(f"{source.path}: {name[:40]}", value=two, allowed="one value")
    return header, found.end()


def _datatype(source: Source, header: dict[str, str]) -> tuple[tuple[int, ...], int, int]:
    """Shape, colours and stored rows."""
    value = header.get("DATATYPE", "")
    found = re.fullmatch(r"4D_SU([2-9])_GAUGE(?:_([2-9])x([2-9]))?", value, re.IGNORECASE)
    colours = int(found[1]) if found else 0
    whole = found is not None and found[2] is not None
    if found is None or (whole and not found[1] == found[2] == found[3]) or (not whole and colours != 3):
        raise UnsupportedError(
            f"{source.path}: DATATYPE", value=repr(value[:40]), allowed="4D_SU3_GAUGE_3x3 or another N, 4D_SU3_GAUGE"
        )
    names = [f"DIMENSION_{i}" for i in range(1, 5)]
    shape = tuple(markup.whole(header.get(name, ""), what=f"{source.path}: {name}") for name in names)
    return shape, colours, colours if whole else 2


def _floating_point(source: Source, header: dict[str, str]) -> tuple[str, str]:
    """Precision, and the byte order that is declared; big if none is."""
    value = header.get("FLOATING_POINT", "")
    found = re.fullmatch(r"IEEE(32|64)(BIG|LITTLE)?", value, re.IGNORECASE)
    if found is None:
        allowed = "IEEE32 or IEEE64, then BIG, LITTLE or nothing"
        raise UnsupportedError(f"{source.path}: FLOATING_POINT", value=repr(value[:40]), allowed=allowed)
    return f"float{found[1]}", _ORDERS[(found[2] or "BIG").upper()]


def _sums(source: Source, offset: int) -> NERSCChecksum:
    sums = NERSCChecksum()
    for place in range(offset, source.size, _PIECE):
        sums.add(source.read(place, min(_PIECE, source.size - place)))
    return sums


def _settle(sums: NERSCChecksum, stored: str, order: str) -> str:
    """The declared byte order, or the other one if only its checksum matches."""
    other = "<" if order == ">" else ">"
    want = int(stored, 16) if stored else None
    matches = {each: int(sums.value(each), 16) == want for each in (order, other)}
    return other if matches[other] and not matches[order] else order


def _declarations(source: Source, header: dict[str, str], precision: str) -> list[tuple[str, float, float]]:
    """Plaquette and link trace with the error of their last printed digit and of the arithmetic they were made in."""
    found = []
    for key, name in (("PLAQUETTE", "plaquette"), ("LINK_TRACE", "link trace")):
        if key in header:
            text = header[key]
            if (match := _NUMBER.fullmatch(text)) is None:
                raise FormatError(f"{source.path}: {key}", value=repr(text[:40]), allowed="a number")
            digit = 10.0 ** min(_COARSEST, int(match[4] or 0) - len(match[2] or ""))
            found.append(
                declared(name, stored=float(text), tolerance=digit + {"float32": 1e-6, "float64": 1e-9}[precision])
            )
    return found
