"""Errors beside a slow mode, and of anticorrelated series: exact autocorrelations, and coverage."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from latflow.stats.gamma import chain_estimates, gamma_estimate, slow_modes
from latflow.stats.replicas import Chains
from latflow.stats.slow_modes import below_half


def autoregressive(rng, shape, *, rho):
    noise = rng.normal(size=shape)
    noise[:, 1:] *= math.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], noise, axis=1)


SHARE, RHO = 0.05, 0.98
TAU = 0.5 * (1 - SHARE) + SHARE * (0.5 + RHO / (1 - RHO))
"""Of an observable that depends on a slow mode with 5 % of its variance: 2.95, where its window shows 0.6."""


def beside_a_slow_mode(rng, *, share=SHARE):
    """Eight chains of 1000 records, the observable and the slow mode."""
    slow = autoregressive(rng, (8, 1000), rho=RHO)
    return math.sqrt(share) * slow + math.sqrt(1 - share) * rng.normal(size=slow.shape), slow


def estimated(observable, slow):
    chains = Chains(slow=slow_modes({"charge": slow}))
    return chain_estimates({"x": observable}, lambda means: means, replicas=chains)["x"][0]


def test_errors_beside_a_slow_mode_cover():
    """300 repetitions: a binomial error of 2.7 % at one error. Without the tail 0.4 are covered, and 0.86 at three."""
    rng = np.random.default_rng(1)
    alone, whole = [], []
    for _ in range(300):
        observable, slow = beside_a_slow_mode(rng)
        for found, pulls in ((gamma_estimate(observable), alone), (estimated(observable, slow), whole)):
            pulls.append(abs(found.value) / found.error)
    alone, whole = np.array(alone), np.array(whole)
    assert np.mean(alone < 1) < 0.5
    assert np.mean(alone < 3) < 0.95
    assert abs(np.mean(whole < 1) - 0.683) < 0.081
    assert np.mean(whole < 3) > 0.98


def test_the_tail_is_that_of_the_slow_mode():
    """τ_int of the whole, to 5 of the errors that it states; its window alone sees a quarter."""
    observable, slow = beside_a_slow_mode(np.random.default_rng(3))
    found = estimated(observable, slow)
    assert found.slow_mode == "charge"
    assert gamma_estimate(observable).tau_int < 0.4 * TAU
    assert found.tau_int_error < 0.3 * TAU
    assert abs(found.tau_int - TAU) < 5 * found.tau_int_error
    assert found.error == pytest.approx(observable.std() * math.sqrt(2 * found.tau_int / observable.size), rel=0.02)


def test_what_does_not_depend_on_it_keeps_its_error():
    rng = np.random.default_rng(3)
    for _ in range(20):
        observable, slow = beside_a_slow_mode(rng, share=0.0)
        found = estimated(observable, slow)
        assert found.slow_mode == ""
        assert found == gamma_estimate(observable)
    assert estimated(slow, slow) == gamma_estimate(slow)


def test_a_square_may_be_what_is_slow():
    """A Wilson loop depends on Q², not on Q, of which it is uncorrelated by symmetry."""
    rng = np.random.default_rng(4)
    slow = autoregressive(rng, (8, 2000), rho=RHO)
    observable = 0.2 * (slow**2 - 1) + rng.normal(size=slow.shape)
    assert estimated(observable, slow).tau_int < 2
    squares = Chains(slow=slow_modes({"Q": slow, "Q²": slow**2}))
    found = chain_estimates({"x": observable}, lambda means: means, replicas=squares)["x"][0]
    assert found.slow_mode == "Q²"
    # Q² has the autocorrelation ρ², and 0.04 · 2 of the variance of 1.08
    tau = 0.5 / 1.08 + 0.08 / 1.08 * (0.5 + RHO**2 / (1 - RHO**2))
    assert abs(found.tau_int - tau) < 5 * found.tau_int_error


def test_what_is_fast_or_constant_is_no_slow_mode():
    rng = np.random.default_rng(5)
    columns = {"fast": rng.normal(size=(4, 500)), "constant": np.full((4, 500), 3.0), "none": np.zeros((4, 500))}
    columns |= {"broken": np.full((4, 500), math.nan), "slow": autoregressive(rng, (4, 500), rho=0.95)}
    assert [mode.name for mode in slow_modes(columns)] == ["slow"]


@pytest.mark.parametrize(("rho", "n"), [(-0.5, 4000), (-0.9, 40_000)])
def test_anticorrelated_series(rho, n):
    """AR(1) of ρ = −½ has τ_int = 1/6; with the ½ of pyerrors its error was 1.7 times too large."""
    tau = 0.5 + rho / (1 - rho)
    series = autoregressive(np.random.default_rng(6), (4, n // 4), rho=rho)
    found = gamma_estimate(series)
    assert found.tau_int == pytest.approx(tau, rel=0.25)
    assert abs(found.tau_int - tau) < 5 * found.tau_int_error
    assert found.error == pytest.approx(math.sqrt(2 * tau / n), rel=0.12)


def test_errors_of_anticorrelated_series_cover():
    """1000 repetitions: binomial error 1.5 %; the error that was 1.7 times too large covered 0.92."""
    rng = np.random.default_rng(7)
    found = [gamma_estimate(autoregressive(rng, (4, 200), rho=-0.5)) for _ in range(1000)]
    pulls = np.array([abs(each.value) / each.error for each in found])
    assert abs(np.mean(pulls < 1) - 0.683) < 0.045
    assert np.mean(pulls < 3) > 0.99


def test_noise_does_not_make_a_series_anticorrelated():
    rng = np.random.default_rng(8)
    found = [gamma_estimate(rng.normal(size=(4, 100))) for _ in range(200)]
    assert sum(each.tau_int < 0.5 for each in found) <= 2
    assert below_half(np.array([1.0, -0.1, 0.0, 0.0]), 100) is None
    assert below_half(np.array([1.0, -1.0, 1.0, -1.0]), 100) is None
    assert below_half(np.array([1.0]), 100) is None
    # alternating with a slow part beside: pairs are summed as long as they are positive
    tau, window = below_half(np.array([1.0, -0.6, 0.4, -0.1, 0.3, -0.1, 0.1, -0.3]), 1000)
    assert (tau, window) == (pytest.approx(0.4 + 0.3 + 0.2 - 0.5), 5)
