"""MILC binary files: a header and SU(3) links in single precision, all in the byte order of the writer.

Version 5: int32 20103, int32 nx, ny, nz, nt, 64 characters of time stamp, int32 order, uint32 sum29, uint32 sum31.
Versions 1 to 4, read only: int32 59354, int32 nx, ny, nz, nt, two float32 of the action, and no checksum.
"""

import struct
from collections.abc import Callable, Sequence

import numpy as np

from latflow.store.gauge_files import markup
from latflow.store.gauge_files.checks import checksum
from latflow.store.gauge_files.checksums import MILCChecksum
from latflow.store.gauge_files.configuration import Configuration, examine
from latflow.store.gauge_files.layout import Source, payload_bytes, read_links, require_group, spell_links
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, UNKNOWN, Provenance, held, known
from latflow.store.gauge_files.refusals import UnsupportedError
from latflow.store.records import FormatError

NUMBER, OLD_NUMBER = 20103, 59354
MAGICS = {struct.pack(f"{order}i", number): (order, number) for order in "<>" for number in (NUMBER, OLD_NUMBER)}

_HEADER = "5i64si2I"
_OLD_HEADER = "5i2f"
_SIZE = struct.calcsize(f"<{_HEADER}")


def read(source: Source) -> Configuration:
    """Read a MILC file.

    Raises:
        DataError: Not one, or with sizes that contradict the file's length.
    """
    magic = source.read(0, 4)
    if magic not in MAGICS:
        raise FormatError(f"{source.path}: not a MILC file", value=f"begins with {magic!r}", allowed=str(NUMBER))
    order, number = MAGICS[magic]
    return _read_old(source, order) if number == OLD_NUMBER else _read_new(source, order)


def _read_new(source: Source, order: str) -> Configuration:
    _, *extents, stamp, site_order, sum29, sum31 = struct.unpack(f"{order}{_HEADER}", source.read(0, _SIZE))
    if site_order != 0:
        raise UnsupportedError(f"{source.path}: order of sites", value=str(site_order), allowed="0, lexicographic")
    sums = MILCChecksum(order)
    links, end = _links(source, order, extents, offset=_SIZE, seen=sums.add)
    checks = [
        checksum(name, stored=f"{stored:08x}", computed=computed)
        for name, stored, computed in zip(("sum29", "sum31"), (sum29, sum31), sums.values, strict=True)
    ]
    return examine(
        links,
        format="milc",
        precision="float32",
        details=_details(order, 5),
        checks=[*source.ends_at(end), *checks],
        provenance=known(created=stamp.partition(b"\0")[0].decode("latin-1")),
    )


def _read_old(source: Source, order: str) -> Configuration:
    size = struct.calcsize(f"<{_OLD_HEADER}")
    _, *extents, c1, c2 = struct.unpack(f"{order}{_OLD_HEADER}", source.read(0, size))
    links, end = _links(source, order, extents, offset=size)
    return examine(
        links,
        format="milc",
        precision="float32",
        details={**_details(order, 1), "numbers of the action": f"{c1:g}, {c2:g}"},
        checks=source.ends_at(end),
    )


def _links(
    source: Source,
    order: str,
    extents: Sequence[int],
    *,
    offset: int,
    seen: Callable[[bytes], None] = lambda data: None,
) -> tuple[Links, int]:
    """The links, and where they end."""
    shape = tuple(markup.whole(str(extent), what=f"{source.path}: extent") for extent in extents)
    length = payload_bytes(shape, 3, "float32")
    if offset + length > source.size:
        raise source.too_short(f"{offset + length} bytes")
    return read_links(source, offset, shape=shape, dtype=np.dtype(f"{order}c8"), colours=3, seen=seen), offset + length


def _details(order: str, version: int) -> dict[str, str]:
    written = "5" if version == 5 else "1 to 4"
    return {"byte order": "big" if order == ">" else "little", "version": written}


def spell(links: Links, *, provenance: Provenance = NOTHING_KNOWN, byte_order: str = "little") -> bytes:
    """The bytes of a MILC file; the format has single precision only, and of the provenance only the date.

    Raises:
        UnsupportedError: Not SU(3) in four dimensions.
    """
    require_group(links, format="milc")
    order = {"little": "<", "big": ">"}[byte_order]
    payload = spell_links(links, np.dtype(f"{order}c8"))
    sums = MILCChecksum(order)
    sums.add(payload)
    stamp = (held(provenance, "milc").created or UNKNOWN).encode("ascii")
    values = (int(value, 16) for value in sums.values)
    return struct.pack(f"{order}{_HEADER}", NUMBER, *links.shape[3:], stamp, 0, *values) + payload
