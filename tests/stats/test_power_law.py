"""Exact laws come back exactly; errors of the exponent cover."""

import numpy as np
import pytest

from latflow.errors import DataError
from latflow.stats.power_law import fit_power_law


def test_an_exact_law():
    x = np.array([6.0, 8.0, 10.0, 12.0])
    fit = fit_power_law(x, 0.3 * x**2.1, 0.01 * x)
    assert fit.exponent == pytest.approx(2.1, abs=1e-12)
    assert fit.amplitude == pytest.approx(0.3, rel=1e-10)
    assert fit.chi2 == pytest.approx(0, abs=1e-16)
    assert fit.dof == 2
    assert fit.probability == pytest.approx(1)


def test_two_points_determine_it():
    fit = fit_power_law(np.array([2.0, 4.0]), np.array([1.0, 8.0]), np.array([0.1, 0.8]))
    assert fit.exponent == pytest.approx(3)
    # two logarithmic errors of 0.1 over a lever of ln 2
    assert fit.error == pytest.approx(0.1 * 2**0.5 / np.log(2))
    assert (fit.dof, fit.probability) == (0, None)


def test_error_covers():
    """2000 fits of noisy points: the pull of z has width 1, seen to 8 % at 5σ, and χ² averages to dof."""
    rng = np.random.default_rng(1)
    x = np.array([6.0, 8.0, 10.0, 12.0, 14.0])
    errors = np.array([0.03, 0.01, 0.05, 0.02, 0.04]) * x**2
    fits = [fit_power_law(x, x**2 * np.exp(errors / x**2 * rng.normal(size=5)), errors) for _ in range(2000)]
    pulls = np.array([(fit.exponent - 2) / fit.error for fit in fits])
    assert abs(pulls.std() - 1) < 0.08
    assert abs(np.mean([fit.chi2 for fit in fits]) - 3) < 0.4


def test_one_size_is_no_law():
    with pytest.raises(DataError):
        fit_power_law(np.full(2, 4.0), np.array([1.0, 1.1]), np.full(2, 0.1))
