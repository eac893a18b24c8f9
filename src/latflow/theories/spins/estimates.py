r"""Estimates of spin models from the columns of `latflow.observables.spins`.

Averages of the columns; the second-moment correlation length $\xi=\sqrt{\chi/F-1}/2\sin(\pi/L)$; and the helicity
modulus of XY spins, $\langle n_x\cdot n_{x+\hat\mu}\rangle-\beta\langle J^2\rangle/V$ along the longest direction.
"""

import math
from collections.abc import Mapping

import numpy as np

from latflow.stats.quantities import Derived, Quantity, Value
from latflow.theories.spins.words import OBSERVABLES
from latflow.words import ObservableWords

_Means = Mapping[str, np.ndarray]

_PLAIN = ("spin_product", "spin_magnetization", "spin_susceptibility")


def spin_estimator(shape: tuple[int, ...], *, beta: float, components: int) -> Derived:
    """All estimates of spins but those of a topological charge.

    Args:
        shape: Sites along each direction.
        beta: β, for the helicity modulus.
        components: N.
    """
    smallest = 2 * math.sin(math.pi / max(shape))

    def correlation_length(means: _Means, _: np.ndarray) -> Value:
        return second_moment(means["spin_susceptibility"], means["spin_structure"]) / smallest

    def helicity(means: _Means, _: np.ndarray) -> Value:
        return means["spin_product_along"] - beta * means["spin_current_squared"]

    found = [_mean(name) for name in _PLAIN]
    columns = ("spin_susceptibility", "spin_structure")
    found.append(Quantity("spin_correlation_length", columns, correlation_length, _words("spin_correlation_length")))
    if components == 2:
        along = ("spin_product_along", "spin_current_squared")
        found.append(Quantity("helicity_modulus", along, helicity, _words("helicity_modulus")))
        found += [_mean("vortex_density")] if len(shape) > 1 else []
    return Derived((*found, _mean("spin_correlator")))


def second_moment(susceptibility: Value, structure: Value) -> Value:
    """√(χ/F − 1); zero where noise makes χ smaller than F."""
    return np.sqrt(np.maximum(np.asarray(susceptibility) / np.asarray(structure) - 1, 0.0))


def _mean(name: str) -> Quantity:
    return Quantity(name, (name,), lambda means, _: means[name], _words(name))


def _words(name: str) -> ObservableWords:
    return OBSERVABLES[name]
