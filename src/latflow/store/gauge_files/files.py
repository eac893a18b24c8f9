"""Reading and writing gauge configurations of any known format, recognised by the first bytes."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from latflow.errors import CannotCreateError, UsageError
from latflow.given import path_of, shown
from latflow.store.atomic import require_directory, write_bytes
from latflow.store.gauge_files import bridge, ildg, lime, milc, nersc, openqcd
from latflow.store.gauge_files.configuration import LARGEST_DEFECT, PRECISIONS, Configuration, accept, examine
from latflow.store.gauge_files.hints import Hints
from latflow.store.gauge_files.layout import Source, require_group
from latflow.store.gauge_files.provenance import Provenance
from latflow.store.gauge_files.refusals import UnitarityError, UnsupportedError
from latflow.store.records import FormatError

FORMATS = ("ildg", "scidac", "nersc", "nersc-two-row", "milc", "openqcd")
"""What can be written; Bridge++ text is only read."""

SUFFIXES = {".lime": "ildg", **{f".{name}": name for name in FORMATS}}

_ONE_PRECISION = {"milc": "float32", "openqcd": "float64"}
_HEAD = 256


def stem(name: str) -> str:
    """A file's name without the ending of a format or of gzip. Any other one may be the number of a trajectory."""
    name = name.removesuffix(".gz")
    front, ending = os.path.splitext(name)
    return front if ending in SUFFIXES and front else name


def read_configuration(
    path: Path | str,
    *,
    shape: Sequence[int] | None = None,
    colours: int | None = None,
    precision: str | None = None,
    origin: str = "the caller",
    which: int | None = None,
    force: bool = False,
) -> Configuration:
    """Read one configuration and check it against everything that its file states. A file may be packed by gzip.

    Args:
        path: The file; its format is recognised by its contents.
        shape: Extents, time last, for files that do not say them, or not legibly; one that does must agree.
        colours: N of SU(N), likewise.
        precision: ``float32`` or ``float64``, likewise.
        origin: Where these values come from, in words, for the message if the file disagrees.
        which: Number of the configuration, from 0, in a LIME file that holds several.
        force: Return links that fail a check; the failed checks are in `Configuration.failed`.

    Raises:
        DataError: Damaged, foreign or inconsistent; a subclass for each case.
        MissingInputError: There is no such file.
    """
    path = path_of("path", path, "a gauge configuration")
    hints = Hints(None if shape is None else tuple(shape), colours, precision, origin)
    with Source(path) as source, np.errstate(all="ignore"):  # what overflows ends as NaN, which no check passes
        found = _read(source, hints, which)
        if source.compressed:
            found = replace(found, details={**found.details, "packed by": "gzip"})
    hints.require(path, shape=found.shape, colours=found.colours, precision=found.precision)
    return accept(found, path, force=force)


def require_format(format: object) -> None:
    """Refuse a format that cannot be written.

    Raises:
        UsageError: Naming those that can.
    """
    if format not in FORMATS:
        raise UsageError("format", value=shown(format), allowed=", ".join(FORMATS))


def spell(configuration: Configuration, format: str, *, precision: str | None = None, information: str = "") -> bytes:
    """The bytes of a configuration in another format.

    Args:
        configuration: What to write. If it was read in spite of failed checks, the file says so where it has room.
        format: One of `FORMATS`.
        precision: By default that of the configuration. Rounding must be asked for.
        information: Free text for the file, where there is room.

    Raises:
        UnsupportedError: The format cannot hold it, or not without rounding.
        UnitarityError: Rows would be left out of matrices that are not in SU(3).
    """
    chosen = _precision(configuration, format, precision)
    links = configuration.links
    if configuration.failed:
        failures = ", ".join(check.name for check in configuration.failed)
        information = f"{information} read in spite of failed checks: {failures}".strip()
    provenance = _noted(configuration.provenance, format, information)
    if format == "nersc-two-row":
        require_group(links, format=format)
        if not configuration.defect <= LARGEST_DEFECT:
            raise UnitarityError(format, value=f"defect {configuration.defect:.3g}", hint="use nersc")
    with np.errstate(all="ignore"):
        match format:
            case "ildg" | "scidac":
                return ildg.spell(links, precision=chosen, provenance=provenance, ildg=format == "ildg")
            case "nersc":
                return nersc.spell(links, precision=chosen, provenance=provenance)
            case "nersc-two-row":
                return nersc.spell(links, precision=chosen, provenance=provenance, rows=2)
            case "milc":
                return milc.spell(links, provenance=provenance)
            case _:
                return openqcd.spell(links)


def write_configuration(
    path: Path | str,
    configuration: Configuration | ArrayLike,
    format: str,
    *,
    precision: str | None = None,
    information: str = "",
) -> str:
    """Write a configuration to a new file, whole or not at all.

    Args:
        path: The file.
        configuration: What was read from another file, or links ``U[mu, a, b, x, …, t]`` of SU(N).
        format: One of `FORMATS`.
        precision: ``float32`` or ``float64``; by default that of the configuration. Rounding must be asked for.
        information: Free text for the file, where there is room.

    Returns:
        The SHA-256 of the file.

    Raises:
        CannotCreateError: There is a file of that name, or no directory for it.
        UnsupportedError: The format cannot hold it, or an array is no field of links.
        UnitarityError: Links that are not in the group.
        StorageError: The disk refused.
    """
    path = path_of("path", path, "a new file")
    require_format(format)
    configuration = configuration if isinstance(configuration, Configuration) else _of_links(configuration, path)
    if path.exists():
        raise CannotCreateError(f"{path}: exists already", hint="remove it or choose another name")
    require_directory(path.parent)
    return write_bytes(path, spell(configuration, format, precision=precision, information=information))


def _of_links(links: object, path: Path) -> Configuration:
    """Links in memory, measured; accepted as those of a file are.

    Raises:
        UnsupportedError: If they are no links.
    """
    array = np.asarray(links)
    d, *square = array.shape[:3] if array.ndim > 3 else (0, 0, 1)
    if not (np.iscomplexobj(array) and d == array.ndim - 3 and square[0] == square[1] > 1 and array.size):
        value = f"an array of {array.dtype}, shape {array.shape}"
        raise UnsupportedError(f"{path}: links", value=value, allowed="complex U[mu, a, b, x, …, t] of SU(N)")
    exact = np.ascontiguousarray(array, dtype=np.complex64 if array.dtype == np.complex64 else np.complex128)
    precision = "float32" if exact.dtype == np.complex64 else "float64"
    return accept(examine(exact, format="memory", precision=precision, details={}), path, force=False)


def _read(source: Source, hints: Hints, which: int | None) -> Configuration:
    """Choose the reader by the first bytes; formats without a magic number come last."""
    head = source.read_up_to(0, _HEAD)
    if head.startswith(lime.MAGIC):
        return ildg.read(source, hints, which=which)
    if which:
        allowed = "0: a file of this format holds one; only ILDG and SciDAC files hold several"
        raise UnsupportedError(f"{source.path}: --which", value=str(which), allowed=allowed)
    if head.startswith(nersc.MAGIC):
        return nersc.read(source, hints)
    if head[:4] in milc.MAGICS:
        return milc.read(source)
    if openqcd.recognises(head, source.size):
        return openqcd.read(source)
    if bridge.recognises(head):
        return bridge.read(source, hints)
    raise FormatError(
        f"{source.path}: not a gauge configuration",
        value=f"begins with {head[:8]!r}" if head else "the file is empty",
        allowed="ILDG, SciDAC, NERSC, MILC, openQCD, Bridge++ text",
        hint="the file is foreign, truncated or damaged",
    )


def _noted(provenance: Provenance, format: str, note: str) -> Provenance:
    """The provenance with a remark added, where the format has room for one."""
    if not note:
        return provenance
    if format.startswith("nersc"):
        return replace(provenance, ensemble_label=f"{provenance.ensemble_label} {note}".strip())
    return replace(provenance, information=f"{provenance.information}\n{note}".strip())


def _precision(configuration: Configuration, format: str, precision: str | None) -> str:
    """The precision to write in; lower than that of the links only if requested."""
    if format not in FORMATS:
        raise UnsupportedError("format", value=repr(format), allowed=", ".join(FORMATS))
    if precision not in (None, *PRECISIONS):
        raise UnsupportedError("precision", value=repr(precision), allowed=", ".join(PRECISIONS))
    only = _ONE_PRECISION.get(format)
    chosen = precision or only or configuration.precision
    if only not in (None, chosen):
        raise UnsupportedError(f"format {format}", value=chosen, allowed=f"{only} only")
    if precision is None and chosen == "float32" and configuration.precision == "float64":
        raise UnsupportedError(
            f"format {format} holds float32 only", value="links in float64", hint="--precision float32 rounds them"
        )
    return chosen
