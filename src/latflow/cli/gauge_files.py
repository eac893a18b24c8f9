"""The commands for gauge configurations of other codes: inspect, convert, and verify of a single file.

None of them needs JAX; HDF5 is imported only for ensembles.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latflow.cli.judgement import print_checks
from latflow.cli.output import emit, emit_json, table_lines
from latflow.errors import CannotCreateError, DataError, MissingInputError, UsageError
from latflow.store.gauge_files.checks import FileCheck
from latflow.store.gauge_files.configuration import PRECISIONS, Comparison, Configuration, compare
from latflow.store.gauge_files.files import FORMATS, SUFFIXES, read_configuration, stem, write_configuration
from latflow.store.gauge_files.hints import EXTENTS, sensible
from latflow.store.gauge_files.loops import LARGEST_VOLUME, clover, polyakov_loop
from latflow.store.gauge_files.provenance import left_out, numbered, words
from latflow.store.records import ChecksumError

if TYPE_CHECKING:
    from latflow.store.gauge_files.folders import Reading, Written

_ENSEMBLE = "ensemble"
_SHAPE, _GROUP, _PRECISION = "--shape", "--group", "--precision"
_PLAQUETTES = {"plaquette": "plaquette", "plaquette_space": "  of space", "plaquette_time": "  with time"}


@dataclass(frozen=True)
class _Verdict:
    """The columns of a check that are printed."""

    name: str
    value: str | float
    limit: str
    passed: bool
    state: str


@dataclass(frozen=True)
class Given:
    """What the user says of a file.

    Attributes:
        shape: Extents, time last; empty if not said.
        group: ``SU(N)`` or N; empty if not said.
        precision: ``float32`` or ``float64``; empty if not said.
        which: Number of the configuration in a file that holds several.
        force: Read it even if a check fails.
    """

    shape: Sequence[int] = ()
    group: str = ""
    precision: str = ""
    which: int | None = None
    force: bool = False

    def read(self, path: Path, *, force: bool | None = None) -> Configuration:
        """The file, read so.

        Raises:
            UsageError: If what is said is no lattice, group or precision.
        """
        return read_configuration(
            path,
            shape=_extents(self.shape),
            colours=_colours(self.group),
            precision=_known(_PRECISION, self.precision),
            origin=self._origin,
            which=self.which,
            force=self.force if force is None else force,
        )

    def reading(self) -> "Reading":
        """The same for the files of a folder."""
        from latflow.store.gauge_files.folders import Reading

        colours, precision = _colours(self.group), _known(_PRECISION, self.precision)
        return Reading(_extents(self.shape), self._origin, self.force, colours, precision, self.which)

    @property
    def _origin(self) -> str:
        said = {_SHAPE: self.shape, _GROUP: self.group, _PRECISION: self.precision}
        return " or ".join(option for option, value in said.items() if value) or _SHAPE


def inspect(path: Path, given: Given, *, machine: bool) -> None:
    """Print what a file holds."""
    found = given.read(path)
    looped = _loops(found)
    if machine:
        plain = {name: None if value is None else _plain(value) for name, value in looped.items()}
        emit_json(found.summary() | plain | {"forced": [check.name for check in found.failed]})
        return
    rows = table_lines([[name, text] for name, text in _rows(found, looped)])
    emit("\n".join([*_warning(path, found), *_notes(path, found), *rows]))


def verify(path: Path, given: Given, *, machine: bool) -> int:
    """Print every check of a file; returns the exit code."""
    found = given.read(path, force=True)
    verdicts = [_Verdict(c.name, c.value, c.limit, not c.failed, c.state) for c in found.checks]
    return print_checks(verdicts, DataError, subject=str(path), machine=machine)


def convert(
    source: Path,
    target: Path,
    *,
    format: str,
    precision: str,
    given: Given,
    reunitarise: bool,
    machine: bool,
) -> None:
    """Write a configuration, a folder of them or an ensemble in another format.

    Raises:
        UsageError: A format or a precision that does not exist, or none named.
        MissingInputError: There is no such file or folder.
        CannotCreateError: The target exists.
    """
    _require_word("--format", format, ("", *FORMATS, _ENSEMBLE))
    _require_word(_PRECISION, precision, ("", *PRECISIONS))
    if not source.exists():
        raise MissingInputError(f"{source}: no such file or folder")
    if source.is_dir():
        if reunitarise:
            raise UsageError("--reunitarise", hint="for single files; convert them one by one")
        said = _convert_many(source, target, format, precision=precision or None, given=given)
    elif target.is_dir():
        raise CannotCreateError(f"{target}: is a directory", allowed="the name of a new file")
    else:
        chosen = _format_of(target, format)
        found = given.read(source)
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
        "lines": [*_warning(source, found), *_notes(source, found), *notes],
    }


def _convert_many(source: Path, target: Path, format: str, *, precision: str | None, given: Given) -> dict[str, Any]:
    if target.is_file():
        raise CannotCreateError(f"{target} is a file", allowed="a directory")
    if target.exists() and target.samefile(source):
        raise CannotCreateError(f"{target}: is the source, too", hint="choose another directory")
    from latflow.store.gauge_files.folders import convert_folder, export_ensemble, import_folder

    reading = given.reading()
    if (source / "manifest.json").exists():
        if given.which is not None:
            raise UsageError("--which", hint="of files; an ensemble is written whole, one file for each configuration")
        if format in ("", _ENSEMBLE):
            raise UsageError("--format", value=format or "missing", allowed=", ".join(FORMATS))
        written = export_ensemble(source, target, format, precision=precision, force=given.force)
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
        "passed_over": written.passed_over,
        "replicas": written.replicas,
        "lines": [*forced, said, *_gathered(written), *_left_out(written.left_out, format)],
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


def _colours(group: str) -> int | None:
    """N of ``SU(N)`` or N; None for nothing."""
    found = re.fullmatch(r"(?:su\(?)?([2-9]|1[0-6])\)?", group, re.IGNORECASE)
    if group and found is None:
        raise UsageError(_GROUP, value=repr(group), allowed="SU(2) to SU(16)")
    return int(found[1]) if found else None


def _known(option: str, word: str) -> str | None:
    """A precision; None for nothing."""
    _require_word(option, word, ("", *PRECISIONS))
    return word or None


def _require_word(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(option, value=repr(value), allowed=", ".join(word for word in allowed if word))


def _gathered(written: "Written") -> list[str]:
    """Replicas of an ensemble, and the files that are no configurations."""
    replicas = [f"{name or 'without a name'} {number}" for name, number in written.replicas.items()]
    lines = [f"replicas: {', '.join(replicas)}"] if len(replicas) > 1 else []
    names = written.passed_over
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [*lines, *([f"passed over, no configurations: {', '.join(names[:3])}{more}"] if names else [])]


def _notes(path: Path, found: Configuration) -> list[str]:
    """Lines on differences that refuse nothing."""
    return [f"NOTE: {path}: {check.name} is {_short(check.value)}, expected {check.limit}" for check in found.notes]


def _loops(found: Configuration) -> dict[str, complex | float | None]:
    """Polyakov loop, energy and charge by the clover; None where it is not there, or takes too long."""
    energy = charge = None
    with np.errstate(all="ignore"):
        line = None if found.open_boundary else polyakov_loop(found.links)
        if len(found.shape) > 1 and math.prod(found.shape) <= LARGEST_VOLUME:
            energy, charge = clover(found.links, open_in_time=found.open_boundary)
    return {"polyakov_loop": line, "clover_energy": energy, "clover_charge": charge}


def _plain(value: complex | float) -> float | list[float]:
    return [value.real, value.imag] if type(value) is complex else float(value.real)


def _warning(path: Path, found: Configuration) -> list[str]:
    """Lines that say which checks failed, printed before everything else when reading was forced."""
    return [f"FORCED: {path}: {_differs(check)}, should be {check.limit}" for check in found.failed]


def _differs(check: FileCheck) -> str:
    return f"{check.name} is {_short(check.value)}" if check.value != "" else check.name


def _rows(found: Configuration, looped: Mapping[str, complex | float | None]) -> list[tuple[str, str]]:
    facts = found.summary()
    line, energy, charge = looped["polyakov_loop"], looped["clover_energy"], looped["clover_charge"]
    sums = ", ".join(f"{name} {value}" for name, value in facts["checksums"].items())
    inside = ", without first and last slice" if found.open_boundary else ""
    return [
        ("format", found.format),
        ("shape", " ".join(map(str, found.shape))),
        ("group", facts["group"]),
        ("precision", found.precision),
        *((_PLAQUETTES[name], f"{value:.12g}") for name, value in found.plaquettes.items() if value is not None),
        ("link trace", f"{found.link_trace.real:.12g} {found.link_trace.imag:+.12g}i"),
        *([("Polyakov loop", f"{line.real:.12g} {line.imag:+.12g}i")] if line is not None else []),
        *([("E, clover, no flow", f"{energy.real:.12g}{inside}")] if energy is not None else []),
        *([("Q, clover, no flow", f"{charge.real:.12g}{inside}")] if charge is not None else []),
        *([("boundary", "open in time: averages over what is there, no Polyakov loop")] if found.open_boundary else []),
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
