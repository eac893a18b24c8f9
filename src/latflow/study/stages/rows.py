"""Rows of the results: estimates beside known values, and beside what they are without points or variates."""

import math
from collections.abc import Mapping, Sequence

from latflow.results import EstimateRecord
from latflow.stats.estimates import UNRESOLVED, Estimate, State, worst
from latflow.stats.quantities import Estimates
from latflow.study.config.methods import CHAINS
from latflow.study.stages.smaller_errors import Smaller
from latflow.theories.known_value import Known

_SAME = 1e-9
"""Errors that differ by less, relatively, are those of the same average."""


def rows_of(
    sampler: str, estimates: Estimates, known: Mapping[str, Known], smaller: Smaller | None
) -> list[EstimateRecord]:
    """One row for every observable of a sampler.

    Args:
        sampler: Whose they are.
        estimates: What is shown.
        known: Reference values by observable.
        smaller: The same averages without what makes their errors smaller; None where nothing does.
    """
    rows = []
    for name, components in estimates.items():
        reference = known.get(name)
        states: list[State | None] = [component.state for component in components]
        row = EstimateRecord(
            observable=name,
            sampler=sampler,
            value=_field(components, "value"),
            error=_field(components, "error"),
            tau_int=_field(components, "tau_int"),
            tau_int_error=_field(components, "tau_int_error"),
            n=components[0].n,
            state=None if sampler in CHAINS else worst(*states),
            slow_mode=next((component.slow_mode for component in components if component.slow_mode), None),
            reference=None if reference is None else _reference(reference),
            reference_error=None if reference is None else reference.error,
            reference_source=None if reference is None else reference.source,
        )
        rows.append(row if smaller is None else row.model_copy(update=_beside(components, name, smaller)))
    return rows


def _beside(shown: list[Estimate], name: str, smaller: Smaller) -> dict[str, object]:
    """The plain average, where variates have changed it, and by how much the variance is smaller."""
    plain, independent = smaller.plain[name], smaller.independent[name]
    changed = any(_differ(a.error, b.error) for a, b in zip(shown, plain, strict=True))
    gained = any(_differ(a.error, b.error) for a, b in zip(shown, independent, strict=True))
    ratios = [_ratio(a.error, b.error) for a, b in zip(independent, shown, strict=True)]
    return {
        "plain_value": _field(plain, "value") if changed else None,
        "plain_error": _field(plain, "error") if changed else None,
        "variance_ratio": (ratios[0] if len(ratios) == 1 else tuple(ratios)) if gained else None,
    }


def _differ(a: float, b: float) -> bool:
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) > _SAME * abs(b)


def _ratio(before: float, after: float) -> float | None:
    """Of variances; None where an error is absent or zero."""
    usable = math.isfinite(before) and math.isfinite(after) and after > 0
    return (before / after) ** 2 if usable else None


def _reference(known: Known) -> float | tuple[float, ...]:
    return known.value if known.array is None else tuple(known.array)


def _field(components: Sequence[Estimate], field: str) -> float | tuple[float | None, ...] | None:
    """One field of all components; null where an average is not resolved, or the number does not exist."""
    values = tuple(None if component.state == UNRESOLVED else getattr(component, field) for component in components)
    values = tuple(None if value is None or not math.isfinite(value) else value for value in values)
    return values[0] if len(values) == 1 else values
