"""Reading and writing gauge configurations of any known format, told apart by their first bytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latflow.errors import CannotCreateError
from latflow.store.atomic import write_bytes
from latflow.store.gauge_files import bridge, ildg, lime, milc, nersc, openqcd
from latflow.store.gauge_files.configuration import LARGEST_DEFECT, PRECISIONS, Configuration, accept
from latflow.store.gauge_files.ildg import Hints
from latflow.store.gauge_files.layout import Source, require_group
from latflow.store.gauge_files.refusals import UnitarityError, UnsupportedError
from latflow.store.records import FormatError

FORMATS = ("ildg", "scidac", "nersc", "nersc-two-row", "milc", "openqcd")
"""What can be written; Bridge++ text is only read."""

SUFFIXES = {".lime": "ildg", **{f".{name}": name for name in FORMATS}}

_ONE_PRECISION = {"milc": "float32", "openqcd": "float64"}
_HEAD = 256


def read_configuration(
    path: Path | str,
    *,
    shape: Sequence[int] | None = None,
    colours: int | None = None,
    precision: str | None = None,
    force: bool = False,
) -> Configuration:
    """Read one configuration and check everything its file says about it.

    Args:
        path: The file; its format is recognised by its contents.
        shape: Extents, time last, for files that do not say them; one that does must agree.
        colours: N of SU(N), likewise.
        precision: ``float32`` or ``float64``, likewise.
        force: Return links that fail a check, which then stand in `Configuration.failed`.

    Raises:
        DataError: Damaged, foreign or contradicting itself, under a name of its own.
        MissingInputError: There is no such file.
    """
    path = Path(path)
    hints = Hints(None if shape is None else tuple(shape), colours, precision)
    _require_sensible(hints)
    with Source(path) as source, np.errstate(all="ignore"):  # what overflows ends as NaN, which no check passes
        found = _read(source, hints)
    _require_agreement(path, found, hints)
    return accept(found, path, force=force)


def spell(configuration: Configuration, format: str, *, precision: str | None = None, information: str = "") -> bytes:
    """The bytes of a configuration in another format.

    Args:
        configuration: What to write; one that was read in spite of failed checks says so in the file, where there is
            room.
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
    if format == "nersc-two-row":
        require_group(links, format=format)
        if not configuration.defect <= LARGEST_DEFECT:
            raise UnitarityError(format, value=f"defect {configuration.defect:.3g}", hint="use nersc")
    with np.errstate(all="ignore"):
        match format:
            case "ildg" | "scidac":
                return ildg.spell(links, precision=chosen, information=information, ildg=format == "ildg")
            case "nersc":
                return nersc.spell(links, precision=chosen, information=information)
            case "nersc-two-row":
                return nersc.spell(links, precision=chosen, information=information, rows=2)
            case "milc":
                return milc.spell(links)
            case _:
                return openqcd.spell(links)


def write_configuration(
    path: Path | str,
    configuration: Configuration,
    format: str,
    *,
    precision: str | None = None,
    information: str = "",
) -> str:
    """Write a configuration to a new file, whole or not at all; arguments as for `spell`.

    Returns:
        The SHA-256 of the file.

    Raises:
        CannotCreateError: There is a file of that name.
        StorageError: The disk refused.
    """
    path = Path(path)
    data = spell(configuration, format, precision=precision, information=information)
    if path.exists():
        raise CannotCreateError(f"{path}: exists already", hint="remove it or choose another name")
    return write_bytes(path, data)


def _read(source: Source, hints: Hints) -> Configuration:
    """By the first bytes; those without a mark come last."""
    head = source.read_up_to(0, _HEAD)
    if head.startswith(lime.MAGIC):
        return ildg.read(source, hints)
    if head.startswith(nersc.MAGIC):
        return nersc.read(source)
    if head[:4] in milc.MAGICS:
        return milc.read(source)
    if openqcd.recognises(head, source.size):
        return openqcd.read(source)
    if bridge.recognises(head):
        return bridge.read(source, hints)
    raise FormatError(
        f"{source.path}: not a gauge configuration",
        value=f"begins with {head[:8]!r}" if head else "the file is empty",
        allowed="ILDG, SciDAC, NERSC, MILC v5, openQCD, Bridge++ text",
        hint="the file is foreign, truncated or damaged",
    )


def _require_sensible(hints: Hints) -> None:
    shape, colours = (1,) if hints.shape is None else hints.shape, 2 if hints.colours is None else hints.colours
    if not 1 <= len(shape) <= 6 or any(not 1 <= extent <= 1 << 20 for extent in shape):
        raise UnsupportedError("shape", value=str(shape), allowed="1 to 6 extents, each from 1 to 1048576")
    if not 2 <= colours <= 16 or hints.precision not in (None, *PRECISIONS):
        raise UnsupportedError(
            "colours or precision", value=f"{colours}, {hints.precision}", allowed="2 to 16; float32 or float64"
        )


def _require_agreement(path: Path, found: Configuration, hints: Hints) -> None:
    """A caller who says what the file is must be right."""
    has = {"shape": found.shape, "colours": found.colours, "precision": found.precision}
    for name, value in has.items():
        wanted = getattr(hints, name)
        if wanted is not None and wanted != value:
            raise FormatError(f"{path}: {name}", value=str(value), allowed=f"{wanted}, as the caller says")


def _precision(configuration: Configuration, format: str, precision: str | None) -> str:
    """The precision to write in; never less than that of the links unless asked for."""
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
