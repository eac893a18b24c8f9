"""One gauge configuration from a file, with the results of all checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latflow.display import extents
from latflow.store.gauge_files import measure
from latflow.store.gauge_files.checks import DAMAGED, FileCheck, noted
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, Provenance
from latflow.store.gauge_files.refusals import DisagreementError, MeasuredError, UnitarityError, UnsupportedError
from latflow.store.records import ChecksumError

LARGEST_DEFECT = 1e-5
"""Largest accepted distance from SU(N); that of links that ever were in single precision is 5e-7."""

PRECISIONS = {"float32": "c8", "float64": "c16"}


@dataclass(frozen=True)
class Configuration:
    """Links and what came with them.

    Attributes:
        links: ``U[mu, a, b, x, …, t]`` as stored: single precision is not projected (`measure.reunitarised` does that).
        format: ``ildg``, ``scidac``, ``nersc``, ``milc``, ``openqcd`` or ``bridge``.
        precision: ``float32`` or ``float64``, of the numbers in the file.
        details: Facts of the format in words: byte order, rows, writer, ….
        checks: Checks made, notes included; failed ones only if reading was forced.
        plaquette: Average of Re tr P / N; as all averages, with open boundaries over what is there.
        plaquette_space: The same over planes without the time direction.
        plaquette_time: The same over planes with it.
        link_trace: Average of tr U / N.
        defect: Distance of the worst link from SU(N); with open boundaries of those that are there.
        open_boundary: Whether the links in time of the last slice are all zero: open boundaries in time.
        provenance: Origin of the configuration as stated in the file.
    """

    links: Links
    format: str
    precision: str
    details: Mapping[str, str]
    checks: tuple[FileCheck, ...]
    plaquette: float
    plaquette_space: float
    plaquette_time: float
    link_trace: complex
    defect: float
    provenance: Provenance = NOTHING_KNOWN
    open_boundary: bool = False

    def __repr__(self) -> str:
        failed = f", fails {', '.join(check.name for check in self.failed)}" if self.failed else ""
        what = f"{self.format}, SU({self.colours}) on {extents(self.shape)}, {self.precision}"
        return f"Configuration({what}, plaquette {self.plaquette:.6g}{failed})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the lattice, time last."""
        return self.links.shape[3:]

    @property
    def colours(self) -> int:
        """N of SU(N)."""
        return self.links.shape[1]

    @property
    def failed(self) -> tuple[FileCheck, ...]:
        """The checks that did not pass; empty unless reading was forced."""
        return tuple(check for check in self.checks if check.failed)

    @property
    def notes(self) -> tuple[FileCheck, ...]:
        """Differences that are reported and refuse nothing."""
        return tuple(check for check in self.checks if check.note)

    @property
    def stated(self) -> dict[str, float]:
        """Plaquette and link trace as files state them: averages over all sites, in which what is missing is zero."""
        if not self.open_boundary:
            return {"plaquette": self.plaquette, "link trace": self.link_trace.real}
        d, extent = len(self.shape), self.shape[-1]
        planes = d * (d - 1) / 2
        missing = (d - 1) * self.plaquette_time / (extent * planes) if d > 1 else 0.0
        return {
            "plaquette": self.plaquette - missing,
            "link trace": self.link_trace.real * (d * extent - 1) / (d * extent),
        }

    @property
    def plaquettes(self) -> dict[str, float | None]:
        """Average plaquettes by name; None where there is no plane: of space in two dimensions, any in one."""
        d = len(self.shape)
        return {
            "plaquette": self.plaquette if d > 1 else None,
            "plaquette_space": self.plaquette_space if d > 2 else None,
            "plaquette_time": self.plaquette_time if d > 1 else None,
        }

    def summary(self) -> dict[str, Any]:
        """The facts that `latflow inspect` prints, as plain data."""
        return {
            "format": self.format,
            "shape": list(self.shape),
            "group": f"SU({self.colours})",
            "precision": self.precision,
            **self.plaquettes,
            "link_trace": self.link_trace.real,
            "link_trace_imaginary": self.link_trace.imag,
            "checksums": {check.name: check.value for check in self.checks if check.refusal is ChecksumError},
            "defect": self.defect,
            "boundary": "open" if self.open_boundary else "periodic",
            "checks": [
                {"name": c.name, "value": c.value, "limit": c.limit, "passed": c.passed, "state": c.state}
                for c in self.checks
            ],
            "details": dict(self.details),
            "provenance": self.provenance.facts(),
        }

    def reunitarised(self) -> "Configuration":
        """The same field, projected to SU(N) in double precision and measured again.

        Raises:
            UnsupportedError: Open boundaries: there are links of zero, which no projection maps to the group.
        """
        if self.open_boundary:
            raise UnsupportedError("projection to the group", value="open boundaries", allowed="periodic ones")
        return examine(
            measure.reunitarised(self.links),
            format=self.format,
            precision="float64",
            details=self.details,
            provenance=self.provenance,
        )


@dataclass(frozen=True)
class Comparison:
    """Links that were written, compared with those that were read again.

    Attributes:
        equal: Whether the stored links are equal, bit for bit, to those written, rounded to the precision of the file.
        rows: Rows of each matrix that are stored, and hence compared.
        rounding: Largest change of an entry by that rounding.
        rebuilt: Largest difference in the rows that are not stored but rebuilt from the others; 0 if there are none.
    """

    equal: bool
    rows: int
    rounding: float
    rebuilt: float


def compare(original: Configuration, stored: Configuration) -> Comparison:
    """Compare links that were written with those that were read."""
    rows = int(stored.details.get("rows", stored.colours))
    rounded = original.links.astype(np.dtype(PRECISIONS[stored.precision]))
    return Comparison(
        np.array_equal(stored.links[:, :rows], rounded[:, :rows], equal_nan=True),
        rows,
        _largest_difference(rounded[:, :rows], original.links[:, :rows]),
        _largest_difference(stored.links[:, rows:], original.links[:, rows:]),
    )


def _largest_difference(some: np.ndarray, others: np.ndarray) -> float:
    pairs = zip(some, others, strict=True)  # by direction, which saves memory
    return max(float(np.abs(one - other).max(initial=0.0)) for one, other in pairs)


def examine(
    links: Links,
    *,
    format: str,
    precision: str,
    details: Mapping[str, str],
    checks: Sequence[FileCheck] = (),
    declarations: Sequence[tuple[str, float, float]] = (),
    provenance: Provenance = NOTHING_KNOWN,
) -> Configuration:
    """Measure links and compare with the values that their file declares; `accept` raises if a check fails."""
    with np.errstate(all="ignore"):  # what is not finite becomes NaN, which no check passes
        planes = measure.plaquettes(links)
        trace, is_open = measure.link_trace(links), measure.is_open_in_time(links)
        if is_open:
            planes, trace = measure.without_missing(planes, trace, links.shape[-1])
        found = Configuration(
            links,
            format,
            precision,
            details,
            (),
            measure.mean_plaquette(planes),
            measure.spatial_plaquette(planes),
            measure.temporal_plaquette(planes),
            trace,
            measure.defect(links, open_in_time=is_open),
            provenance,
            is_open,
        )
    values = found.stated
    measured = [
        _measured(name, values[name], stored, tolerance, found.colours) for name, stored, tolerance in declarations
    ]
    unitary = FileCheck(
        "defect",
        found.defect,
        f"{LARGEST_DEFECT:.0e}",
        found.defect <= LARGEST_DEFECT,
        UnitarityError,
        "the links are not in the group: damaged, or not what the file says; --force reads it all the same",
    )
    return replace(found, checks=(*checks, *measured, unitary, *([_OPEN] if is_open else [])))


_OPEN = noted("boundary in time", "open: the links in time of the last slice are zero", expected="periodic")


def _measured(name: str, value: float, stored: float, tolerance: float, colours: int) -> FileCheck:
    """A quantity of the links against its value in the file."""
    passed = abs(value - stored) <= tolerance
    tripled = not passed and abs(colours * value - stored) <= colours * tolerance
    hint = f"the file's value is the trace, not divided by {colours}; --force reads it all the same"
    return FileCheck(
        name, value, f"{stored:.12g} ± {tolerance:.1g}", passed, MeasuredError, hint if tripled else DAMAGED
    )


def accept(configuration: Configuration, path: Path, *, force: bool) -> Configuration:
    """The configuration, if every check passed or reading is forced.

    Raises:
        DataError: The worst failed check, of equal ones the first: expected, got, remedy.
    """
    if configuration.failed and not force:
        check = min(configuration.failed, key=lambda c: (c.refusal is not DisagreementError, c.state != "DAMAGED"))
        value = check.value if isinstance(check.value, str) else f"{check.value:.12g}"
        name = f"{check.name} of the links" if check.of_links else check.name
        raise check.refusal(f"{path}: {name}", value=value, allowed=check.limit, hint=check.hint)
    return configuration
