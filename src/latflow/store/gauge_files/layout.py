"""Conversion between the bytes of a file and links in the order of this package, one piece at a time.

Most formats agree on the order of numbers: t slowest, then z, y, x; at each site the directions x, y, z, t; then row,
column, real and imaginary part. Files are read in pieces of a few hundred kilobytes, so that reading needs little
memory beside the links.
"""

import math
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from latflow.errors import MissingInputError, StorageError
from latflow.store.gauge_files.measure import Links, third_row
from latflow.store.gauge_files.refusals import LengthError, UnsupportedError
from latflow.store.records import FormatError


class Source:
    """A file open for reading at any place; `size` is its real length.

    Raises:
        MissingInputError: On entering: there is no such file.
        FormatError: On entering: not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.size = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "Source":
        try:
            # a named pipe without a writer would otherwise block for ever
            self._file = open(self.path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
            status = os.fstat(self._file.fileno())
        except FileNotFoundError as error:
            raise MissingInputError(f"{self.path}: no such file") from error
        except IsADirectoryError as error:
            raise FormatError(
                f"{self.path}: not a regular file", hint="name one file; `latflow convert` takes folders"
            ) from error
        except OSError as error:
            raise StorageError(f"{self.path}: cannot read", value=error.strerror or str(error)) from error
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise FormatError(f"{self.path}: not a regular file", hint="name one file; `latflow convert` takes folders")
        self.size = status.st_size
        return self

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

    def require_size(self, size: int) -> None:
        """Refuse a file of another length than its header implies."""
        if self.size != size:
            raise self.too_short(f"{size} bytes")


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
        rows: Rows stored of each matrix: N, or 2 of 3; the third is then restored in double precision.
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
            ordered[index][..., rows, :] = third_row(stored)
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
