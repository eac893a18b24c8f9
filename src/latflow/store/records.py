"""JSON records that carry their own checksum.

A sealed record is JSON in one canonical form with the SHA-256 of everything else under the key ``check``. Reading
writes it again and compares bytes, so that any changed, lost or added character is noticed. Manifests, ledger lines
and model headers are sealed records. The exceptions of all file readers are here, too.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from latflow.errors import DataError

JSON: TypeAlias = Any
"""Anything `json` can write: dict, list, str, int, float, bool, None; numpy numbers and arrays become plain ones."""

_CHECK = "check"


class FormatError(DataError):
    """A file is not of the expected format: foreign, truncated, or with impossible contents."""


class ChecksumError(DataError):
    """A file's bytes are not those that were written."""


class SchemaError(DataError):
    """A file is whole but written in a format this version does not know."""


def canonical(value: JSON, *, indent: int | None = None) -> str:
    """The canonical form of a JSON value: keys sorted, ASCII, shortest floats.

    Args:
        value: What to write. NaN and infinities have no JSON and are refused.
        indent: Spaces per level; None gives one line without blanks.

    Raises:
        FormatError: `value` has no JSON form.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        plain = json.loads(json.dumps(value, allow_nan=False, default=_plain))  # tuples → lists, keys → strings
        return json.dumps(plain, allow_nan=False, sort_keys=True, indent=indent, separators=separators)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(
            "cannot be written as JSON", value=str(error), allowed="finite numbers, text, lists"
        ) from error


def seal(record: Mapping[str, JSON], *, indent: int | None = None) -> bytes:
    """Write `record` with its checksum; no final newline.

    Args:
        record: The contents, without the key ``check``.
        indent: As in `canonical`; part of the canonical form.
    """
    check = hashlib.sha256(canonical(record).encode("ascii")).hexdigest()
    return canonical({**record, _CHECK: check}, indent=indent).encode("ascii")


def unseal(data: bytes, *, what: str, indent: int | None = None) -> dict[str, JSON]:
    """Read a sealed record; the inverse of `seal` with the same `indent`.

    Args:
        data: The record's bytes, without a final newline.
        what: Where it stands, for messages: a path, and a line if there are several.
        indent: As it was written.

    Raises:
        FormatError: Not a sealed record at all.
        ChecksumError: A sealed record with changed bytes.
    """
    record = parse(data, what=what)
    check = record.pop(_CHECK, None)
    if check is None:
        raise FormatError(f"{what}: not a record of latflow", value="it has no checksum")
    if not _is_seal_of(data, record, indent=indent):
        raise ChecksumError(f"{what}: the record does not match its checksum", hint="the file is damaged")
    return record


def parse(data: bytes, *, what: str) -> dict[str, JSON]:
    """Read one JSON object; every way of failing becomes a `FormatError` naming `what`."""
    try:
        record = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "the file is empty" if not data else f"{error}"
        raise FormatError(
            f"{what}: not a JSON record", value=reason, hint="the file is truncated, damaged or foreign"
        ) from error
    if type(record) is not dict:
        raise FormatError(f"{what}: not a JSON record", value=f"a bare {type(record).__name__}")
    return record


def require_schema(record: Mapping[str, JSON], *, newest: int, what: str) -> None:
    """Refuse records of a later schema than this version can read.

    Raises:
        SchemaError: Written by a newer version.
        FormatError: No schema number at all.
    """
    schema = record.get("schema")
    if type(schema) is not int or schema < 1:
        raise FormatError(f"{what}: no schema number", value=f"schema = {schema!r}", allowed="a positive integer")
    if schema > newest:
        raise SchemaError(
            f"{what}: written by a newer latflow",
            value=f"schema {schema}",
            allowed=f"up to {newest}",
            hint="update latflow",
        )


def resolve_inside(directory: Path, name: str) -> Path:
    """The path of a file named by another file, which must lie in `directory`.

    Raises:
        FormatError: The name leaves the directory, by ``..``, an absolute path or a symbolic link.
    """
    root = directory.resolve()
    plain = name not in {"", ".", ".."} and "\0" not in name and "/" not in name and "\\" not in name
    if not plain or (root / name).resolve().parent != root:
        raise FormatError(f"{directory}: refuses a name that leaves it", value=repr(name), allowed="a plain file name")
    return directory / name


def _plain(value: object) -> JSON:
    """Numpy numbers and arrays as Python ones."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_seal_of(data: bytes, record: Mapping[str, JSON], *, indent: int | None) -> bool:
    try:
        return seal(record, indent=indent) == data
    except FormatError:  # 1e999 is read as an infinity, which has no spelling
        return False


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are not JSON, though Python reads them."""
    raise ValueError(f"{name} is not a JSON number")
