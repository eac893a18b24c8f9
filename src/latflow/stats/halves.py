"""First half of weighted draws against the second: independent draws must agree in everything."""

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from latflow.stats.propagation import MINIMUM_RECORDS

_ROUNDING = 1e-12
_SMALLEST = 1e-300


def drift(w: Float[np.ndarray, " n"], columns: Mapping[str, np.ndarray]) -> tuple[float | None, str]:
    """Difference of both halves in errors, of ln⟨w⟩ and of every weighted mean, where it is largest.

    Args:
        w: Weights in the order of the draws.
        columns: Observables of the draws, (n,) or (n, k) by name.

    Returns:
        The largest difference and whose it is; None and nothing if the halves are too short.
    """
    half = w.size // 2
    if half < MINIMUM_RECORDS:
        return None, ""
    found = {"ln⟨w⟩": _apart(*(_mean_weight(part) for part in (w[:half], w[half:])))}
    for name, column in columns.items():
        flat = np.asarray(column, dtype=float).reshape(w.size, -1)
        found[name] = _apart(_ratios(w[:half], flat[:half]), _ratios(w[half:], flat[half:]))
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst


_Halves: TypeAlias = tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]
"""Values and errors of one half."""


def _mean_weight(w: Float[np.ndarray, " n"]) -> _Halves:
    mean = max(float(w.mean()), _SMALLEST)
    return np.array([math.log(mean)]), np.array([w.std() / math.sqrt(w.size) / mean])


def _ratios(w: Float[np.ndarray, " n"], columns: Float[np.ndarray, "n k"]) -> _Halves:
    kept = w > 0
    if not np.any(kept):
        return np.zeros(columns.shape[1]), np.full(columns.shape[1], math.inf)
    p, values = w[kept] / w.sum(), columns[kept]
    means = p @ values
    return means, np.sqrt(p**2 @ (values - means) ** 2)


def _apart(first: _Halves, second: _Halves) -> float:
    """Largest difference in errors; what has no error, as a column that never changes, tells nothing."""
    difference, error = np.abs(first[0] - second[0]), np.hypot(first[1], second[1])
    known = (error > _ROUNDING * np.abs(first[0])) & np.isfinite(error) & np.isfinite(difference)
    return float(np.max(difference[known] / error[known], initial=0.0))
