import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from latflow.stats.correlators import (
    cosh_fit,
    derive_scalar,
    effective_mass,
    first_time,
    scalar_chain_estimates,
    scalar_weighted_estimates,
)
from latflow.stats.estimates import SeriesShapeError

COLUMNS = ("magnetization", "abs_magnetization", "neighbour_product", "phi_squared", "action_density")


def cosh(mass, amplitude, extent):
    return amplitude * np.cosh(mass * (np.arange(extent // 2 + 1) - extent / 2))


def fluctuating_covariance(correlator):
    """Errors that fall with the correlator and are strongly correlated between neighbouring times."""
    times = np.arange(correlator.size)
    correlation = 0.9 ** np.abs(times[:, None] - times)
    return 1e-4 * np.outer(correlator, correlator) * correlation


def free_columns(rng, shape, n, *, mass_squared):
    """Measured columns of independent free fields, by numpy alone, and the exact pole mass."""
    k = [2 * np.pi * np.fft.fftfreq(extent) for extent in shape]
    k_hat = sum(4 * np.sin(grid / 2) ** 2 for grid in np.meshgrid(*k, indexing="ij"))
    noise = np.fft.fftn(rng.normal(size=(n, *shape)), axes=(1, 2))
    phi = np.fft.ifftn(noise / np.sqrt(2 * (k_hat + mass_squared)), axes=(1, 2)).real
    slices = phi.sum(axis=1)
    on_axis, projected = [], []
    for r in range(shape[-1] // 2 + 1):
        on_axis.append((phi * np.roll(phi, r, axis=2)).mean(axis=(1, 2)))
        projected.append((slices * np.roll(slices, r, axis=1)).mean(axis=1) / shape[0])
    magnetization = phi.mean(axis=(1, 2))
    columns = {
        "magnetization": magnetization,
        "abs_magnetization": np.abs(magnetization),
        "magnetization_squared": magnetization**2,
        "magnetization_fourth": magnetization**4,
        "phi_squared": (phi**2).mean(axis=(1, 2)),
        "neighbour_product": sum((phi * np.roll(phi, 1, axis=mu)).mean(axis=(1, 2)) for mu in (1, 2)) / 2,
        "action_density": rng.normal(size=n),
        "two_point": np.stack(on_axis, axis=1),
        "correlator": np.stack(projected, axis=1),
    }
    return columns, math.acosh(1 + mass_squared / 2)


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


def test_derived_quantities_by_hand():
    shape, volume = (4, 6), 24
    rng = np.random.default_rng(3)
    means = {name: np.asarray(rng.random()) for name in (*COLUMNS, "magnetization_squared", "magnetization_fourth")}
    means |= {"two_point": rng.random(4), "correlator": rng.random(4) + 5}
    derived = derive_scalar(shape)(means)
    m, square = means["magnetization"], means["magnetization_squared"]
    expected = {
        "susceptibility": volume * (square - m**2),
        "ising_energy": means["neighbour_product"] - m**2,
        "phi_squared": means["phi_squared"],
        "abs_magnetization": means["abs_magnetization"],
        "abs_susceptibility": volume * (square - means["abs_magnetization"] ** 2),
        "binder_cumulant": 1 - means["magnetization_fourth"] / (3 * square**2),
        "action_density": means["action_density"],
        "two_point": means["two_point"] - m**2,
        "correlator": means["correlator"] - 4 * m**2,
    }
    assert set(derived) == {*expected, "effective_mass", "pole_mass", "pole_mass_times_length"}
    for name, value in expected.items():
        assert_allclose(derived[name], value, rtol=1e-14)


def test_a_constant_field_has_no_connected_part():
    c = 0.7
    means = {name: np.asarray(c**2) for name in ("magnetization_squared", "neighbour_product", "phi_squared")}
    means |= {"magnetization": np.asarray(c), "abs_magnetization": np.asarray(c), "action_density": np.asarray(0.0)}
    means |= {
        "magnetization_fourth": np.asarray(c**4),
        "two_point": np.full(3, c**2),
        "correlator": np.full(3, 5 * c**2),
    }
    derived = derive_scalar((5, 4))(means)
    for name in ("susceptibility", "ising_energy", "two_point", "correlator", "abs_susceptibility"):
        assert_allclose(derived[name], 0, atol=1e-14)
    assert derived["binder_cumulant"] == pytest.approx(2 / 3)
    assert math.isnan(derived["pole_mass"])


def assert_exact_free_field(estimates, shape, mass_squared, pole_mass):
    assert abs(estimates["susceptibility"][0].value - 0.5 / mass_squared) < 5 * estimates["susceptibility"][0].error
    mass, scaled = estimates["pole_mass"][0], estimates["pole_mass_times_length"][0]
    assert mass.error < 0.03 * pole_mass
    assert abs(mass.value - pole_mass) < 5 * mass.error
    assert scaled.value == pytest.approx(shape[-1] * mass.value)
    assert scaled.error == pytest.approx(shape[-1] * mass.error, rel=1e-6)
    assert math.isnan(estimates["effective_mass"][0].value)
    for estimate in estimates["effective_mass"][1:]:
        assert abs(estimate.value - pole_mass) < 5 * estimate.error


def test_chain_estimates_of_the_free_field():
    # 40 000 independent fields: pole mass to 2 %; its exact value is arccosh(1 + m²/2) at every time
    shape, mass_squared = (4, 8), 0.5
    columns, pole_mass = free_columns(np.random.default_rng(30), shape, 40_000, mass_squared=mass_squared)
    chains = {name: column.reshape(8, 5000, *column.shape[1:]) for name, column in columns.items()}
    estimates = scalar_chain_estimates(chains, shape)
    assert_exact_free_field(estimates, shape, mass_squared, pole_mass)
    assert estimates["pole_mass"][0].tau_int == pytest.approx(0.5, abs=0.05)


def test_weighted_estimates_of_the_free_field():
    # the same fields reweighted from m² = 0.6 to 0.5: weights exp(0.1 Σφ²)
    shape, mass_squared = (4, 8), 0.5
    columns, _ = free_columns(np.random.default_rng(31), shape, 60_000, mass_squared=0.6)
    lw = 0.1 * 32 * columns["phi_squared"]
    estimates = scalar_weighted_estimates(columns, lw, shape)
    assert_exact_free_field(estimates, shape, mass_squared, math.acosh(1.25))


def test_a_lattice_without_a_mass_still_has_its_other_observables():
    columns, _ = free_columns(np.random.default_rng(32), (4, 1), 1000, mass_squared=1.0)
    estimates = scalar_weighted_estimates(columns, np.zeros(1000), (4, 1))
    assert not estimates["pole_mass"][0].exists
    assert estimates["susceptibility"][0].exists
