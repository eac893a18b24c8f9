"""What quasi-random points and variates gain, as plain data: by how much variances are smaller, and plain averages."""

from dataclasses import dataclass

from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, compact
from latflow.report.tables import samplers_of, scalar_observables
from latflow.results import EstimateRecord, Results


@dataclass(frozen=True)
class GainTable:
    """Observables down, two columns for every sampler: variance ÷, and the average without variates."""

    samplers: list[str]
    rows: list[list[str]]


def gain_table(results: Results) -> GainTable | None:
    """Every scalar observable with a gain; None where no estimate has one."""
    samplers = [s for s in samplers_of(results) if any(_gains(row) for row in results.estimates if row.sampler == s)]
    rows = []
    for observable in scalar_observables(results):
        found = [results.estimate(observable, sampler) for sampler in samplers]
        if any(row is not None and _gains(row) for row in found):
            rows.append([observable, *(cell for row in found for cell in _cells(row))])
    return GainTable([sampler_style(name).label for name in samplers], rows) if rows else None


def gain_lines(results: Results) -> list[str]:
    """The same for a terminal; empty where there is no gain."""
    table = gain_table(results)
    if table is None:
        return []
    heads = ["smaller errors", *(head for name in table.samplers for head in (f"{name}: σ² ÷", "without variates"))]
    rows = [heads, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _gains(row: EstimateRecord) -> bool:
    return isinstance(row.variance_ratio, float)


def _cells(row: EstimateRecord | None) -> tuple[str, str]:
    if row is None or not isinstance(row.variance_ratio, float):
        return ABSENT, ABSENT
    plain, error = row.plain_value, row.plain_error
    without = compact(plain, error) if isinstance(plain, float) and isinstance(error, float) else ABSENT
    return f"{row.variance_ratio:.3g}", without
