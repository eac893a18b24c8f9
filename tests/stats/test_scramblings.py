"""Errors of quasi-random averages come from the scatter of scramblings."""

import math

import numpy as np
import pytest
from scipy.stats import norm, qmc

from latflow.stats.estimates import SeriesShapeError, TooShortError
from latflow.stats.scramblings import Scrambled, scrambled_covariance, scrambled_estimates, scrambled_log_z
from latflow.stats.weights import weighted_estimates

SHIFT = 0.5


def points(seed, *, scramblings=16, n=64):
    """Draws of N(0, 1)² from scrambled Sobol points, with log-weights towards N(s, 1) in the first direction."""
    u = [qmc.Sobol(2, scramble=True, rng=np.random.default_rng([seed, r])).random(n) for r in range(scramblings)]
    x = norm.ppf(np.concatenate(u) + 2.0**-31)
    return {"x": x[:, 0], "xx": x[:, 0] ** 2, "both": x}, Scrambled(SHIFT * x[:, 0] - SHIFT**2 / 2, scramblings)


def moments(means):
    return {"mean": means["x"], "variance": means["xx"] - means["x"] ** 2}


def test_values_are_those_of_all_draws():
    series, draws = points(1)
    plain = weighted_estimates(series, draws.log_weights, moments)
    for name, (found,) in scrambled_estimates(series, draws, moments).items():
        assert found.value == plain[name][0].value
        assert found.n == 16 * 64


def test_errors_are_the_spread_of_repetitions_and_far_below_those_of_random_draws():
    """300 repetitions know a spread to 4.1 %, the tolerance is 5 of that; values within 5σ of 0.5, 1 and log Z = 0."""
    found = [(*scrambled_estimates(s, d, moments).values(), [scrambled_log_z(d)]) for s, d in map(points, range(300))]
    for truth, each in zip((SHIFT, 1.0, 0.0), zip(*found, strict=True), strict=True):
        values, errors = (np.array([getattr(e, name) for (e,) in each]) for name in ("value", "error"))
        spread = values.std(ddof=1)
        assert math.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.21)
        assert abs(values.mean() - truth) < 5 * spread / math.sqrt(300)
    series, draws = points(0)
    random = weighted_estimates(series, draws.log_weights, moments)["mean"][0].error
    assert random > 5 * found[0][0][0].error


def test_errors_cover():
    """1σ of Student's t with 15 degrees of freedom covers .667: 300 trials, ±.136 is 5σ."""
    found = [scrambled_estimates(*points(seed), moments)["mean"][0] for seed in range(1000, 1300)]
    assert np.mean([abs(e.value - SHIFT) < e.error for e in found]) == pytest.approx(0.667, abs=0.136)


def test_covariance_has_the_variances_of_the_estimates():
    series, draws = points(2)
    errors = [e.error for (e,) in scrambled_estimates(series, draws, moments).values()]
    np.testing.assert_allclose(np.sqrt(np.diag(scrambled_covariance(series, draws, moments))), errors, rtol=1e-12)
    assert len(scrambled_estimates(series, draws, lambda m: {"both": m["both"]})["both"]) == 2


def test_what_gives_no_error_is_refused():
    with pytest.raises(TooShortError, match="at least 8"):
        Scrambled(np.zeros(64), 4)
    with pytest.raises(SeriesShapeError, match="equally many"):
        Scrambled(np.zeros(63), 8)
