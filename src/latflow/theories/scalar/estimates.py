r"""Estimates of one real scalar field: connected functions, susceptibilities, effective and pole masses.

The columns are those of `latflow.observables.scalar`. With V sites, T the last extent, M the mean field of a
configuration and $G_c$ the connected two-point function.
"""

import math
from collections.abc import Mapping

import numpy as np

from latflow.stats.correlators import connected_correlator, cosh_fit, effective_mass, first_time
from latflow.stats.quantities import Derived, Fit, Formula, Quantity, Value
from latflow.theories.scalar.words import OBSERVABLES

_Means = Mapping[str, np.ndarray]


def scalar_estimator(shape: tuple[int, ...]) -> Derived:
    r"""All estimates of a scalar field.

    `susceptibility` V(⟨M²⟩−⟨M⟩²) = Σ_x G_c(x); `ising_energy` (1/d)Σ_μ G_c(μ̂); `phi_squared` ⟨φ²⟩;
    `abs_magnetization` ⟨|M|⟩; `abs_susceptibility` V(⟨M²⟩−⟨|M|⟩²); `binder_cumulant` 1−⟨M⁴⟩/3⟨M²⟩²;
    `action_density`; `two_point` G_c(r) on axis; `correlator` $\sum_{\vec x}G_c(\vec x,t)$; `effective_mass`;
    `pole_mass` of the cosh fit from `latflow.stats.correlators.first_time`, fitted with the covariance of the data,
    and `pole_mass_times_length` times T.

    Args:
        shape: Sites along each direction.
    """
    degrees = {name: words.power for name, words in OBSERVABLES.items()}
    return Derived((*_moments(math.prod(shape)), *_correlations(shape)), degrees)


def _moments(volume: int) -> tuple[Quantity, ...]:
    def susceptibility(means: _Means, _: np.ndarray) -> Value:
        return volume * (means["magnetization_squared"] - means["magnetization"] ** 2)

    def abs_susceptibility(means: _Means, _: np.ndarray) -> Value:
        return volume * (means["magnetization_squared"] - means["abs_magnetization"] ** 2)

    def binder(means: _Means, _: np.ndarray) -> Value:
        return 1 - means["magnetization_fourth"] / (3 * means["magnetization_squared"] ** 2)

    def energy(means: _Means, _: np.ndarray) -> Value:
        return means["neighbour_product"] - means["magnetization"] ** 2

    return (
        _quantity("susceptibility", ("magnetization_squared", "magnetization"), susceptibility),
        _quantity("ising_energy", ("neighbour_product", "magnetization"), energy),
        _mean("phi_squared"),
        _mean("abs_magnetization"),
        _quantity("abs_susceptibility", ("magnetization_squared", "abs_magnetization"), abs_susceptibility),
        _quantity("binder_cumulant", ("magnetization_fourth", "magnetization_squared"), binder),
        _mean("action_density"),
    )


def _correlations(shape: tuple[int, ...]) -> tuple[Quantity, ...]:
    extent = shape[-1]
    projected = ("correlator", "magnetization")
    connected = connected_correlator(shape)
    fit, pole = Fit(projected, connected), _Pole(extent)

    def correlator(means: _Means, _: np.ndarray) -> np.ndarray:
        return np.asarray(connected(dict(means))["correlator"])

    def mass(means: _Means, covariance: np.ndarray) -> Value:
        return pole(correlator(means, covariance), covariance)

    return (
        _quantity("two_point", ("two_point", "magnetization"), lambda m, _: m["two_point"] - m["magnetization"] ** 2),
        _quantity("correlator", projected, correlator),
        _quantity("effective_mass", projected, lambda m, c: effective_mass(correlator(m, c), extent=extent)),
        _quantity("pole_mass", projected, mass, fit),
        _quantity("pole_mass_times_length", projected, lambda m, c: mass(m, c) * extent, fit),
    )


class _Pole:
    """The mass of the cosh fit; two quantities ask for it at the same point, and it is found once.

    Args:
        extent: T.
    """

    def __init__(self, extent: int) -> None:
        self._extent = extent
        self._found: tuple[bytes, float] = (b"", math.nan)

    def __call__(self, correlator: np.ndarray, covariance: np.ndarray) -> float:
        key = correlator.tobytes() + covariance.tobytes()
        if key != self._found[0]:
            fit = cosh_fit(correlator, covariance, self._extent, first_time(self._extent))
            self._found = (key, fit.mass)
        return self._found[1]


def _mean(name: str) -> Quantity:
    return _quantity(name, (name,), lambda means, _: means[name])


def _quantity(name: str, columns: tuple[str, ...], derive: Formula, fit: Fit | None = None) -> Quantity:
    return Quantity(name, columns, derive, OBSERVABLES[name], fit)
