"""The commands for gauge configurations of other codes: inspect, convert, and verify of a single file.

None of them needs JAX; HDF5 is imported only for ensembles.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from latflow.cli.judgement import print_checks
from latflow.cli.output import emit, emit_json, table_lines
from latflow.errors import CannotCreateError, DataError, MissingInputError, UsageError
from latflow.store.gauge_files.configuration import PRECISIONS, Comparison, Configuration, compare
from latflow.store.gauge_files.files import FORMATS, SUFFIXES, read_configuration, stem, write_configuration
from latflow.store.gauge_files.hints import EXTENTS, sensible
from latflow.store.gauge_files.provenance import left_out, numbered, words
from latflow.store.records import ChecksumError

_ENSEMBLE = "ensemble"
_SHAPE = "--shape"
_PLAQUETTES = {"plaquette": "plaquette", "plaquette_space": "  of space", "plaquette_time": "  with time"}


@dataclass(frozen=True)
class _Verdict:
    """The columns of a check that are printed."""

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
    """Print every check of a file; returns the exit code."""
    found = read_configuration(path, shape=_extents(shape), origin=_SHAPE, force=True)
    verdicts = [_Verdict(check.name, check.value, check.limit, check.passed) for check in found.checks]
    return print_checks(verdicts, DataError, subject=str(path), machine=machine)


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
    elif target.is_dir():
        raise CannotCreateError(f"{target}: is a directory", allowed="the name of a new file")
    else:
        chosen = _format_of(target, format)
        found = read_configuration(source, shape=_extents(shape), origin=_SHAPE, force=force)
        said = _convert_one(source, found, target, chosen, precision=precision or None, reunitarise=reunitarise)
    lines = said.pop("lines")
    if machine:
        emit_json(said)
    else:
        emit("\n".join(lines))


def _convert_one(
    source: Path, found: Configuration, target: Path, format: str, *, precision: str | None, reunitarise: bool
) -> dict[str, Any]:
    """Write a file, read it again and compare."""
    failed = [check.name for check in found.failed]
    origin = numbered(found.provenance, stem(source.name))
    written = replace(found.reunitarised() if reunitarise else found, provenance=origin)
    digest = write_configuration(target, written, format, precision=precision)
    again = read_configuration(target, force=bool(failed))
    compared = compare(written, again)
    if not compared.equal:
        raise ChecksumError(f"{target}: reading gives other links than were written", hint="remove the file")
    notes = [
        f"{source}: {_words(found)}",
        *(["reunitarised: projected to the group in float64"] if reunitarise else []),
        f"{target}: {_words(again)}",
        f"{target}: {_compared(compared, again)}",
        *_left_out(lost := left_out(found.provenance, format), format),
    ]
    return {
        "configurations": 1,
        "source": found.summary(),
        "target": again.summary(),
        "sha256": digest,
        "reunitarised": reunitarise,
        "compared": asdict(compared),
        "left_out": lost,
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
        written = export_ensemble(source, target, format, precision=precision, force=force)
    elif format in ("", _ENSEMBLE):
        written = import_folder(source, target, reading)
    else:
        written = convert_folder(source, target, format, reading, precision=precision)
    forced = [f"FORCED: {name}: fails {', '.join(checks)}" for name, checks in written.forced.items()]
    said = f"{len(written.names)} configurations: {source} -> {target}"
    return {
        "configurations": len(written.names),
        "left_out": written.left_out,
        "forced": written.forced,
        "lines": [*forced, said, *_left_out(written.left_out, format)],
    }


def _format_of(target: Path, format: str) -> str:
    """The format that was named, or that of the target's ending."""
    chosen = format or SUFFIXES.get(target.suffix, "")
    if chosen in ("", _ENSEMBLE):
        hint = f"or give the target an ending: {', '.join(SUFFIXES)}"
        raise UsageError("--format", value=chosen or "missing", allowed=", ".join(FORMATS), hint=hint)
    return chosen


def _extents(shape: Sequence[int]) -> tuple[int, ...] | None:
    """The extents given by --shape; None without it."""
    if shape and not sensible(tuple(shape)):
        raise UsageError(_SHAPE, value=" ".join(map(str, shape)), allowed=EXTENTS)
    return tuple(shape) or None


def _require_word(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(option, value=repr(value), allowed=", ".join(word for word in allowed if word))


def _warning(path: Path, found: Configuration) -> list[str]:
    """Lines that say which checks failed, printed before everything else when reading was forced."""
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
        *((words(name), _one_line(text)) for name, text in found.provenance.facts().items()),
    ]


def _words(found: Configuration) -> str:
    return f"{found.format}, {'x'.join(map(str, found.shape))}, SU({found.colours}), {found.precision}"


def _compared(compared: Comparison, again: Configuration) -> str:
    """Result of reading the written file again."""
    n = again.colours
    stored = "all links" if compared.rows == n else f"the {compared.rows} stored rows of every link"
    rounded = f" rounded to {again.precision}, by at most {compared.rounding:.1g}," if compared.rounding else ""
    differs = f"differs by at most {compared.rebuilt:.1g}" if compared.rebuilt else "is equal, too"
    rebuilt = f"; row {n}, rebuilt from them, {differs}" if compared.rows < n else ""
    return f"read back, {stored}{rounded} equal bit for bit{rebuilt}"


def _left_out(names: Sequence[str], format: str) -> list[str]:
    """A line with the facts of the source that the target cannot hold, if any."""
    return [f"left out, {format} has no room for it: {', '.join(map(words, names))}"] if names else []


def _one_line(text: str) -> str:
    first, rest = text.partition("\n")[::2]
    return f"{first[:100]} …" if rest or len(first) > 100 else first


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
