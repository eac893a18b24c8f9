"""One immutable block of named arrays as an HDF5 file with a checksum.

The HDF5 image is built in memory, byte for byte the same for the same contents (no times, one fixed library format),
behind a 512-byte user block that holds its length and SHA-256: any HDF5 tool opens the file, and nothing here hands
HDF5 a byte that was not verified. Only plain contiguous numeric arrays are accepted, with declared sizes compared to
the file's before anything is allocated: no filters, links, external storage or objects.
"""

import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from latflow.store.atomic import read_bytes
from latflow.store.records import JSON, ChecksumError, FormatError, SchemaError, canonical

VERSION = 1
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = tuple(np.dtype(name) for name in ("bool", *_INTEGERS, "float32", "float64", "complex64", "complex128"))

_HEADER = 512  # the smallest user block HDF5 allows
_MAGIC = b"latflow block"
_LIBRARY = ("v110", "v110")
_ATTRIBUTES = "attributes"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_HDF5_FAILURES = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, OverflowError)


@dataclass(frozen=True)
class Block:
    """Contents of a block file.

    Attributes:
        arrays: The arrays asked for, by name.
        attributes: The JSON attributes they were written with.
    """

    arrays: dict[str, np.ndarray]
    attributes: dict[str, JSON]


def encode_block(
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, JSON],
    labels: Mapping[str, Mapping[str, str]] | None = None,
) -> bytes:
    """The file image of a block; equal contents give equal bytes.

    Args:
        arrays: Numeric arrays of any shape; names are Python identifiers.
        attributes: Anything JSON can say about them.
        labels: Attributes of the dataset of an array, by its name: for other readers, `decode_block` passes them over.

    Raises:
        FormatError: A name or a dtype that blocks do not hold.
    """
    text = canonical(dict(attributes))
    stored = {name: _storable(name, np.asarray(array)) for name, array in arrays.items()}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=_LIBRARY, userblock_size=_HEADER) as file:
        file.attrs[_ATTRIBUTES] = np.bytes_(text.encode("ascii"))
        for name in sorted(stored):
            dataset = file.create_dataset(name, data=stored[name], track_times=False)
            for key, text in ((labels or {}).get(name) or {}).items():
                spelt = text.encode()  # of fixed length: equal contents give equal bytes
                dataset.attrs.create(key, spelt, dtype=h5py.string_dtype("utf-8", len(spelt)))
    return frame(buffer.getbuffer()[_HEADER:])


def decode_block(path: Path, names: Iterable[str] | None = None) -> Block:
    """Read a block file.

    Args:
        path: The file.
        names: Arrays wanted; all by default.

    Raises:
        DataError: Damaged, truncated, foreign or newer file, or no array of that name.
    """
    return decode_bytes(read_bytes(path), names, what=str(path))


def decode_bytes(data: bytes, names: Iterable[str] | None = None, *, what: str) -> Block:
    """As `decode_block`, from the file's bytes; `what` names it in messages."""
    unframe(data, what=what)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            wanted = sorted(file) if names is None else list(names)
            _require_present(wanted, set(file), what=what)
            attributes = _read_attributes(file, len(data), what=what)
            return Block({name: _read_array(file, name, len(data), what=what) for name in wanted}, attributes)
    except _HDF5_FAILURES as error:
        raise FormatError(f"{what}: not a block", value=f"{type(error).__name__}: {error}") from error


def frame(image: bytes | memoryview) -> bytes:
    """Put the self-checking header before an HDF5 image made for a user block of that size."""
    return b"".join([_header(VERSION, image), image])


def unframe(data: bytes, *, what: str) -> None:
    """Check the header and the checksum of a block file.

    Raises:
        FormatError: Not a block of latflow.
        ChecksumError: A block with changed, lost or added bytes.
        SchemaError: A block of a newer format.
    """
    if not data.startswith(_MAGIC):
        found = "the file is empty" if not data else f"begins with {data[:8]!r}"
        raise FormatError(f"{what}: not a block of latflow", value=found)
    fields = data[:_HEADER].rstrip(b"\0").split(b"\n")
    image = memoryview(data)[_HEADER:]
    version = int(fields[1]) if len(fields) > 1 and re.fullmatch(rb"[1-9][0-9]{0,5}", fields[1]) else 0
    if data[:_HEADER] != _header(version, image):
        raise ChecksumError(f"{what}: the block does not match its checksum", hint="the file is damaged")
    if version > VERSION:
        raise SchemaError(
            f"{what}: written by a newer latflow",
            value=f"block {version}",
            allowed=f"up to {VERSION}",
            hint="update latflow",
        )


def _header(version: int, image: bytes | memoryview) -> bytes:
    """The user block; the checksum covers the version, too."""
    digest = hashlib.sha256(b"%d\n" % version)
    digest.update(image)
    fields = [_MAGIC, b"%d" % version, digest.hexdigest().encode("ascii"), b"%d" % len(image), b""]
    return b"\n".join(fields).ljust(_HEADER, b"\0")


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    """The array in little-endian C order, or a refusal."""
    if not _NAME.fullmatch(name):
        raise FormatError("array name in a block", value=repr(name), allowed="a Python identifier")
    if array.dtype.newbyteorder("=") not in DTYPES:
        allowed = ", ".join(dtype.name for dtype in DTYPES)
        raise FormatError(f"dtype of array {name!r} in a block", value=str(array.dtype), allowed=allowed)
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _require_present(wanted: list[str], present: set[str], *, what: str) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        has = ", ".join(sorted(present)) or "none"
        raise FormatError(f"{what}: no array of that name", value=", ".join(missing), allowed=has)


def _read_attributes(file: h5py.File, size: int, *, what: str) -> dict[str, JSON]:
    attribute = h5py.h5a.open(file.id, _ATTRIBUTES.encode("ascii"))
    if attribute.dtype.kind != "S" or attribute.shape != () or attribute.dtype.itemsize > size:
        raise FormatError(f"{what}: not a block", value=f"attributes of type {attribute.dtype}")
    text = bytes(np.asarray(file.attrs[_ATTRIBUTES]).item())
    value = json.loads(text)
    if type(value) is not dict:
        raise FormatError(f"{what}: not a block", value="attributes are not a table")
    return value


def _read_array(file: h5py.File, name: str, size: int, *, what: str) -> np.ndarray:
    """One dataset, after its declared type, layout and size were found plain and no larger than the file."""
    dataset = file[name] if type(file.get(name, getlink=True)) is h5py.HardLink else None
    if type(dataset) is not h5py.Dataset:
        raise FormatError(f"{what}: {name} is not a plain array")
    properties = dataset.id.get_create_plist()
    contiguous = properties.get_layout() == h5py.h5d.CONTIGUOUS
    if not contiguous or properties.get_external_count() or properties.get_nfilters():
        raise FormatError(f"{what}: {name} is stored in chunks, filtered or elsewhere", allowed="contiguous arrays")
    if dataset.dtype not in DTYPES:
        raise FormatError(f"{what}: {name} has type {dataset.dtype}")
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if stored != declared or (declared and dataset.id.get_offset() + declared > size):
        raise FormatError(f"{what}: {name} declares {declared} bytes", value=f"{stored} in a file of {size}")
    return np.asarray(dataset[()])
