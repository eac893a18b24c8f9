import math

import numpy as np
import pytest
from scipy.signal import lfilter

from latflow.stats.estimates import ConstantSeriesError, NonFiniteSeriesError, SeriesShapeError, TooShortError
from latflow.stats.gamma import _fast_prefix, chain_covariance, chain_estimates, gamma_estimate


def autoregressive(rng, shape, *, rho):
    """Stationary AR(1) of variance 1 along axis 1: τ_int = ½ + ρ/(1−ρ), variance of a long mean 2τ_int/N."""
    noise = rng.normal(size=shape)
    noise[:, 1:] *= math.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], noise, axis=1)


def identity(means):
    return means


@pytest.mark.parametrize(("rho", "chains", "n"), [(0.0, 64, 1000), (0.5, 16, 4001), (0.9, 1, 200_000)])
def test_autocorrelation_time_of_ar1(rho, chains, n):
    # sees a factor 2 of convention, a dropped term of the sum, or a tau wrong by 5 of the errors, themselves below 5 %
    estimate = gamma_estimate(autoregressive(np.random.default_rng(5), (chains, n), rho=rho))
    tau = 0.5 + rho / (1 - rho)
    assert estimate.tau_int_error < 0.05 * tau
    assert abs(estimate.tau_int - tau) < 5 * estimate.tau_int_error + 0.01
    assert estimate.error == pytest.approx(math.sqrt(2 * tau / (chains * n)), rel=0.1)
    assert abs(estimate.value) < 5 * estimate.error
    assert estimate.n == chains * n


def covered(rng, *, repeats, chains, n, rho):
    """Fraction of repetitions whose printed error covers the true mean, many series at a time."""
    hits = 0
    for _ in range(repeats // 100):
        series = autoregressive(rng, (chains, n, 100), rho=rho)
        estimates = chain_estimates({"x": series}, identity)["x"]
        hits += sum(abs(estimate.value) < estimate.error for estimate in estimates)
    return hits / (repeats // 100 * 100)


def test_error_bars_of_a_chain_cover():
    # E15; 4000 repetitions: binomial error 0.74 %, the tolerance of 2 % is 2.7 of them; an error wrong by 4.5 % shows
    fraction = covered(np.random.default_rng(11), repeats=4000, chains=4, n=400, rho=0.6)
    assert abs(fraction - 0.683) < 0.02


@pytest.mark.nightly
@pytest.mark.parametrize(("chains", "n", "rho"), [(1, 5000, 0.9), (8, 1000, 0.8), (64, 300, 0.6)])
def test_error_bars_of_a_chain_cover_at_larger_size(chains, n, rho):
    # 10 000 repetitions: binomial error 0.47 %, the tolerance is 4.3 of them
    fraction = covered(np.random.default_rng(12), repeats=10_000, chains=chains, n=n, rho=rho)
    assert abs(fraction - 0.683) < 0.02


def test_derived_quantities_have_the_error_of_linear_propagation():
    rng = np.random.default_rng(3)
    x = 2 + autoregressive(rng, (4, 3000), rho=0.5)
    y = 1 + 0.5 * rng.normal(size=(4, 3000))
    result = chain_estimates(
        {"x": x, "y": y}, lambda m: {"ratio": m["x"] / m["y"], "both": np.stack([m["x"], -m["x"]])}
    )
    projected = (x - x.mean()) / y.mean() - (y - y.mean()) * x.mean() / y.mean() ** 2
    expected = gamma_estimate(projected)
    assert result["ratio"][0].value == pytest.approx(x.mean() / y.mean(), rel=1e-14)
    assert result["ratio"][0].error == pytest.approx(expected.error, rel=1e-6)
    assert result["ratio"][0].tau_int == pytest.approx(expected.tau_int, rel=1e-6)
    assert [round(estimate.value, 12) for estimate in result["both"]] == [round(x.mean(), 12), round(-x.mean(), 12)]


def test_chains_that_disagree_enlarge_the_error():
    rng = np.random.default_rng(8)
    agreeing = rng.normal(size=(8, 400))
    disagreeing = agreeing + np.arange(8)[:, None]
    assert gamma_estimate(disagreeing).error > 10 * gamma_estimate(agreeing).error


def test_long_rejection_runs_are_data():
    rng = np.random.default_rng(2)
    lengths = np.full(3000, 1)
    lengths[[100, 900, 2000]] = 500
    series = np.repeat(rng.normal(size=3000), lengths)[None]
    estimate = gamma_estimate(series)
    assert estimate.exists
    assert estimate.tau_int > 10
    frozen_beside_moving = np.concatenate([np.zeros((1, 500)), rng.normal(size=(3, 500))])
    assert gamma_estimate(frozen_beside_moving).exists


def test_what_does_not_exist_is_nan_and_costs_nothing_else():
    x = np.random.default_rng(1).normal(size=(2, 100))
    result = chain_estimates({"x": x}, lambda m: {"log": np.log(m["x"] - 100), "x": m["x"], "one": m["x"] / m["x"]})
    assert math.isnan(result["log"][0].value)
    assert math.isnan(result["log"][0].error)
    assert result["log"][0].tau_int is None
    assert result["x"][0].exists
    assert result["one"][0].error < 1e-6


@pytest.mark.parametrize(
    ("series", "error"),
    [
        (np.full((2, 100), 3.0), ConstantSeriesError),
        (np.where(np.arange(200).reshape(2, 100) == 55, np.nan, 1.0), NonFiniteSeriesError),
        (np.arange(14.0).reshape(2, 7), TooShortError),
    ],
)
def test_data_without_an_error_are_refused(series, error):
    with pytest.raises(error) as caught:
        gamma_estimate(series)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("n", [8, 9, 10, 11, 12, 13, 97])
@pytest.mark.parametrize("chains", [1, 3])
def test_the_shortest_series_have_errors(chains, n):
    assert gamma_estimate(np.random.default_rng(n).normal(size=(chains, n))).exists


@pytest.mark.parametrize("n", [1, 3, 8, 101, 4001, 99_991, 199_999, 200_000])
def test_transforms_are_of_lengths_without_large_primes(n):
    cut = _fast_prefix(n)
    assert 0.9 * n - 3 <= cut <= n
    if n >= 4:
        length = 3 * cut // 2
        assert length % 2 == 0
        for prime in (2, 3, 5):
            while length % prime == 0:
                length //= prime
        assert length == 1


def test_cutting_a_chain_for_speed_does_not_change_its_error():
    series = autoregressive(np.random.default_rng(4), (1, 100_003), rho=0.7)
    cut = _fast_prefix(100_003)
    assert cut < 100_003
    estimate, uncut = gamma_estimate(series), gamma_estimate(series[:, :cut])
    assert estimate.error == pytest.approx(uncut.error * math.sqrt(cut / 100_003), rel=0.02)
    assert estimate.n == 100_003


def test_covariance_of_binned_chains():
    # 400 bins: a variance is known to 7 %, the tolerance is 5 of that
    rng = np.random.default_rng(6)
    base = autoregressive(rng, (4, 20_000, 2), rho=0.5)
    series = {"x": base[..., 0], "y": base[..., 0] + 2 * base[..., 1]}
    covariance = chain_covariance(series, lambda m: {"v": np.stack([m["x"], m["y"], m["x"] + m["y"]])})
    single = np.array([[1, 1, 2], [1, 5, 6], [2, 6, 8]]) * 3 / 80_000
    np.testing.assert_allclose(covariance, single, rtol=0.36)
    assert covariance[0, 0] + 2 * covariance[0, 1] + covariance[1, 1] == pytest.approx(covariance[2, 2], rel=1e-6)
    assert chain_covariance({"x": base[..., 0]}, identity).shape == (1, 1)
    assert np.all(np.isfinite(chain_covariance({"x": base[:1, :8, 0]}, identity)))


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1.0, 1e200])
def test_errors_follow_the_size_of_a_series(size):
    """Squares of small numbers are zero and of large ones infinite: their error was 0, or not a number."""
    series = np.random.default_rng(3).normal(size=(2, 200))
    ordinary, found = gamma_estimate(series), gamma_estimate(series * size)
    for name in ("value", "error"):
        assert getattr(found, name) == pytest.approx(size * getattr(ordinary, name), rel=1e-9)
    assert found.tau_int == pytest.approx(ordinary.tau_int, rel=1e-9)


def test_a_small_series_beside_an_ordinary_one():
    rng = np.random.default_rng(4)
    series = {"a": rng.normal(size=(2, 200)), "b": 1e-250 * rng.normal(size=(2, 200))}
    found = chain_estimates(series, lambda means: {"a": means["a"], "b": means["b"]})
    assert found["a"][0].error == pytest.approx(gamma_estimate(series["a"]).error, rel=1e-9)
    assert found["b"][0].error == pytest.approx(gamma_estimate(series["b"]).error, rel=1e-9)
    assert found["b"][0].error > 1e-252


@pytest.mark.parametrize("size", [1e-300, 0.3, 1e12])
def test_a_series_that_differs_by_rounding_is_constant(size):
    series = np.full((2, 50), size)
    series[0, ::7] = np.nextafter(size, np.inf)
    with pytest.raises(ConstantSeriesError, match=r"series: .* in all 100 records, up to rounding"):
        gamma_estimate(series)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (np.ones((2, 20)) * 1j, "series: complex numbers; allowed: real ones"),
        (np.full((2, 20), "x"), "series: an array of <U1; allowed: real numbers"),
    ],
)
def test_what_is_no_column_is_refused(column, says):
    """The imaginary part was dropped without a word."""
    with pytest.raises(SeriesShapeError, match=says):
        chain_estimates({"series": column}, lambda means: means)
