"""Free-energy differences against Gaussian integrals, where every Z is known."""

import math

import numpy as np
import pytest

from latflow.stats.estimates import Estimate
from latflow.stats.free_energy import (
    chain_log_z_difference,
    free_energy_density,
    independent_difference,
    weighted_log_z_difference,
)
from latflow.stats.weights import log_z

SITES = 6
"""S = a Σx² with a = 1/2 and a' = 0.65: ln Z' − ln Z = −(6/2) ln(a'/a)."""
EXACT = -SITES / 2 * math.log(0.65 / 0.5)


def shift_of_action(x):
    return 0.15 * np.sum(x**2, axis=-1)


def test_chains():
    """Autocorrelated chains: x is an AR(1) process with τ_int ≈ 4.5; the error is about 0.005."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(5000, 16, SITES))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, len(x)):
        x[t] = 0.8 * x[t - 1] + 0.6 * noise[t]
    found = chain_log_z_difference(shift_of_action(x).T)
    assert abs(found.value - EXACT) < 5 * found.error
    assert found.error < 0.01
    assert found.tau_int > 1.5


def test_weighted_draws():
    """Draws from a normal of width 1.2 with weights; the difference is known better than either log Z."""
    rng = np.random.default_rng(2)
    x = 1.2 * rng.normal(size=(100_000, SITES))
    log_weights = -0.5 * np.sum(x**2, axis=-1) + 0.5 * np.sum((x / 1.2) ** 2, axis=-1)
    found = weighted_log_z_difference(shift_of_action(x), log_weights)
    assert abs(found.value - EXACT) < 5 * found.error
    assert found.error < math.hypot(log_z(log_weights).error, log_z(log_weights - shift_of_action(x)).error)
    assert found.error < 0.005


@pytest.mark.parametrize("constant", [0.0, 700.0])
def test_actions_that_differ_by_a_constant(constant):
    delta = np.full((2, 50), constant)
    assert chain_log_z_difference(delta) == Estimate(-constant, 0.0, n=100)
    weights = np.random.default_rng(3).normal(size=50)
    assert weighted_log_z_difference(delta[0], weights).value == pytest.approx(-constant, abs=1e-12)


def test_a_large_shift_does_not_underflow():
    delta = 2000 + np.random.default_rng(4).normal(size=(4, 100))
    assert -2002 < chain_log_z_difference(delta).value < -1998


def test_density():
    assert free_energy_density(Estimate(8.0, 0.4, n=7), volume=4) == Estimate(-2.0, 0.1, n=7)


def test_states_of_log_z_go_with_what_is_made_of_it():
    bound, good = Estimate(2.0, 0.3, state="error underestimated"), Estimate(1.5, 0.4, state="reliable")
    assert free_energy_density(bound, volume=4).state == "error underestimated"
    assert independent_difference(good, bound).state == independent_difference(bound, good).state == bound.state
    assert independent_difference(good, good).state == "reliable"
