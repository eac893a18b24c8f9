"""When training ends: at the first criterion that is met, whose name is recorded."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from latflow.arguments import count, finite, fraction
from latflow.errors import ConfigError
from latflow.training.limits import LIMITS, first_met

_UNIT = "StopCriterion(seconds=...) is deprecated: say minutes={:g}, as training.stop.minutes of a study"


@dataclasses.dataclass(frozen=True)
class StopCriterion:
    """Limits of a training; at least one must be given.

    Args:
        acceptance: Independence-Metropolis acceptance, estimated from the weights of an evaluation.
        ess: Reweighting effective sample size per draw, of the same weights.
        steps: Optimiser steps.
        seconds: Deprecated: 60 of them are one of `minutes`.
        plateau: Evaluations in a row without a new lowest loss.
        minutes: Wall-clock time, over all sittings.

    Raises:
        TypeError: If a limit is no number.
        ConfigError: If no limit is given, one is out of range, or the time is given twice.
    """

    acceptance: float | None = None
    ess: float | None = None
    steps: int | None = None
    seconds: float | None = None
    plateau: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if all(limit is None for limit in dataclasses.astuple(self)):
            raise ConfigError(["training.stop: empty; allowed: acceptance, ess, steps, minutes or plateau"])
        for name in ("acceptance", "ess"):
            if (share := getattr(self, name)) is not None:
                fraction(f"training.stop.{name}", share)
        for name, least in (("steps", 0), ("plateau", 1)):
            if (limit := getattr(self, name)) is not None:
                count(f"training.stop.{name}", limit, least=least)
        for name in ("seconds", "minutes"):
            if (time := getattr(self, name)) is not None and not float(finite(f"training.stop.{name}", time)) >= 0:
                raise ConfigError([f"training.stop.{name}: {time}; allowed: at least 0"])
        if self.seconds is not None:
            self._in_minutes(self.seconds)

    def _in_minutes(self, seconds: float) -> None:
        """The deprecated argument in the unit of all limits."""
        if self.minutes is not None:
            raise ConfigError(["training.stop: minutes and seconds; allowed: minutes"])
        warnings.warn(_UNIT.format(seconds / 60), DeprecationWarning, stacklevel=4)
        object.__setattr__(self, "minutes", seconds / 60)
        object.__setattr__(self, "seconds", None)

    @property
    def limits(self) -> dict[str, Any]:
        """The limits by name; None where there is none."""
        return {name: getattr(self, name) for name in LIMITS}

    def reason(self, history: Sequence[Mapping[str, Any]]) -> str | None:
        """The name of the first criterion that the last record of `history` meets, or none.

        Args:
            history: Evaluations so far, oldest first, as `fit` records them.
        """
        return first_met(self.limits, history)
