"""When training ends: at the first criterion that is met, whose name is recorded."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from latflow.arguments import count, finite, fraction
from latflow.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class StopCriterion:
    """Limits of a training; at least one must be given.

    Args:
        acceptance: Independence-Metropolis acceptance, estimated from the weights of an evaluation.
        ess: Reweighting effective sample size per draw, of the same weights.
        steps: Optimiser steps.
        seconds: Wall-clock time, over all sittings.
        plateau: Evaluations in a row without a new lowest loss.

    Raises:
        TypeError: If a limit is no number.
        ConfigError: If no limit is given, or one is out of range.
    """

    acceptance: float | None = None
    ess: float | None = None
    steps: int | None = None
    seconds: float | None = None
    plateau: int | None = None

    def __post_init__(self) -> None:
        if all(limit is None for limit in dataclasses.astuple(self)):
            raise ConfigError(["training.stop: empty; allowed: acceptance, ess, steps, minutes or plateau"])
        for name in ("acceptance", "ess"):
            if (share := getattr(self, name)) is not None:
                fraction(f"training.stop.{name}", share)
        for name, least in (("steps", 0), ("plateau", 1)):
            if (limit := getattr(self, name)) is not None:
                count(f"training.stop.{name}", limit, least=least)
        if self.seconds is not None and not float(finite("training.stop.seconds", self.seconds)) >= 0:
            raise ConfigError([f"training.stop.seconds: {self.seconds}; allowed: at least 0"])

    def reason(self, history: Sequence[Mapping[str, Any]]) -> str | None:
        """The name of the first criterion that the last record of `history` meets, or none.

        Args:
            history: Evaluations so far, oldest first, as `fit` records them.
        """
        if not history:
            return None
        last = history[-1]
        met = {
            "acceptance": self.acceptance is not None and last["acceptance"] >= self.acceptance,
            "ess": self.ess is not None and last["reweighting_ess"] >= self.ess,
            "steps": self.steps is not None and last["step"] >= self.steps,
            # Time may run out while the first step is compiled; at least one step is made.
            "seconds": self.seconds is not None and last["step"] > 0 and last["seconds"] >= self.seconds,
            "plateau": self.plateau is not None and _evaluations_since_best(history) >= self.plateau,
        }
        return next((name for name, is_met in met.items() if is_met), None)


def _evaluations_since_best(history: Sequence[Mapping[str, Any]]) -> int:
    losses = [record["loss"] for record in history]
    return len(losses) - 1 - losses.index(min(losses))
