"""Standard output: text for people, or one JSON document for machines."""

import io
import json
import math
import sys
from typing import Any


def emit(text: str) -> None:
    """Write text to standard output now, ending in a line break."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def emit_json(data: Any) -> None:
    """Write one JSON document to standard output; numbers that JSON cannot hold are written as text."""
    emit(json.dumps(_portable(data), indent=2, ensure_ascii=False))


def table_lines(rows: list[list[str]]) -> list[str]:
    """Rows of equal length as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def words(value: Any) -> str:
    """A value as a cell of a table."""
    if type(value) is float:
        return f"{value:.3g}"
    return ", ".join(str(entry) for entry in value) if type(value) is list else str(value)


def use_any_terminal() -> None:
    """Show characters that the encoding of the terminal lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if type(stream) is io.TextIOWrapper:
            stream.reconfigure(errors="backslashreplace")


def _portable(data: Any) -> Any:
    if type(data) is dict:
        return {str(name): _portable(value) for name, value in data.items()}
    if type(data) in (list, tuple):
        return [_portable(value) for value in data]
    return str(data) if type(data) is float and not math.isfinite(data) else data
