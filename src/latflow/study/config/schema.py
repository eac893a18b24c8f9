"""The table of every key a study may contain, read off the pydantic models.

One flat list of `Key`s is used by the parser of command-line overrides, the messages about wrong values, the comments
in preset files and the reference in the documentation. It is derived from the JSON schema of the models, so a key added
to a model appears everywhere by itself.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

REQUIRED = object()
"""Default of a key that has none."""

_Node = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a study file.

    Args:
        path: Dotted path, ``action.coupling``.
        allowed: What a value must be, in words.
        default: The default, or `REQUIRED`.
        description: One line on what it means.
        variant: The ``kind`` of the section under which the key exists; empty if always.
        shape: ``table``, ``list``, ``text`` or ``scalar``.
        choices: The words that are accepted, if the key or its entries are enumerations.
        needs: Another key of its section without which it says nothing; empty if it stands for itself.
        default_words: What stands for the default where it follows from other keys.
    """

    path: str
    allowed: str
    default: Any
    description: str
    variant: str
    shape: str
    choices: tuple[str, ...]
    needs: str = ""
    default_words: str = ""

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rpartition(".")[2]

    @property
    def section(self) -> str:
        """The path without its last component; empty at top level."""
        return self.path.rpartition(".")[0]


@functools.cache
def keys(model: type[BaseModel]) -> tuple[Key, ...]:
    """Every key of `model`, in the order of the file; sections stand before their contents."""
    schema = model.model_json_schema()
    return tuple(_walk(schema, schema.get("$defs", {}), section="", variant=""))


def key_table(model: type[BaseModel]) -> str:
    """A Markdown table of all keys: name, allowed values, default, meaning."""
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for key in keys(model):
        if key.shape != "table":
            where = f" ({key.variant})" if key.variant else ""
            cells = [f"`{key.path}`{where}", key.allowed, _default_text(key), key.description]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default_text(key: Key) -> str:
    if key.default is REQUIRED:
        return "required"
    if key.default_words:
        return key.default_words
    return "unset" if key.default is None else f"`{toml_value(key.default)}`"


def toml_value(value: Any) -> str:
    """A TOML literal of a scalar or a list of scalars."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _walk(node: _Node, defs: _Node, *, section: str, variant: str) -> Iterator[Key]:
    required = node.get("required", [])
    for name, field in node["properties"].items():
        path = f"{section}.{name}" if section else name
        target = _resolve(field, defs)
        default = REQUIRED if name in required else field.get("default")
        yield Key(
            path=path,
            allowed=_allowed(field, defs),
            default=default,
            description=field.get("description", target.get("description", "")).partition("\n")[0],
            variant=variant,
            shape=_shape(target),
            choices=_choices(target),
            needs=field.get("needs", ""),
            default_words=field.get("default_words", ""),
        )
        yield from _contents(target, defs, path=path, variant=variant)


def _contents(target: _Node, defs: _Node, *, path: str, variant: str) -> Iterator[Key]:
    if "properties" in target:
        yield from _walk(target, defs, section=path, variant=variant)
    for tag, reference in target.get("discriminator", {}).get("mapping", {}).items():
        yield from _walk(_resolve({"$ref": reference}, defs), defs, section=path, variant=tag)


def _resolve(node: _Node, defs: _Node) -> _Node:
    """Follow a reference, and look through "this or nothing"."""
    present = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if len(present) == 1:
        return _resolve(present[0], defs)
    return defs[node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _shape(node: _Node) -> str:
    if "properties" in node or "discriminator" in node:
        return "table"
    if node.get("type") == "array":
        return "list"
    return "text" if node.get("type") == "string" else "scalar"


def _choices(node: _Node) -> tuple[str, ...]:
    if "discriminator" in node:
        return tuple(node["discriminator"]["mapping"])
    if "items" in node:
        return _choices(node["items"])
    own = (node["const"],) if "const" in node else tuple(node.get("enum", ()))
    return own + tuple(word for option in node.get("anyOf", []) for word in _choices(option))


def _allowed(field: _Node, defs: _Node) -> str:
    if "allowed" in field:
        return field["allowed"]
    node = _resolve(field, defs)
    if "anyOf" in node:
        return " or ".join(_allowed(option, defs) for option in node["anyOf"])
    if _shape(node) == "table":
        return "a table"
    if _shape(node) == "list":
        return f"list of {_entries(node)}, each {_allowed(node['items'], defs)}"
    if _choices(node):
        return " or ".join(f'"{word}"' for word in _choices(node))
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
    return f"{words[node['type']]}{_bounds(node)}"


def _entries(node: _Node) -> str:
    least, most = node.get("minItems", 0), node.get("maxItems")
    return "entries" if most is None else f"{most} entries" if least == most else f"{least} to {most} entries"


def _bounds(node: _Node) -> str:
    symbols = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    parts = [f"{symbol} {_compact(node[name])}" for name, symbol in symbols.items() if name in node]
    return " " + " and ".join(parts) if parts else ""


def _compact(number: float) -> str:
    short = f"{number:g}".replace("e+0", "e")
    return short if float(short) == number else str(number)
