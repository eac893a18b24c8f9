"""Studies as TOML text, plain or with every key explained."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from latflow.study.config.schema import Key, keys, toml_value

COMMENT_COLUMN = 44
"""Where the explanations start; keys that reach further push theirs to the right."""


def toml_text(data: Mapping[str, Any], model: type[BaseModel], *, commented: bool) -> str:
    """The TOML file of a validated study.

    Args:
        data: Plain data of a whole study, unset keys as ``None``.
        model: Model that describes the keys.
        commented: Explain each key, and show the unset ones as comments.
    """
    described = {(key.variant, key.path): key for key in keys(model)}
    return "\n".join(_section(data, described, path="", commented=commented)) + "\n"


def _section(
    data: Mapping[str, Any], described: Mapping[tuple[str, str], Key], *, path: str, commented: bool
) -> Iterator[str]:
    variant = data.get("kind", "")
    tables: dict[str, Mapping[str, Any]] = {}
    for name, value in data.items():
        full = f"{path}.{name}" if path else name
        if type(value) is dict:
            tables[full] = value
            continue
        key = described.get((variant, full)) or described["", full]
        if commented:
            yield _explained(key, value, idle=bool(key.needs) and data.get(key.needs) is None and value == key.default)
        elif value is not None:
            yield f"{name} = {toml_value(value)}"
    for full, table in tables.items():
        yield ""
        yield (
            f"{f'[{full}]':<{COMMENT_COLUMN}}# {described['', full].description.rstrip('.')}"
            if commented
            else f"[{full}]"
        )
        yield from _section(table, described, path=full, commented=commented)


def _explained(key: Key, value: Any, *, idle: bool) -> str:
    """A key with its meaning; one that says nothing in this study is a comment itself."""
    setting = f"# {key.name} =" if value is None else f"{'# ' if idle else ''}{key.name} = {toml_value(value)}"
    choice = f": {' | '.join(key.choices)}" if len(key.choices) > 1 and key.choices[0] not in key.description else ""
    return f"{setting:<{COMMENT_COLUMN - 1}} # {key.description}{choice}"
