"""One gauge configuration from a file, with the results of all checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from latflow.errors import DataError
from latflow.store.gauge_files import measure
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import NOTHING_KNOWN, Provenance
from latflow.store.gauge_files.refusals import MeasuredError, UnitarityError
from latflow.store.records import ChecksumError

LARGEST_DEFECT = 1e-5
"""Largest accepted distance from SU(N); that of links that ever were in single precision is 5e-7."""

PRECISIONS = {"float32": "c8", "float64": "c16"}


@dataclass(frozen=True)
class FileCheck:
    """One check of the links of a file, against what the file declares or against a general limit.

    Attributes:
        name: Quantity that is compared.
        value: Its value from the links.
        limit: The declared value or the limit.
        passed: Whether the check passed.
        refusal: Exception to raise if it failed.
        hint: What to do if it failed.
    """

    name: str
    value: str | float
    limit: str
    passed: bool
    refusal: type[DataError] = field(default=DataError, repr=False)
    hint: str = field(default="the file is damaged; --force reads it all the same", repr=False)


@dataclass(frozen=True)
class Configuration:
    """Links and what came with them.

    Attributes:
        links: ``U[mu, a, b, x, …, t]`` as stored: single precision is not projected (`measure.reunitarised` does that).
        format: ``ildg``, ``scidac``, ``nersc``, ``milc``, ``openqcd`` or ``bridge``.
        precision: ``float32`` or ``float64``, of the numbers in the file.
        details: Facts of the format in words: byte order, rows, writer, ….
        checks: Checks made; failed ones only if reading was forced.
        plaquette: Average of Re tr P / N.
        plaquette_space: The same over planes without the time direction.
        plaquette_time: The same over planes with it.
        link_trace: Average of tr U / N.
        defect: Distance of the worst link from SU(N).
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
        return tuple(check for check in self.checks if not check.passed)

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
            "checks": [{"name": c.name, "value": c.value, "limit": c.limit, "passed": c.passed} for c in self.checks],
            "details": dict(self.details),
            "provenance": self.provenance.facts(),
        }

    def reunitarised(self) -> "Configuration":
        """The same field, projected to SU(N) in double precision and measured again."""
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


def checksum(name: str, *, stored: str, computed: str) -> FileCheck:
    """Hexadecimal checksums compared as numbers."""
    return FileCheck(name, computed, stored, int(stored, 16) == int(computed, 16), ChecksumError)


def declared(name: str, *, stored: float, tolerance: float) -> tuple[str, float, float]:
    """A measured quantity that the file gives: `plaquette` or `link_trace`, normalised to 1."""
    return name, stored, tolerance


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
        found = Configuration(
            links,
            format,
            precision,
            details,
            (),
            measure.mean_plaquette(planes),
            measure.spatial_plaquette(planes),
            measure.temporal_plaquette(planes),
            measure.link_trace(links),
            measure.defect(links),
            provenance,
        )
    values = {"plaquette": found.plaquette, "link trace": found.link_trace.real}
    measured = [
        FileCheck(
            name,
            values[name],
            f"{stored:.12g} ± {tolerance:.1g}",
            abs(values[name] - stored) <= tolerance,
            MeasuredError,
        )
        for name, stored, tolerance in declarations
    ]
    unitary = FileCheck(
        "defect",
        found.defect,
        f"{LARGEST_DEFECT:.0e}",
        found.defect <= LARGEST_DEFECT,
        UnitarityError,
        "the links are not in the group: damaged, or not what the file says; --force reads it all the same",
    )
    return replace(found, checks=(*checks, *measured, unitary))


def accept(configuration: Configuration, path: Path, *, force: bool) -> Configuration:
    """The configuration, if every check passed or reading is forced.

    Raises:
        DataError: The first failed check, under its own name: expected, got, remedy.
    """
    if configuration.failed and not force:
        check = configuration.failed[0]
        value = check.value if isinstance(check.value, str) else f"{check.value:.12g}"
        raise check.refusal(f"{path}: {check.name} of the links", value=value, allowed=check.limit, hint=check.hint)
    return configuration
