"""ILDG and SciDAC files: LIME records with the links big-endian, XML about them, and the SciDAC checksum.

All eight records are written, in the order of QIO, which all known readers accept. Reading accepts files without the
logical file name, without the private records and, if the caller gives the shape, with nothing but the links; see
`latflow.store.gauge_files.ildg_records`.
"""

import time
from dataclasses import replace

import numpy as np

from latflow.store.gauge_files import lime, markup
from latflow.store.gauge_files.checksums import SciDACChecksum
from latflow.store.gauge_files.configuration import PRECISIONS, Configuration, examine
from latflow.store.gauge_files.hints import Hints
from latflow.store.gauge_files.ildg_records import DATA, Records
from latflow.store.gauge_files.layout import Source, read_links, require_group, spell_links
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, UNKNOWN, Provenance, as_text, held

_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_BITS = {"float32": "32", "float64": "64"}
_LETTERS = {"float32": "F", "float64": "D"}


def read(source: Source, hints: Hints, *, which: int | None = None) -> Configuration:
    """Read an ILDG or SciDAC file.

    Args:
        source: The file.
        hints: Facts given by the caller.
        which: Number of the configuration, from 0, in a file that holds several.

    Raises:
        DataError: Not one, or with sizes that contradict each other or the file's length.
    """
    found = Records(source, hints, which=which)
    layout = found.layout()
    shape, colours, precision = layout
    dtype = np.dtype(f">{PRECISIONS[precision]}")
    sums = SciDACChecksum(len(shape) * colours * colours * dtype.itemsize)
    links = read_links(source, found.data.offset, shape=shape, dtype=dtype, colours=colours, seen=sums.add)
    checks = [*found.structure(), *found.checksums(sums)]
    declarations = found.declarations(precision)
    provenance = found.provenance()
    made = examine(
        links,
        format=DATA[found.data.type],
        precision=precision,
        details=found.details(),
        checks=[*checks, *found.checks],
        declarations=declarations,
        provenance=provenance,
    )
    return replace(made, checks=(*made.checks, *found.notes(made.stated["plaquette"])))


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


def _file_xml(shape: tuple[int, ...]) -> bytes:
    dims = " ".join(map(str, shape))
    return (
        f"{_XML}<scidacFile><version>1.1</version><spacetime>{len(shape)}</spacetime><dims>{dims} </dims>"
        "<volfmt>0</volfmt></scidacFile>"
    ).encode()


def _record_xml(measured: Configuration, information: str) -> tuple[bytes, bytes]:
    """The private record and the user record."""
    letter = _LETTERS[measured.precision]
    n, d = measured.colours, len(measured.shape)
    date = time.strftime("%a %b %d %H:%M:%S %Y UTC", time.gmtime())
    size = n * n * np.dtype(PRECISIONS[measured.precision]).itemsize
    private = (
        f"{_XML}<scidacRecord><version>1.1</version><date>{date}</date><recordtype>0</recordtype>"
        f"<datatype>QDP_{letter}{n}_ColorMatrix</datatype><precision>{letter}</precision><colors>{n}</colors>"
        f"<spins>1</spins><typesize>{size}</typesize><datacount>{d}</datacount></scidacRecord>"
    )
    plaquette = f"<plaq>{measured.stated['plaquette']:.12g}</plaq>" if d > 1 else ""
    user = (
        f"{_XML}<usqcdInfo><version>1.0</version>{plaquette}"
        f"<linktr>{measured.stated['link trace']:.12g}</linktr><info>{markup.escape(information)}</info></usqcdInfo>"
    )
    return private.encode(), user.encode()


def _ildg_xml(measured: Configuration) -> bytes:
    extents = "".join(f"<l{axis}>{n}</l{axis}>" for axis, n in zip("xyzt", measured.shape, strict=True))
    return (
        f'{_XML}<ildgFormat xmlns="http://www.lqcd.org/ildg" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.lqcd.org/ildg filefmt.xsd"><version>1.0</version>'
        f"<field>su{measured.colours}gauge</field><precision>{_BITS[measured.precision]}</precision>{extents}</ildgFormat>"
    ).encode()
