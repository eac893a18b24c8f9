"""A known value that an estimate is compared with, and its source."""

import dataclasses
from collections.abc import Mapping

MC = "independent Monte Carlo"
"""Source of values from codes that share nothing with this one."""


@dataclasses.dataclass(frozen=True)
class Known:
    """A reference value.

    Attributes:
        value: The number; NaN where it is an array.
        error: Its standard error; zero when exact.
        source: "exact", "independent Monte Carlo" or a paper.
        array: The numbers of an array-valued observable.
    """

    value: float
    error: float
    source: str
    array: tuple[float, ...] | None = None


def exactly(values: Mapping[str, float]) -> dict[str, Known]:
    """Closed forms, without an error."""
    return {name: Known(value, 0.0, "exact") for name, value in values.items()}
