"""Reading and writing ``results.json``: a sealed record, checked byte by byte and then field by field."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from latflow.results.records import SCHEMA, Results
from latflow.results.version1 import upgraded
from latflow.results.vocabulary import Vocabulary
from latflow.store.atomic import read_bytes, write_bytes
from latflow.store.records import FormatError, require_schema, seal, unseal

SCHEMA_FILE = Path(__file__).parents[1] / "results.schema.json"
"""The JSON Schema of the file, shipped with the package."""

_INDENT = 1


def read(path: Path, vocabulary: Vocabulary | None = None) -> Results:
    """The content of a ``results.json`` that is as it was written; a file of version 1 is converted.

    Args:
        path: The file. The theory of a file of version 1 is that of the ``study.toml`` beside it.
        vocabulary: Words and theories for files of version 1, which hold none; by default names are written spaced.

    Raises:
        DataError: If it is damaged, foreign, without a checksum, or written by a newer latflow.
        StorageError: If it cannot be read.
    """
    record = unseal(read_bytes(path).removesuffix(b"\n"), what=str(path), indent=_INDENT)
    require_schema(record, newest=SCHEMA, what=str(path))
    if record["schema"] < SCHEMA:
        record = _converted(record, path, vocabulary or Vocabulary())
    try:
        return Results.model_validate_json(json.dumps(record))
    except ValidationError as error:
        raise _refusal(path, error) from error


def write(results: Results, path: Path) -> None:
    """Write results with their checksum, whole or not at all."""
    write_bytes(path, seal(results.plain(), indent=_INDENT) + b"\n")


def schema_text() -> str:
    """The JSON Schema of the file, as it is shipped; the checksum beside the fields is that of the file."""
    schema = Results.model_json_schema(mode="serialization")
    check = {"description": "SHA-256 of everything else", "title": "Check", "type": "string"}
    schema["properties"]["check"] = check
    schema["required"].append("check")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _converted(record: Mapping[str, Any], path: Path, vocabulary: Vocabulary) -> dict[str, Any]:
    try:
        return upgraded(record, vocabulary, _study(path.with_name("study.toml")))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{path}: not results of version 1"
        raise FormatError(what, value=str(error), hint="the file is foreign") from error


def _study(path: Path) -> Mapping[str, Any] | None:
    """The study beside the results as plain data; None without a readable one."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _refusal(path: Path, error: ValidationError) -> FormatError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    return FormatError(f"{path}, {place}", value=first["msg"], hint="the file is foreign or of another version")
