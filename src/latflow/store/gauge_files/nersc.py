"""NERSC archives: an ASCII header of ``KEY = VALUE`` lines, then the links, whole or without their last row.

``FLOATING_POINT`` names the precision and sometimes the byte order; where it does not, or is wrong, the order is the
one whose checksum matches. The checksum is the sum of all stored 32-bit words.
"""

import time

import numpy as np

from latflow.store.gauge_files.checks import checksum
from latflow.store.gauge_files.checksums import NERSCChecksum
from latflow.store.gauge_files.configuration import PRECISIONS, Configuration, examine
from latflow.store.gauge_files.hints import Hints
from latflow.store.gauge_files.layout import Source, payload_bytes, read_links, require_group, spell_links
from latflow.store.gauge_files.measure import Links, last_row
from latflow.store.gauge_files.nersc_header import MAGIC as MAGIC
from latflow.store.gauge_files.nersc_header import ORDERS, Header
from latflow.store.gauge_files.provenance import KEYS, NOTHING_KNOWN, UNKNOWN, Provenance, from_keys, held

_PIECE = 1 << 20
_PLACEHOLDERS = {"SEQUENCE_NUMBER": "0"}  # other readers want a number


def read(source: Source, hints: Hints) -> Configuration:
    """Read a NERSC archive.

    Raises:
        DataError: Not one, or with sizes that contradict each other or the file's length.
    """
    found = Header(source, hints)
    shape, colours, rows, precision = found.layout()
    length = payload_bytes(shape, colours, precision, rows=rows)
    sums = _sums(source, found.offset, length)
    stored = found.keys.get("CHECKSUM")
    order = _settle(sums, stored or "", found.order)
    dtype = np.dtype(f"{order}{PRECISIONS[precision]}")
    links = read_links(source, found.offset, shape=shape, dtype=dtype, colours=colours, rows=rows)
    checks = [] if stored is None else [checksum("checksum", stored=stored, computed=sums.value(order))]
    declarations = found.declarations(precision)
    return examine(
        links,
        format="nersc",
        precision=precision,
        details={"byte order": "big" if order == ">" else "little", "rows": str(rows)},
        checks=[*source.ends_at(found.offset + length), *checks, *found.checks],
        declarations=declarations,
        provenance=from_keys(found.keys),
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
    order = ORDERS[byte_order.upper()]
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
        "LINK_TRACE": f"{measured.stated['link trace']:.12g}",
        "PLAQUETTE": f"{measured.stated['plaquette']:.12g}",
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
    last = last_row(np.moveaxis(stored[:, :rows], (1, 2), (-2, -1)))
    return np.concatenate([stored[:, :rows], np.moveaxis(last, -1, 1)[:, None]], axis=1)


def _sums(source: Source, offset: int, length: int) -> NERSCChecksum:
    sums = NERSCChecksum()
    for place in range(offset, offset + length, _PIECE):
        sums.add(source.read(place, min(_PIECE, offset + length - place)))
    return sums


def _settle(sums: NERSCChecksum, stored: str, order: str) -> str:
    """The declared byte order, or the other one if only its checksum matches."""
    other = "<" if order == ">" else ">"
    try:
        want = int(stored, 16)
    except ValueError:
        return order
    matches = {each: int(sums.value(each), 16) == want for each in (order, other)}
    return other if matches[other] and not matches[order] else order
