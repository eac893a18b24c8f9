"""Conversion between the bytes of a file and links in the order of this package, one piece at a time.

Most formats agree on the order of numbers: t slowest, then z, y, x; at each site the directions x, y, z, t; then row,
column, real and imaginary part. Files are read in pieces of a few hundred kilobytes, so that reading needs little
memory beside the links.
"""

import gzip
import math
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from latflow.errors import MissingInputError, StorageError
from latflow.store.gauge_files.checks import WHOLE, FileCheck, contradiction
from latflow.store.gauge_files.measure import Links, last_row
from latflow.store.gauge_files.refusals import LengthError, UnsupportedError
from latflow.store.records import ChecksumError, FormatError

_GZIP = b"\x1f\x8b"
_GROWTH = 64  # links hardly shrink, text by half; anything that grows more is no measured field
_PIECE = 1 << 20
_NO_FOLDER = "name one file; `latflow measure` and `latflow convert` take folders"


class Source:
    """A file open for reading at any place; `size` is its real length, unpacked where gzip has packed it.

    Raises:
        MissingInputError: On entering: there is no such file.
        FormatError: On entering: not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.size = 0
        self.compressed = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Source":
        try:
            # a named pipe without a writer would otherwise block for ever
            self._file = open(self.path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
            status = os.fstat(self._file.fileno())
        except FileNotFoundError as error:
            raise MissingInputError(f"{self.path}: no such file") from error
        except IsADirectoryError as error:
            raise FormatError(f"{self.path}: not a regular file", hint=_NO_FOLDER) from error
        except OSError as error:
            raise StorageError(f"{self.path}: cannot read", value=error.strerror or str(error)) from error
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise FormatError(f"{self.path}: not a regular file", hint=_NO_FOLDER)
        self.size = status.st_size
        if self.read_up_to(0, len(_GZIP)) == _GZIP:
            self._inflate()
        return self

    def _inflate(self) -> None:
        """Read from an unpacked copy instead, a file without a name that ends with this one."""
        packed, unpacked = self._file, tempfile.TemporaryFile()  # noqa: SIM115  (closed on leaving)
        if packed is None:
            return
        packed.seek(0)
        with packed:
            try:
                _unpack(packed, unpacked, limit=_GROWTH * self.size + _PIECE, what=str(self.path))
            except BaseException:
                unpacked.close()
                raise
        self._file, self.size, self.compressed = unpacked, unpacked.tell(), True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            LengthError: The file ends before.
        """
        if offset + length > self.size:
            raise self.too_short(f"{offset + length} bytes")
        data = self.read_up_to(offset, length)
        if len(data) != length:
            raise self.too_short(f"{offset + length} bytes")
        return data

    def read_up_to(self, offset: int, length: int) -> bytes:
        """So many bytes, or fewer at the end of the file."""
        if self._file is None:
            raise StorageError(f"{self.path}: not open")
        try:
            self._file.seek(offset)
            return self._file.read(min(length, max(0, self.size - offset)))
        except OSError as error:
            raise StorageError(f"{self.path}: cannot read", value=error.strerror or str(error)) from error

    def too_short(self, declared: str) -> LengthError:
        """The error for a file whose declared sizes do not fit its length."""
        return LengthError(
            f"{self.path}: has {self.size} bytes",
            allowed=declared,
            hint="the file is truncated, damaged, or not what it says",
        )

    def ends_at(self, size: int) -> list[FileCheck]:
        """A failed check if there are more bytes than the header implies; fewer are refused on reading."""
        more = self.size - size
        words = f"{more} byte{'s' if more > 1 else ''} after the links"
        return (
            [contradiction("length of the file", words, allowed="nothing", refusal=LengthError, hint=WHOLE)]
            if more
            else []
        )

    def require_size(self, size: int) -> None:
        """Refuse a file of another length than its header implies."""
        if self.size != size:
            raise self.too_short(f"{size} bytes")


def _unpack(packed: IO[bytes], unpacked: IO[bytes], *, limit: int, what: str) -> None:
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as stream:
            while data := stream.read(_PIECE):
                unpacked.write(data)
                if unpacked.tell() > limit:
                    allowed = f"at most {_GROWTH} times its length"
                    raise UnsupportedError(f"{what}: gzip unpacks to more", allowed=allowed, hint="gunzip it first")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        hint = "the file is truncated or damaged"
        raise ChecksumError(f"{what}: not whole gzip", value=str(error), hint=hint) from error


def payload_bytes(shape: Sequence[int], colours: int, precision: str, *, rows: int | None = None) -> int:
    """Bytes of the links of a whole lattice, in exact integers."""
    number = {"float32": 4, "float64": 8}[precision]
    return math.prod(shape) * len(shape) * (rows or colours) * colours * 2 * number


def read_links(
    source: Source,
    offset: int,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype,
    colours: int,
    rows: int | None = None,
    seen: Callable[[bytes], None] = lambda data: None,
) -> Links:
    """Read links in the common order.

    Args:
        source: The file, whose length was compared with the declared sizes.
        offset: Where the links begin.
        shape: Extents, time last.
        dtype: Complex, in the byte order of the file.
        colours: N.
        rows: Rows stored of each matrix: N, or 2 of 3, 1 of 2; the last is then restored in double precision.
        seen: Called with every piece of the file in order, for checksums.
    """
    rows = rows or colours
    exact = dtype.newbyteorder("=") if rows == colours else np.dtype(np.complex128)
    d, outer = len(shape), shape[:1:-1]
    links = np.empty((d, colours, colours, *shape), exact)
    ordered = links.transpose(*range(d + 2, 2, -1), 0, 1, 2)  # a view in the order of the file
    inner = (*shape[1::-1], d, rows, colours)
    piece = math.prod(inner) * dtype.itemsize
    for index in np.ndindex(outer):
        data = source.read(offset, piece)
        seen(data)
        stored = np.frombuffer(data, dtype).reshape(inner)
        ordered[index][..., :rows, :] = stored
        if rows != colours:
            ordered[index][..., rows, :] = last_row(stored)
        offset += piece
    return links


def spell_links(links: Links, dtype: np.dtype, *, rows: int | None = None) -> bytes:
    """The bytes of links in the common order; the inverse of `read_links`."""
    d = len(links)
    ordered = links.transpose(*range(d + 2, 2, -1), 0, 1, 2)
    return np.ascontiguousarray(ordered[..., : rows or links.shape[1], :]).astype(dtype).tobytes()


def require_group(links: Links, *, format: str, colours: int | None = 3, dimension: int | None = 4) -> None:
    """Refuse what a format cannot hold.

    Raises:
        UnsupportedError: Another group or dimension.
    """
    n, d = links.shape[1], len(links)
    if (colours not in (None, n)) or (dimension not in (None, d)):
        group, space = f"SU({colours or 'N'})", f"{dimension or 'any'} dimensions"
        raise UnsupportedError(
            f"format {format}",
            value=f"SU({n}) in {d} dimensions",
            allowed=f"{group} in {space}",
            hint="the format scidac holds any SU(N) in any dimension",
        )
