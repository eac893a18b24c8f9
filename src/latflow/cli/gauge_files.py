"""The commands for gauge configurations of other codes: inspect, convert, and verify of a single file.

None of them needs jax; the ensemble's HDF5 is imported only when an ensemble is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latflow.cli.judgement import judge
from latflow.cli.output import emit, emit_json, table_lines
from latflow.errors import CannotCreateError, DataError, MissingInputError, UsageError
from latflow.store.gauge_files.configuration import PRECISIONS, Configuration, stored_alike
from latflow.store.gauge_files.files import FORMATS, SUFFIXES, read_configuration, write_configuration
from latflow.store.gauge_files.hints import EXTENTS, sensible
from latflow.store.records import ChecksumError

_ENSEMBLE = "ensemble"
_SHAPE = "--shape"
_PLAQUETTES = {"plaquette": "plaquette", "plaquette_space": "  of space", "plaquette_time": "  with time"}


@dataclass(frozen=True)
class _Verdict:
    """A check without what only the reader needs."""

    name: str
    value: str | float
    limit: str
    passed: bool


def inspect(path: Path, *, shape: Sequence[int], force: bool, machine: bool) -> None:
    """Print what a file holds."""
    found = read_configuration(path, shape=_extents(shape), origin=_SHAPE, force=force)
    if machine:
        emit_json(found.summary() | {"forced": [check.name for check in found.failed]})
        return
    emit("\n".join([*_warning(path, found), *table_lines([[name, text] for name, text in _rows(found)])]))


def verify(path: Path, *, shape: Sequence[int], machine: bool) -> int:
    """Judge every check of a file; the exit code."""
    found = read_configuration(path, shape=_extents(shape), origin=_SHAPE, force=True)
    verdicts = [_Verdict(check.name, check.value, check.limit, check.passed) for check in found.checks]
    return judge(verdicts, DataError, subject=str(path), machine=machine)


def convert(
    source: Path,
    target: Path,
    *,
    format: str,
    precision: str,
    shape: Sequence[int],
    reunitarise: bool,
    force: bool,
    machine: bool,
) -> None:
    """Write a configuration, a folder of them or an ensemble in another format.

    Raises:
        UsageError: A format or a precision that does not exist, or none named.
        MissingInputError: There is no such file or folder.
        CannotCreateError: The target exists.
    """
    _require_word("--format", format, ("", *FORMATS, _ENSEMBLE))
    _require_word("--precision", precision, ("", *PRECISIONS))
    if not source.exists():
        raise MissingInputError(f"{source}: no such file or folder")
    if source.is_dir():
        if reunitarise:
            raise UsageError("--reunitarise", hint="for single files; convert them one by one")
        said = _convert_many(source, target, format, precision=precision or None, shape=shape, force=force)
    else:
        chosen = _format_of(target, format)
        found = read_configuration(source, shape=_extents(shape), origin=_SHAPE, force=force)
        said = _convert_one(source, found, target, chosen, precision=precision or None, reunitarise=reunitarise)
    if machine:
        emit_json(said)
    else:
        emit("\n".join(said.pop("lines", [])) or f"{said['configurations']} configurations: {source} -> {target}")


def _convert_one(
    source: Path, found: Configuration, target: Path, format: str, *, precision: str | None, reunitarise: bool
) -> dict[str, Any]:
    """Write, read again and compare."""
    failed = [check.name for check in found.failed]
    written = found.reunitarised() if reunitarise else found
    digest = write_configuration(target, written, format, precision=precision)
    again = read_configuration(target, force=bool(failed))
    if not stored_alike(written, again):
        raise ChecksumError(f"{target}: reading gives other links than were written", hint="remove the file")
    notes = [
        f"{source}: {_words(found)}",
        *(["reunitarised: projected to the group in float64"] if reunitarise else []),
        f"{target}: {_words(again)}, read back and equal" + _rounding(written, again),
    ]
    return {
        "configurations": 1,
        "source": found.summary(),
        "target": again.summary(),
        "sha256": digest,
        "reunitarised": reunitarise,
        "forced": failed,
        "lines": [*_warning(source, found), *notes],
    }


def _convert_many(
    source: Path, target: Path, format: str, *, precision: str | None, shape: Sequence[int], force: bool
) -> dict[str, Any]:
    if target.is_file():
        raise CannotCreateError(f"{target} is a file", allowed="a directory")
    if target.exists() and target.samefile(source):
        raise CannotCreateError(f"{target}: is the source, too", hint="choose another directory")
    from latflow.store.gauge_files.folders import Reading, convert_folder, export_ensemble, import_folder

    reading = Reading(_extents(shape), _SHAPE, force)
    if (source / "manifest.json").exists():
        if format in ("", _ENSEMBLE):
            raise UsageError("--format", value=format or "missing", allowed=", ".join(FORMATS))
        return {"configurations": len(export_ensemble(source, target, format, precision=precision))}
    if format in ("", _ENSEMBLE):
        return {"configurations": import_folder(source, target, reading)}
    return {"configurations": len(convert_folder(source, target, format, reading, precision=precision))}


def _format_of(target: Path, format: str) -> str:
    """What was asked for, or what the target's ending says."""
    chosen = format or SUFFIXES.get(target.suffix, "")
    if chosen in ("", _ENSEMBLE):
        hint = f"or give the target an ending: {', '.join(SUFFIXES)}"
        raise UsageError("--format", value=chosen or "missing", allowed=", ".join(FORMATS), hint=hint)
    return chosen


def _extents(shape: Sequence[int]) -> tuple[int, ...] | None:
    """What --shape says; None if it is not given."""
    if shape and not sensible(tuple(shape)):
        raise UsageError(_SHAPE, value=" ".join(map(str, shape)), allowed=EXTENTS)
    return tuple(shape) or None


def _require_word(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(option, value=repr(value), allowed=", ".join(word for word in allowed if word))


def _warning(path: Path, found: Configuration) -> list[str]:
    """Said first, so that nobody takes forced links for verified ones."""
    return [f"FORCED: {path}: {check.name} is {_short(check.value)}, should be {check.limit}" for check in found.failed]


def _rows(found: Configuration) -> list[tuple[str, str]]:
    facts = found.summary()
    sums = ", ".join(f"{name} {value}" for name, value in facts["checksums"].items())
    return [
        ("format", found.format),
        ("shape", " ".join(map(str, found.shape))),
        ("group", facts["group"]),
        ("precision", found.precision),
        *((_PLAQUETTES[name], f"{value:.12g}") for name, value in found.plaquettes.items() if value is not None),
        ("link trace", f"{found.link_trace.real:.12g} {found.link_trace.imag:+.12g}i"),
        ("checksums", sums or "none in the file"),
        ("defect", f"{found.defect:.2g}"),
        *((name, str(value)) for name, value in found.details.items()),
    ]


def _words(found: Configuration) -> str:
    return f"{found.format}, {'x'.join(map(str, found.shape))}, SU({found.colours}), {found.precision}"


def _rounding(written: Configuration, again: Configuration) -> str:
    return "" if written.precision == again.precision or again.precision == "float64" else " up to rounding to float32"


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
