import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from latflow.stats.correlators import (
    cosh_fit,
    effective_mass,
    first_time,
)
from latflow.stats.estimates import SeriesShapeError


def cosh(mass, amplitude, extent):
    return amplitude * np.cosh(mass * (np.arange(extent // 2 + 1) - extent / 2))


def fluctuating_covariance(correlator):
    """Errors that fall with the correlator and are strongly correlated between neighbouring times."""
    times = np.arange(correlator.size)
    correlation = 0.9 ** np.abs(times[:, None] - times)
    return 1e-4 * np.outer(correlator, correlator) * correlation


@given(mass=st.floats(0.02, 3), log_amplitude=st.floats(-5, 5), extent=st.integers(2, 40))
def test_a_pure_cosh_gives_back_its_mass(mass, log_amplitude, extent):
    correlator = cosh(mass, math.exp(log_amplitude), extent)
    masses = effective_mass(correlator, extent=extent)
    assert masses.shape == correlator.shape
    assert math.isnan(masses[0])
    # arccosh near 1 loses half the digits
    assert_allclose(masses[1:], mass, atol=1e-13 / mass * max(1, math.exp(mass)))
    fit = cosh_fit(correlator, fluctuating_covariance(correlator), extent, first_time(extent))
    assert fit.mass == pytest.approx(mass, abs=1e-10 * max(1, 1 / (mass * extent) ** 2))
    assert fit.amplitude == pytest.approx(math.exp(log_amplitude), rel=1e-7)
    assert fit.chi2 < 1e-12
    assert fit.dof == correlator.size - first_time(extent) - 2


def test_the_fit_is_the_minimum_over_both_parameters():
    rng = np.random.default_rng(5)
    correlator = cosh(0.4, 0.1, 12)
    covariance = fluctuating_covariance(correlator)
    data = correlator + np.linalg.cholesky(covariance) @ rng.normal(size=7)
    fit = cosh_fit(data, covariance, 12, 1)
    inverse = np.linalg.inv(covariance[1:, 1:])

    def chi2(mass, amplitude):
        rest = (data - cosh(mass, amplitude, 12))[1:]
        return rest @ inverse @ rest

    assert fit.chi2 == pytest.approx(chi2(fit.mass, fit.amplitude), rel=1e-8)
    around = [(1 + a, 1 + b) for a in (-1e-3, 0, 1e-3) for b in (-1e-3, 0, 1e-3)]
    assert min(chi2(fit.mass * a, fit.amplitude * b) for a, b in around) == pytest.approx(fit.chi2, rel=1e-8)


def test_the_fit_is_distributed_as_least_squares_says():
    # 200 fits: mean of χ² known to 4 %, mean mass to σ/14; sees a wrong dof, a transposed factor, a biased mass
    rng = np.random.default_rng(6)
    correlator = cosh(0.4, 0.1, 16)
    covariance = fluctuating_covariance(correlator)
    factor = np.linalg.cholesky(covariance)
    fits = [cosh_fit(correlator + factor @ rng.normal(size=9), covariance, 16, 1) for _ in range(200)]
    dof = fits[0].dof
    assert dof == 6
    assert np.mean([fit.chi2 for fit in fits]) == pytest.approx(dof, abs=5 * math.sqrt(2 * dof / 200))
    masses = np.array([fit.mass for fit in fits])
    assert abs(masses.mean() - 0.4) < 5 * masses.std() / math.sqrt(200)


def test_the_fit_is_smooth():
    correlator = cosh(0.66, 0.09, 6) * (1 + 1e-3 * np.array([1, -1, 1, -1]))
    covariance = fluctuating_covariance(correlator)
    direction = correlator * np.array([0.0, 1.0, 0.5, -1.0])
    masses = np.array([cosh_fit(correlator + e * direction, covariance, 6, 1).mass for e in np.arange(-4, 5) * 1e-6])
    assert np.abs(np.diff(masses, n=3)).max() < 1e-12
    assert np.all(np.diff(masses) != 0)


@pytest.mark.parametrize(
    "data",
    [
        np.array([1.0, 1.0, 1.0, 1.0]),  # flat: massless
        np.array([1.0, 1.1, 1.3, 1.7]),  # rising
        np.array([1.0, np.nan, 0.3, 0.2]),
        np.zeros(4),
    ],
)
def test_a_fit_that_fails_is_nan(data):
    with np.errstate(all="ignore"):
        assert math.isnan(cosh_fit(data, np.eye(4), 6, 1).mass)


@pytest.mark.parametrize("covariance", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.ones((4, 4)), -np.eye(4)])
def test_a_useless_covariance_gives_nan(covariance):
    assert math.isnan(cosh_fit(cosh(0.5, 1.0, 6), covariance, 6, 1).mass)


def test_wrong_shapes_are_refused():
    with pytest.raises(SeriesShapeError):
        effective_mass(np.ones(5), extent=6)
    with pytest.raises(SeriesShapeError):
        cosh_fit(np.ones(4), np.eye(5), 6, 1)


def test_effective_masses_that_do_not_exist_are_nan():
    masses = effective_mass(np.array([1.0, 0.5, 0.6, -0.1]), extent=6)
    assert np.isnan(masses).tolist() == [True, False, True, True]
    assert math.isnan(effective_mass(np.array([1.0, 1.2, 0.5, 0.4]), extent=6)[0])


@pytest.mark.parametrize(
    ("extent", "first"), [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1), (8, 2), (12, 2), (14, 3), (64, 11)]
)
def test_the_fit_starts_where_it_says(extent, first):
    assert first_time(extent) == first
