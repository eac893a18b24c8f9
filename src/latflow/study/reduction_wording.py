"""What a reduction says of itself: null tests, the bias that they would see, and why averages are not corrected."""

import math
from collections.abc import Mapping
from typing import Any


def tests_told(facts: Mapping[str, Any]) -> list[str]:
    """Probabilities of the null tests, and how large a bias they would refuse.

    Args:
        facts: As `latflow.study.reduction.Reduced.facts` gives them, or as a run keeps them.
    """
    null = ", ".join(f"{name} p = {facts['null_tests'][name]:.2g}" for name in ("means", "corrections", "folds"))
    return [f"null tests: {null}", _bias(facts["bias_seen"])]


def withheld_told(withheld: Mapping[str, str]) -> list[str]:
    """A line for every reason why averages are not corrected, with their names.

    Args:
        withheld: The reasons by name.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in withheld.items():
        reasons.setdefault(reason, []).append(name)
    return [f"not corrected: {', '.join(names)}: {reason}" for reason, names in reasons.items()]


def _bias(seen: Mapping[str, list[float | None]]) -> str:
    """In plain errors; files have null for what is not finite."""
    found = [math.inf if each is None else each for column in seen.values() for each in column]
    found = [each for each in found if each > 0]
    if not found:
        return "nothing is corrected"
    if not math.isfinite(max(found)):
        return "no bias would be seen: fewer than 4 independent chains or blocks"
    return f"a bias of {min(found):.1f} to {max(found):.1f} plain errors would be seen, in 95 of 100 cases"
