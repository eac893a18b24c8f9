"""MILC version 5: 96 bytes of header and SU(3) links in single precision, all in the byte order of the writer.

Header: int32 20103, int32 nx, ny, nz, nt, 64 characters of time stamp, int32 order, uint32 sum29, uint32 sum31.
"""

import struct

import numpy as np

from latflow.store.gauge_files import markup
from latflow.store.gauge_files.checksums import MILCChecksum
from latflow.store.gauge_files.configuration import Configuration, checksum, examine
from latflow.store.gauge_files.layout import Source, payload_bytes, read_links, require_group, spell_links
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, UNKNOWN, Provenance, held, known
from latflow.store.gauge_files.refusals import UnsupportedError
from latflow.store.records import FormatError

NUMBER = 20103
MAGICS = {struct.pack(f"{order}i", NUMBER): order for order in "<>"}

_HEADER = "5i64si2I"
_SIZE = struct.calcsize(f"<{_HEADER}")


def read(source: Source) -> Configuration:
    """Read a MILC file.

    Raises:
        DataError: Not one, or with sizes that contradict the file's length.
    """
    data = source.read(0, _SIZE)
    if data[:4] not in MAGICS:
        raise FormatError(f"{source.path}: not a MILC file", value=f"begins with {data[:4]!r}", allowed=str(NUMBER))
    order = MAGICS[data[:4]]
    _, *extents, stamp, site_order, sum29, sum31 = struct.unpack(f"{order}{_HEADER}", data)
    if site_order != 0:
        raise UnsupportedError(f"{source.path}: order of sites", value=str(site_order), allowed="0, lexicographic")
    shape = tuple(markup.whole(str(extent), what=f"{source.path}: extent") for extent in extents)
    source.require_size(_SIZE + payload_bytes(shape, 3, "float32"))
    sums = MILCChecksum(order)
    links = read_links(source, _SIZE, shape=shape, dtype=np.dtype(f"{order}c8"), colours=3, seen=sums.add)
    checks = [
        checksum(name, stored=f"{stored:08x}", computed=computed)
        for name, stored, computed in zip(("sum29", "sum31"), (sum29, sum31), sums.values, strict=True)
    ]
    return examine(
        links,
        format="milc",
        precision="float32",
        details={"byte order": "big" if order == ">" else "little"},
        checks=checks,
        provenance=known(created=stamp.partition(b"\0")[0].decode("latin-1")),
    )


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
