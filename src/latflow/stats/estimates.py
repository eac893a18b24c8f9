"""A number with its error bar, and the refusals of data that cannot give one.

An estimate whose value or error is NaN says that the quantity does not exist for these data (no effective mass where
the correlator is noise, a fit without a minimum); it is reported as absent. Data that are broken as a whole are refused
with a named error instead, because an analysis library would silently return a number for them.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from latflow.errors import DataError
from latflow.given import require_type
from latflow.stats.rounding import compact


class NonFiniteSeriesError(DataError):
    """A measured column or a log-weight contains NaN or infinity."""

    code = "NONFINITE"


class ConstantSeriesError(DataError):
    """A measured column never changes: its error is unknown, not zero."""

    code = "CONSTANT"


class TooShortError(DataError):
    """There are too few records for an error estimate."""

    code = "SHORT"


class SeriesShapeError(DataError):
    """Columns that should belong to the same records have different shapes."""

    code = "SHAPE"


State: TypeAlias = Literal["reliable", "error underestimated", "not resolved"]
"""Of an average: its error is what it says, its error is a lower bound, or there is no number at all."""

RELIABLE: Final = "reliable"
UNDERESTIMATED: Final = "error underestimated"
UNRESOLVED: Final = "not resolved"

FEWEST_INDEPENDENT: Final = 100
"""With fewer independent records, N/(2τ_int), neither an error nor what is made of it is known well enough."""

NOT_JUDGED: Final = "not judged"
"""Words for the state None: nobody has looked, which is no pass."""


def worst(*states: State | None) -> State | None:
    """The state of what is made of several averages: reliable only if all are, None if nobody has judged one of them.

    >>> worst("reliable", "not resolved", "error underestimated", None)
    'not resolved'
    >>> worst("reliable", None), worst("reliable", "reliable")
    (None, 'reliable')
    """
    return max(states, key=(RELIABLE, None, UNDERESTIMATED, UNRESOLVED).index)


def shown(value: float | None, error: float | None, state: State | None) -> str:
    """An average with its error as far as its state allows; None is the state of what was not judged.

    >>> shown(0.12521, 0.00172, "error underestimated"), shown(0.0084, 0.0012, "not resolved")
    ('0.1252(≥17)', 'not resolved')
    """
    if state == UNRESOLVED:
        return UNRESOLVED
    text = compact(value, error)
    return text.replace("(", "(≥", 1) if state == UNDERESTIMATED else text


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One number with its statistical error, printed as ``0.475(26)``; ``0.475(≥26)`` where that is a lower bound.

    Args:
        value: The estimate; NaN if the quantity does not exist for these data.
        error: One standard deviation; NaN if it cannot be given.
        tau_int: Integrated autocorrelation time in records, 1/2 for independent ones, less where neighbours are
            anticorrelated; None for weighted draws.
        tau_int_error: Its standard deviation.
        n: Number of records (over all chains) or draws behind it.
        state: Whether value and error are to be believed: `RELIABLE`; `UNDERESTIMATED`, the error is a lower bound; or
            `UNRESOLVED`, the value is no estimate (`latflow.stats.reliability`). None, the default, where nobody has
            judged, as for a chain of which only the configurations are known. It makes no difference to equality.
        slow_mode: The slow quantity whose tail is in `error` and `tau_int`; empty where there is none.
    """

    value: float
    error: float
    tau_int: float | None = None
    tau_int_error: float | None = None
    n: int = 0
    state: State | None = dataclasses.field(default=None, compare=False, repr=False)
    slow_mode: str = dataclasses.field(default="", compare=False, repr=False)

    def __repr__(self) -> str:
        return shown(self.value, self.error, self.state)

    @property
    def exists(self) -> bool:
        """Whether both value and error are finite."""
        return math.isfinite(self.value) and math.isfinite(self.error)


def pull(a: Estimate, b: Estimate) -> float:
    """Difference of two independent estimates in units of their combined error; NaN where it is not defined.

    It is not where an error is only a lower bound: a difference cannot be measured in it. Errors that nobody has judged
    are taken as they are.

    Args:
        a: One estimate.
        b: The other one, of independent data.

    >>> pull(Estimate(1.3, 0.3), Estimate(0.8, 0.4))
    1.0
    """
    for each in (a, b):
        require_type("estimate", each, Estimate, "Estimate(value, error), or one of estimates(...)")
    combined = math.hypot(a.error, b.error)
    trusted = a.state in (RELIABLE, None) and b.state in (RELIABLE, None)
    if not (trusted and a.exists and b.exists and combined > 0):
        return math.nan
    return (a.value - b.value) / combined


def slowest(estimates: Mapping[str, Sequence[Estimate]]) -> float:
    """The longest τ_int of all averages, in records; ½ where none is known."""
    times = (each.tau_int or 0.5 for components in estimates.values() for each in components)
    return max((tau for tau in times if math.isfinite(tau)), default=0.5)
