"""Estimates of states from the column of `latflow.observables.particles.StateShare`."""

from collections.abc import Mapping

import numpy as np

from latflow.stats.quantities import Derived, Quantity, Value
from latflow.theories.particles.words import DIFFERENCE, STATE

_Means = Mapping[str, np.ndarray]
_LEAST = 1e-12
"""Share of a state that no draw has seen, so that its free energy is large and finite."""


def difference(share: Value) -> Value:
    """Free energy of a state less that of the rest, in units of k_B T, of its share."""
    inside = np.clip(np.asarray(share), _LEAST, 1 - _LEAST)
    return np.log((1 - inside) / inside)


def state_estimator() -> Derived:
    """The share of the second of two states, and its free energy less that of the first, in units of k_B T."""
    columns = ("state",)
    return Derived(
        (
            Quantity("state_share", columns, lambda means, _: means["state"], STATE),
            Quantity("free_energy_difference", columns, lambda means, _: difference(means["state"]), DIFFERENCE),
        )
    )
