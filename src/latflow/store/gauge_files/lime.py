"""LIME: a file of typed records, each behind a header of 144 bytes.

Header ``>IHHQ128s``: magic, version 1, flags (bit 15 message begins, bit 14 message ends), length, type; then the
payload and NULs up to a multiple of 8.
"""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from latflow.store.gauge_files.layout import Source
from latflow.store.records import FormatError

MAGIC = b"\x45\x67\x89\xab"

_HEADER = struct.Struct(">IHHQ128s")
_BEGIN, _END = 1 << 15, 1 << 14
_MOST_RECORDS = 10_000
_LARGEST_TAIL = 1 << 20


@dataclass(frozen=True)
class Record:
    """Where a record's payload is.

    Attributes:
        type: Its name, such as ``ildg-binary-data``.
        offset: First byte of the payload.
        length: Bytes of the payload.
        begins: First of a message.
        ends: Last of a message.
    """

    type: str
    offset: int
    length: int
    begins: bool
    ends: bool


def scan(source: Source) -> list[Record]:
    """All records; no payload is read.

    Raises:
        FormatError: A header that is none.
        LengthError: A record that ends after the file.
    """
    records, problem = survey(source)
    if problem is not None:
        raise problem
    return records


def survey(source: Source) -> tuple[list[Record], FormatError | None]:
    """All records, and what ends them early: a header that is none, or a record that ends after the file.

    No payload is read. What follows the last whole record may be of no importance; the caller decides.
    """
    records, place = [], 0
    while place < source.size:
        try:
            record = _header(source, place, len(records))
        except FormatError as error:
            return records, error
        records.append(record)
        place = record.offset + record.length + -record.length % 8
    missing = place - source.size
    return records, source.too_short(f"{place} bytes") if missing > 0 else None


def messages_begin_and_end(records: Sequence[Record]) -> str:
    """How many records begin and end a message, in words."""
    begin, end = sum(record.begins for record in records), sum(record.ends for record in records)
    return f"of {len(records)} records {begin} begin and {end} end a message"


def _header(source: Source, place: int, number: int) -> Record:
    """The record at a place.

    Raises:
        FormatError: No record, or one too many.
        LengthError: A payload that ends after the file; missing padding at its very end is no error here.
    """
    if number == _MOST_RECORDS:
        raise FormatError(f"{source.path}: LIME records", value=f"more than {_MOST_RECORDS}")
    data = source.read_up_to(place, _HEADER.size)
    rest = source.size - place
    if not data.strip(b"\0"):
        zeros = rest < _LARGEST_TAIL and not source.read(place, rest).strip(b"\0")
        if zeros:
            raise FormatError(f"{source.path}: after the last record", value=f"{rest} bytes of zero", allowed="nothing")
    magic, version, flags, length, name = _HEADER.unpack(source.read(place, _HEADER.size))
    if magic.to_bytes(4, "big") != MAGIC or version != 1:
        raise FormatError(
            f"{source.path}: no LIME record at byte {place}", hint="the file is truncated, damaged or foreign"
        )
    place += _HEADER.size
    if place + length > source.size:
        raise source.too_short(f"{place + length + -length % 8} bytes")
    kind = name.partition(b"\0")[0].decode("ascii", "backslashreplace")
    return Record(kind, place, length, bool(flags & _BEGIN), bool(flags & _END))


def messages_are_whole(records: Sequence[Record]) -> bool:
    """Whether the first record begins a message, the last ends one, and each begins where the one before ended."""
    follows = all(before.ends == after.begins for before, after in itertools.pairwise(records))
    return bool(records) and records[0].begins and records[-1].ends and follows


def spell(messages: Sequence[Sequence[tuple[str, bytes]]]) -> bytes:
    """The bytes of a file of messages, each a sequence of records."""
    pieces: list[bytes] = []
    for message in messages:
        for i, (kind, payload) in enumerate(message):
            flags = (_BEGIN if i == 0 else 0) | (_END if i == len(message) - 1 else 0)
            pieces.append(_HEADER.pack(int.from_bytes(MAGIC, "big"), 1, flags, len(payload), kind.encode("ascii")))
            pieces += [payload, bytes(-len(payload) % 8)]
    return b"".join(pieces)
