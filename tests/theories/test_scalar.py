"""Estimates of scalar theories: by hand, and of free fields made by numpy alone."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from latflow.theories.scalar.estimates import scalar_estimator

COLUMNS = ("magnetization", "abs_magnetization", "neighbour_product", "phi_squared", "action_density")


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


def derived_from(shape, means):
    """What the formulas make of means; fits with equal errors of all times."""
    quantities = scalar_estimator(shape).quantities
    return {q.name: np.asarray(q.derive(means, np.eye(shape[-1] // 2 + 1))) for q in quantities}


def test_derived_quantities_by_hand():
    shape, volume = (4, 6), 24
    rng = np.random.default_rng(3)
    means = {name: np.asarray(rng.random()) for name in (*COLUMNS, "magnetization_squared", "magnetization_fourth")}
    means |= {"two_point": rng.random(4), "correlator": rng.random(4) + 5}
    derived = derived_from(shape, means)
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
    derived = derived_from((5, 4), means)
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
    estimates = scalar_estimator(shape).estimates(chains, None)
    assert_exact_free_field(estimates, shape, mass_squared, pole_mass)
    assert estimates["pole_mass"][0].tau_int == pytest.approx(0.5, abs=0.05)


def test_weighted_estimates_of_the_free_field():
    # the same fields reweighted from m² = 0.6 to 0.5: weights exp(0.1 Σφ²)
    shape, mass_squared = (4, 8), 0.5
    columns, _ = free_columns(np.random.default_rng(31), shape, 60_000, mass_squared=0.6)
    lw = 0.1 * 32 * columns["phi_squared"]
    estimates = scalar_estimator(shape).estimates(columns, lw)
    assert_exact_free_field(estimates, shape, mass_squared, math.acosh(1.25))


def test_a_lattice_without_a_mass_still_has_its_other_observables():
    columns, _ = free_columns(np.random.default_rng(32), (4, 1), 1000, mass_squared=1.0)
    estimates = scalar_estimator((4, 1)).estimates(columns, np.zeros(1000))
    assert not estimates["pole_mass"][0].exists
    assert estimates["susceptibility"][0].exists
