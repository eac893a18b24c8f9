"""From a file and command-line options to plain data, and from pydantic's errors to sentences.

Every mistake in a file or an option becomes a `Complaint`; checking does not stop at the first, so one start shows all
of them.
"""

import dataclasses
import difflib
import os
import re
import stat
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from latflow.errors import ConfigError, DataError, MissingInputError, StorageError
from latflow.flows.tables import USUAL
from latflow.numerals import whole
from latflow.study.config.rules import Complaint, Lookup, broken_rules
from latflow.study.config.schema import REQUIRED, Key, keys

MAX_BYTES = 100_000
"""Size beyond which a file is no study: the largest ones are a twentieth of it."""

MAX_DOTS = 50
"""Dots in one line. The parser's time grows with their square, up to minutes in a file of this size."""

MAX_COMPLAINTS = 30
"""Wrong values that are listed one by one; the rest is counted."""


def read_table(path: Path) -> dict[str, Any]:
    """The TOML table in a file.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If it is larger than `MAX_BYTES` or not UTF-8 text.
        StorageError: If it cannot be read.
        ConfigError: If it is not TOML, with line and column, or empty.
    """
    text = _read_text(path)
    if any(line.partition("#")[0].count(".") > MAX_DOTS for line in text.splitlines()):
        raise ConfigError([f"{path}: nested too deeply; no study needs this"])
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ConfigError([f"{path}: nested too deeply; no study needs this"]) from None
    except ValueError as error:  # TOMLDecodeError, and int() refusing thousands of digits
        raise ConfigError([_syntax(path, error)]) from None
    if not table:
        raise ConfigError([f"{path}: empty; allowed: a study; `latflow new` prints complete ones"])
    return table


def _read_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MissingInputError(f"{path}", value="not a file", allowed="a study file, *.toml", hint=_nearby(path))
        if status.st_size > MAX_BYTES:
            raise DataError(f"{path}", value=f"{status.st_size} bytes", allowed=f"at most {MAX_BYTES} bytes")
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(f"{path}", value="no such file", hint=_nearby(path)) from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not UTF-8"
        raise DataError(f"{path}", value=where, allowed="UTF-8 text", hint="save the file as UTF-8") from None
    except OSError as error:
        raise StorageError(
            f"{path}", value=os.strerror(error.errno or 0), hint="check its name and permissions"
        ) from None


def _nearby(path: Path) -> str:
    """A hint at the study that was probably meant: a similar name in the same folder, or in studies/."""
    folders = [path if path.is_dir() else path.parent, Path("studies")]
    found = {entry.name: entry for folder in reversed(folders) for entry in folder.glob("*.toml")}
    close = _closest(path.name, tuple(found)) or _closest(f"{path.name}.toml", tuple(found))
    return f"did you mean {found[close]}?" if close else "`latflow new` prints study files"


def _syntax(path: Path, error: ValueError) -> str:
    message, _, place = str(error).partition(" (at ")
    position = re.match(r"line (\d+), column (\d+)", place)
    where = f"{path}:{position[1]}:{position[2]}" if position else f"{path}"
    ending = ", at the end of the file" if "end of document" in place else ""
    return f"{where}: not TOML: {shown_key(message.partition(';')[0])}{ending}"


def merge(
    table: Mapping[str, Any], overrides: Mapping[str, str], model: type[BaseModel]
) -> tuple[dict[str, Any], list[Complaint]]:
    """A copy of `table` with the overrides put in, and complaints about those that name no key."""
    data = _copied(table)
    unknown: list[str] = []
    for path, text in overrides.items():
        targets = [key for key in keys(model) if key.path == path]
        if not targets:
            unknown.append(path)
        else:
            _put(data, path.split("."), parsed(text, targets))
    return data, [_unknown(path, _inhabitants(path, data, model), everywhere=keys(model)) for path in unknown]


def _copied(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if type(value) is dict else value for name, value in table.items()}


def _put(data: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        inner = data.get(part)
        data[part] = inner if type(inner) is dict else {}
        data = data[part]
    data[parts[-1]] = value


def parsed(text: str, targets: Collection[Key]) -> Any:
    """The value that `text` on a command line means for a key.

    Args:
        text: ``6.5``, ``8 8``, ``[8, 8]``, ``cosine``, …
        targets: The key, once for each kind of its section.
    """
    shapes = {key.shape for key in targets}
    if shapes == {"text"}:
        return text
    if shapes == {"list"}:
        literal = _literal(text)
        if type(literal) is list or text.lstrip().startswith("["):
            return literal
        return [_literal(word) for word in re.split(r"[\s,]+", text.strip())]
    return _literal(text)


def _literal(text: str) -> Any:
    """The value of a word: as in TOML, but a whole number may be written as ``1e4``."""
    if (number := whole(text)) is not None:
        return number
    try:
        # One line only: a line break would let a value smuggle in further keys.
        return tomllib.loads(f"value = {' '.join(text.split())}")["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)  # TOML refuses .5 and 1.
    except ValueError:
        return text


def lookup(data: Mapping[str, Any], model: type[BaseModel], wrong: Collection[str] = ()) -> Lookup:
    """Values of `data` by dotted key, defaults where the file is silent, ``None`` for wrong or unset ones.

    Args:
        data: Plain data of a study, possibly incomplete.
        model: Model that describes the keys.
        wrong: Keys whose values cannot be used.
    """

    def value(path: str) -> Any:
        parts = path.split(".")
        above = {".".join(parts[: i + 1]) for i in range(len(parts))}
        above |= {f"{prefix}.kind" for prefix in above if prefix != path}
        if any(key.partition("[")[0] in above for key in wrong):
            return None
        found: Any = data
        for part in parts:
            found = found.get(part, REQUIRED) if type(found) is dict else REQUIRED
        if found is not REQUIRED:
            return found
        section = data.get(parts[0])
        kind = section.get("kind", USUAL) if type(section) is dict else USUAL
        same = [key for key in keys(model) if key.path == path]
        # tables of two kinds may have keys of one name and other defaults
        default = next((key.default for key in sorted(same, key=lambda key: key.variant != kind)), REQUIRED)
        return None if default is REQUIRED else default

    return value


def complaints(
    details: Iterable[Mapping[str, Any]], data: Mapping[str, Any], model: type[BaseModel]
) -> list[Complaint]:
    """All that is wrong with `data`: pydantic's complaints in our words, then the broken rules.

    Args:
        details: ``ValidationError.errors()``; empty if every value is right by itself.
        data: What was validated.
        model: Model that describes the keys.
    """
    found = list(details)
    told = {complaint.key: complaint for complaint in (_told(d, data, model) for d in found[MAX_COMPLAINTS - 1 :: -1])}
    order = [key.path for key in keys(model)]
    # pydantic reports a list without a valid entry as too short, too; the complaints about its entries suffice.
    entries = {key.partition("[")[0] for key in told if "[" in key}
    by_file = sorted((told[key] for key in told.keys() - entries), key=lambda c: (_position(c.key, order), c.key))
    rest = len(found) - MAX_COMPLAINTS
    more = [Complaint("and more", f"{rest} further problems")] if rest > 0 else []
    return by_file + more + broken_rules(lookup(data, model, wrong=tuple(told)))


def _position(path: str, order: Sequence[str]) -> int:
    plain = path.partition("[")[0]
    return order.index(plain) if plain in order else -1


def _told(detail: Mapping[str, Any], data: Mapping[str, Any], model: type[BaseModel]) -> Complaint:
    kind = detail["type"]
    path, targets = _locate(detail["loc"], data, model, unknown=kind == "extra_forbidden")
    if kind == "extra_forbidden":
        return _unknown(path, _inhabitants(path, data, model), everywhere=keys(model))
    if kind.startswith("union_tag"):
        choices = targets[0].choices
        tag = detail["input"].get("kind") if type(detail["input"]) is dict else None
        value = "missing" if tag is None else shown(tag)
        return Complaint(f"{path}.kind", value, " or ".join(f'"{c}"' for c in choices), did_you_mean(tag, choices))
    target, value = targets[0], "missing" if kind == "missing" else shown(detail["input"])
    if target.shape == "table":
        names = dict.fromkeys(key.name for key in keys(model) if key.section == target.path)
        return Complaint(path, value, f"a table of {', '.join(names)}")
    if kind == "missing":
        return Complaint(path, value, target.allowed, target.description)
    allowed = target.allowed.rpartition("each ")[2] if "[" in path else target.allowed
    return Complaint(path, value, allowed, did_you_mean(detail["input"], target.choices))


def _locate(
    location: Sequence[str | int], data: Mapping[str, Any], model: type[BaseModel], *, unknown: bool
) -> tuple[str, list[Key]]:
    """The dotted key pydantic's location means, and its descriptions; names of union members drop out."""
    known = {key.path for key in keys(model)}
    path, index = "", ""
    for i, part in enumerate(location):
        longer = f"{path}.{part}" if path else str(part)
        if type(part) is int:
            index = f"[{part}]"
        elif longer in known or (unknown and i == len(location) - 1):
            path = longer
    variant = lookup(data, model)(f"{path.rpartition('.')[0]}.kind")
    described = [key for key in keys(model) if key.path == path]
    fitting = [key for key in described if key.variant in ("", variant)]
    return path + index, fitting or described


def _inhabitants(path: str, data: Mapping[str, Any], model: type[BaseModel]) -> list[Key]:
    """The keys that are allowed in the place of the unknown `path`."""
    section = path.rpartition(".")[0]
    variant = lookup(data, model)(f"{section}.kind")
    return [key for key in keys(model) if key.section == section and key.variant in ("", variant)]


_PERIODIC = "every direction is periodic"
_NO_KEYS = {
    "boundary": _PERIODIC,
    "boundaries": _PERIODIC,
    "boundary_conditions": _PERIODIC,
    "hmc.step_size": "the step is hmc.trajectory_length / hmc.n_steps",
}
"""Hints for keys that do not exist but that a user may expect: by name, or by path."""


def _unknown(path: str, candidates: Sequence[Key], *, everywhere: Sequence[Key] = ()) -> Complaint:
    section, _, name = path.rpartition(".")
    siblings = [key for key in candidates if key.section == section]
    same_name = [key.path for key in (*candidates, *everywhere) if key.name == name]
    guesses = (
        next((found for found in same_name if found.startswith(f"{section}.")), ""),
        _closest(path, [key.path for key in candidates if key.path != section]),
        *same_name[:1],
        _closest(path, [key.path for key in everywhere if key.path != section]),
    )
    best = next((guess for guess in guesses if guess), "")
    elsewhere = " or ".join(f'"{key.variant}"' for key in everywhere if key.path == path)
    guess = f"it belongs to {section}.kind {elsewhere}" if elsewhere else f"did you mean {best}?" if best else ""
    hint = _NO_KEYS.get(path if path in _NO_KEYS else name, guess)
    return Complaint(shown_key(path), "unknown key", ", ".join(dict.fromkeys(key.name for key in siblings)), hint)


def _closest(word: str, candidates: Sequence[str], *, cutoff: float = 0.75) -> str:
    return next(iter(difflib.get_close_matches(word, candidates, n=1, cutoff=cutoff)), "")


def did_you_mean(word: object, candidates: Sequence[str]) -> str:
    """``did you mean …?`` if one of the candidates is close to `word`, else nothing."""
    if type(word) is not str or not word:
        return ""
    close = next((choice for choice in candidates if choice.startswith(word)), _closest(word, candidates, cutoff=0.6))
    return f'did you mean "{close}"?' if close else ""


def marked(found: Iterable[Complaint], overrides: Collection[str]) -> list[Complaint]:
    """The complaints with keys that were given on the command line written as the option, ``--action.coupling``."""
    given = tuple(overrides)
    return [
        dataclasses.replace(complaint, key=f"--{complaint.key}") if _from_options(complaint.key, given) else complaint
        for complaint in found
    ]


def _from_options(key: str, given: Sequence[str]) -> bool:
    return any(key == option or key.startswith((f"{option}.", f"{option}[")) for option in given)


def shown(value: object) -> str:
    """A value as part of a one-line message: quoted if text, cut if long, without control characters."""
    quoted = type(value) in (str, list, dict)
    plain = list(value) if type(value) is tuple else value  # as TOML writes it
    text = str(plain).lower() if type(plain) is bool else repr(plain) if quoted else str(plain)
    return shown_key(text if len(text) <= 60 else text[:57] + "...")


def shown_key(text: str) -> str:
    """Text as part of a one-line message."""
    escaped = text if text.isprintable() else repr(text)
    return escaped if len(escaped) <= 120 else escaped[:117] + "..."
