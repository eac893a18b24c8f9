"""Laws of observables: they are invariant under the symmetries of the theory."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from latflow._typing import PRNGKey
from latflow.fields.spaces import AbstractFieldSpace
from latflow.fields.symmetry import AbstractSymmetry
from latflow.observables.base import AbstractObservable, measure
from latflow.testing.result import LawResult, judge

ROUNDING = 1e-12


def observables_invariant_under(
    key: PRNGKey,
    observables: Sequence[AbstractObservable],
    space: AbstractFieldSpace,
    elements: tuple[AbstractSymmetry, ...],
) -> list[LawResult]:
    """O(g·x) = O(x) for every observable and every given group element, on one random field.

    Args:
        key: Randomness of the field.
        observables: What is measured.
        space: Space of the field.
        elements: Group elements under which the observables should be invariant.
    """
    x = space.random(key)
    images = jax.jit(lambda x: jnp.stack([x, *(element(x) for element in elements)]))(x)
    results = []
    for name, values in measure(observables, images).items():
        error = np.max(np.abs(values[1:] - values[:1])) / max(1.0, np.max(np.abs(values[0])))
        results.append(judge(f"{name} respects the symmetries", error, limit=ROUNDING))
    return results
