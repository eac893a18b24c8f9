"""What a law returns: a number, the limit it must keep, and the verdict.

A law is a statement that holds exactly in mathematics, evaluated on concrete objects. Deterministic laws report the
worst deviation found; statistical ones report |z|, the deviation in units of an error taken from the data, and name
that error, so that the smallest visible effect is known.
"""

import dataclasses
import math
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float

_ROUNDING = 1e-14

LEAST_SAMPLES = 2
"""Fewest samples that have a scatter."""


@dataclasses.dataclass(frozen=True)
class LawResult:
    """Outcome of one law.

    Attributes:
        name: The law, in words.
        value: The deviation found.
        limit: The largest deviation that passes.
        passed: Whether `value` ≤ `limit`; a NaN never passes.
        detail: What was compared, how large the numbers were, the statistical error.
    """

    name: str
    value: float
    limit: float
    passed: bool
    detail: str = ""

    def line(self) -> str:
        """The result as printed: verdict, law, number, limit and detail."""
        verdict = "PASS" if self.passed else "FAIL"
        detail = f"  ({self.detail})" if self.detail else ""
        return f"{verdict}  {self.name}: {self.value:.2e} ≤ {self.limit:.2e}{detail}"


def judge(name: str, value: SupportsFloat, *, limit: float, detail: str = "") -> LawResult:
    """The verdict on a deviation."""
    number = float(value)
    return LawResult(name, number, limit, number <= limit, detail)


def judge_mean(
    name: str, samples: Float[np.ndarray, " n"], *, expected: float, max_error: float = math.inf, sigmas: float = 5.0
) -> LawResult:
    """Whether independent samples average to `expected`.

    Args:
        name: The law, in words.
        samples: Independent numbers; their scatter gives the error.
        expected: The exact mean.
        max_error: Largest standard error of a conclusive test; above it the law fails for lack of power.
        sigmas: Largest accepted deviation in standard errors.
    """
    n = samples.size
    if n < LEAST_SAMPLES or not np.all(np.isfinite(samples)):
        return LawResult(name, math.nan, sigmas, passed=False, detail=f"nothing to tell it from: n = {n}")
    # identical samples are as good as their rounding
    error = max(float(np.std(samples, ddof=1) / math.sqrt(n)), _ROUNDING * max(1.0, abs(expected)))
    z = abs(float(np.mean(samples)) - expected) / error
    detail = f"{np.mean(samples):.6g} ± {error:.2g}, exact {expected:.6g}, n = {n}"
    return LawResult(name, z, sigmas, z <= sigmas and error <= max_error and math.isfinite(error), detail)
