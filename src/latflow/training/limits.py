"""Limits of a training as plain data, and which of them its log meets first. Nothing here imports JAX.

A run looks at them before anything slow begins: limits that were raised let a finished training go on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

LIMITS = ("acceptance", "ess", "steps", "minutes", "plateau")
"""The limits by their names in a study and in Python, in the order in which they are looked at."""


def first_met(limits: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str | None:
    """The name of the first limit that the last record of `history` meets, or None.

    Args:
        limits: Values by name; a limit that is absent or None is none. Minutes count over all sittings.
        history: Evaluations so far, oldest first, as `latflow.training.fit.fit` records them.
    """
    if not history:
        return None
    return next(
        (name for name in LIMITS if limits.get(name) is not None and _is_met(name, limits[name], history)), None
    )


def _is_met(name: str, limit: float, history: Sequence[Mapping[str, Any]]) -> bool:
    last = history[-1]
    match name:
        case "acceptance":
            return last["acceptance"] >= limit
        case "ess":
            return last["reweighting_ess"] >= limit
        case "steps":
            return last["step"] >= limit
        case "minutes":
            # Time may run out while the first step is compiled; at least one step is made.
            return last["step"] > 0 and last["seconds"] >= 60 * limit
        case _:
            return _evaluations_since_best(history) >= limit


def _evaluations_since_best(history: Sequence[Mapping[str, Any]]) -> int:
    losses = [record["loss"] for record in history]
    return len(losses) - 1 - losses.index(min(losses))
