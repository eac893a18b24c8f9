"""Averages that are worthless say so, and good ones stay as they are."""

import dataclasses
import math

import numpy as np
import pytest

from latflow.stats.estimates import (
    RELIABLE,
    UNDERESTIMATED,
    UNRESOLVED,
    Estimate,
    NonFiniteSeriesError,
    SeriesShapeError,
    pull,
)
from latflow.stats.reliability import (
    DRIFT_LIMIT,
    FEWEST_EFFECTIVE,
    HIDDEN_LIMIT,
    LONGEST_RUN,
    TAIL_LIMIT,
    TAIL_LIMIT_ALONE,
    FromTarget,
    all_bounded,
    judge_chain,
    judge_draws,
    with_evidence,
)


def log_normal(sigma, n, seed=1):
    return sigma * np.random.default_rng(seed).normal(size=n) - sigma**2 / 2


def test_zeros_and_one_weight_of_thirty():
    """The mean was −.295 ± 2.5e-11 and k̂ .22."""
    log_weights = np.zeros(4000)
    log_weights[1234] = 30.0
    found = judge_draws(log_weights)
    assert found.state == UNRESOLVED
    assert found.tail == math.inf
    assert found.effective == pytest.approx(1.0)
    assert any("too few different values" in reason for reason in found.reasons)


def test_two_effective_draws_are_no_average():
    """Such a run printed χ = .0084(12) against .992(64)."""
    log_weights = log_normal(0.5, 4096)
    log_weights[[100, 3000]] += 20.0
    found = judge_draws(log_weights)
    assert found.effective == pytest.approx(2.0, abs=0.3)
    assert found.state == UNRESOLVED
    log_weights[[5, 50, 500, 1500]] = 25.0
    found = judge_draws(log_weights)
    assert found.largest_share < 0.3
    assert found.state == UNRESOLVED


@pytest.mark.parametrize("n", [20, 100, 4000])
def test_constant_weights_are_plain_draws(n):
    rounding = 1e-13 * np.random.default_rng(2).normal(size=n)
    for log_weights in (np.zeros(n), np.full(n, -4321.0), 7.0 + rounding):
        found = judge_draws(log_weights, np.ones(n, dtype=bool))
        assert found.is_reliable
        assert found.reasons == ()
        assert found.tail == -math.inf


def test_good_flows_stay_reliable():
    for seed in range(20):
        found = judge_draws(log_normal(0.5, 4096, seed), columns={"x": np.random.default_rng(seed).normal(size=4096)})
        assert found.is_reliable, found.reasons


@pytest.mark.parametrize("sigma", [3.0, 6.0])
def test_poor_flows_are_never_reliable(sigma):
    """log w is normal: its weights have all moments, but no affordable number of draws shows them."""
    for seed in range(20):
        assert not judge_draws(log_normal(sigma, 4096, seed)).is_reliable


def test_few_draws_are_not_resolved():
    assert judge_draws(log_normal(0.5, 9)).state == UNRESOLVED
    assert judge_draws(log_normal(0.5, 50)).state == UNDERESTIMATED


def test_two_values_have_no_tail_to_judge():
    log_weights = np.where(np.random.default_rng(3).random(4000) < 0.5, 0.0, 1.0)
    found = judge_draws(log_weights)
    assert found.tail == math.inf
    assert found.state == UNDERESTIMATED


def test_long_rejections_count_against_the_length():
    n = 4000
    run = int(LONGEST_RUN * n) + 1
    accepted = np.ones(n, dtype=bool)
    accepted[500 : 500 + run] = False
    found = judge_draws(log_normal(0.3, n), accepted)
    assert found.longest_run == run
    assert found.state == UNDERESTIMATED
    accepted[500] = True
    assert judge_draws(log_normal(0.3, n), accepted).is_reliable
    assert judge_draws(log_normal(0.3, n), np.arange(n) < n // 3).state == UNRESOLVED


def test_halves_that_differ():
    n = 4000
    rng = np.random.default_rng(4)
    column = rng.normal(size=n)
    shift = (DRIFT_LIMIT + 2) * math.sqrt(4 / n)
    drifting = column + np.where(np.arange(n) < n // 2, shift, 0.0)
    columns = {"quiet": column, "vector": np.stack([column, drifting], axis=1), "constant": np.ones(n)}
    found = judge_draws(log_normal(0.2, n), columns=columns)
    assert found.state == UNDERESTIMATED
    assert found.drift_of == "vector"
    assert found.drift > DRIFT_LIMIT
    growing = log_normal(0.2, n) + np.where(np.arange(n) < n // 2, 0.0, 0.1)
    assert judge_draws(growing).drift_of == "ln⟨w⟩"


def test_evidence_speaks_only_where_it_says_something():
    good = judge_draws(log_normal(0.3, 4096))
    assert good.is_reliable
    for gap in (None, Estimate(0.0, 6e21), Estimate(math.nan, 0.1), Estimate(-3.0, 0.1), Estimate(0.02, 0.01)):
        assert with_evidence(good, FromTarget(gap, 0.0)).is_reliable
    assert with_evidence(good, None) == good
    lost = with_evidence(good, FromTarget(Estimate(math.log(2), 0.01), 0.0))
    assert lost.state == UNDERESTIMATED
    assert lost.lost_weight == pytest.approx(0.5)
    assert with_evidence(good, FromTarget(Estimate(5.0, 0.01), 0.0)).state == UNRESOLVED
    assert with_evidence(good, FromTarget(Estimate(math.inf, 0.0), 0.0)).state == UNRESOLVED
    seen = HIDDEN_LIMIT / math.sqrt(good.effective)
    assert with_evidence(good, FromTarget(None, 0.99 * seen)).is_reliable
    assert with_evidence(good, FromTarget(None, 1.01 * seen)).state == UNDERESTIMATED
    assert with_evidence(good, FromTarget(None, 0.3)).state == UNDERESTIMATED
    assert with_evidence(good, FromTarget(None, 0.95)).state == UNRESOLVED


def test_target_draws_that_show_nothing_new_allow_heavier_tails():
    """Alone k̂ may be 0.5, with them 0.7; they make no average better that has too few effective draws."""
    rng = np.random.default_rng(6)
    heavy = 0.6 * rng.exponential(size=20_000)
    alone, told = judge_draws(heavy), judge_draws(heavy, evidence=FromTarget(None, 0.0))
    assert TAIL_LIMIT_ALONE < alone.tail < TAIL_LIMIT
    assert alone.state == UNDERESTIMATED
    assert told.is_reliable
    assert with_evidence(alone, FromTarget(None, 0.0)) == told
    poor = judge_draws(log_normal(6.0, 4096))
    assert with_evidence(poor, FromTarget(Estimate(0.0, 0.01), 0.0)).state == poor.state != RELIABLE


def test_maxima_and_the_largest_weight():
    found = judge_draws(np.log([1.0, 2.0, 1.5, 4.0, 0.5, 3.0, 1.0, 1.0]))
    assert found.maxima == 3
    assert found.largest_after == 0.5
    assert found.largest_share == pytest.approx(4 / 14)


def test_chains_without_weights():
    repeats = np.zeros((4, 500), dtype=bool)
    assert judge_chain(repeats).is_reliable
    repeats[1, 100 : 100 + int(LONGEST_RUN * 2000) + 1] = True
    found = judge_chain(repeats)
    assert found.state == UNDERESTIMATED
    assert found.effective is None
    short = np.array([[False, True, True, False]])
    assert judge_chain(short).is_reliable  # a short chain with few rejections is no flow that stands still


def test_states_go_with_estimates():
    bad = judge_draws(log_normal(0.3, 50))
    found = all_bounded({"x": [Estimate(1.0, 0.1)]}, bad)["x"][0]
    assert found == Estimate(1.0, 0.1)
    assert found.state == UNDERESTIMATED
    assert math.isnan(pull(found, Estimate(2.0, 0.1)))
    assert pull(Estimate(1.0, 0.1), Estimate(2.0, 0.0)) == pytest.approx(-10)


def test_weights_that_are_no_numbers_are_refused():
    for bad in (np.full(100, -math.inf), np.array([0.0] * 99 + [math.nan])):
        with pytest.raises(NonFiniteSeriesError):
            judge_draws(bad)


def test_draws_without_weight_count_against():
    """Nine of ten draws lie where the target has none: the others are good."""
    log_weights = np.where(np.arange(4000) % 10 == 0, log_normal(0.3, 4000), -math.inf)
    found = judge_draws(log_weights)
    assert found.effective == pytest.approx(400 * math.exp(-0.09), rel=0.1)
    assert found.effective > FEWEST_EFFECTIVE
    assert found.is_reliable
    assert dataclasses.asdict(found)["n"] == 4000


LOG_WEIGHTS = 0.3 * np.random.default_rng(5).normal(size=1000)


@pytest.mark.parametrize(
    "given",
    [
        {"accepted": np.ones(3, bool)},
        {"accepted": np.ones(1000)},
        {"columns": {"a": np.zeros(99)}},
        {"columns": {"a": np.full(1000, np.nan)}},
    ],
)
def test_what_does_not_belong_to_the_draws_is_refused(given):
    with pytest.raises((SeriesShapeError, NonFiniteSeriesError, TypeError)):
        judge_draws(LOG_WEIGHTS, **given)


def test_columns_of_draws_without_weight_are_not_read():
    log_weights, column = LOG_WEIGHTS.copy(), np.zeros(1000)
    log_weights[3], column[3] = -np.inf, np.nan
    assert judge_draws(log_weights, columns={"a": column}).n == 1000
