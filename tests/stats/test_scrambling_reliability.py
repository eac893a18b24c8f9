"""Quasi-random averages are judged scrambling by scrambling."""

import numpy as np
import pytest

from latflow.stats.estimates import Estimate, NonFiniteSeriesError
from latflow.stats.reliability import RELIABLE, FromTarget, judge_draws
from latflow.stats.scrambling_reliability import judge_scramblings
from latflow.stats.scramblings import Scrambled


def weights(*, width=0.3, n=256):
    return np.random.default_rng(1).normal(0, width, 8 * n)


def test_good_weights_are_reliable_without_a_tail():
    found = judge_scramblings(Scrambled(weights(), 8))
    assert found.is_reliable
    assert (found.tail, found.longest_run, found.drift) == (None, None, None)
    assert found.n == 2048
    assert found.effective == pytest.approx(2048 * np.exp(-0.09), rel=0.03)


def test_one_scrambling_of_few_effective_draws_is_enough_to_doubt():
    log_weights = weights()
    log_weights[300] = 12.0
    found = judge_scramblings(Scrambled(log_weights, 8))
    assert found.state == "not resolved"
    assert "N·ESS of scrambling 1 is 1" in found.reasons[0]
    assert "of the weight" not in found.reasons[0]
    assert "99.8 % of scrambling 1" in found.reasons[1]


def test_few_points_are_too_few():
    found = judge_scramblings(Scrambled(weights(n=64), 8))
    assert found.state == "error underestimated"
    assert "at least 100 are needed in every one" in found.reasons[0]


def test_what_target_draws_say_of_the_flow_counts():
    of_flow = judge_draws(weights(), evidence=FromTarget(Estimate(0.7, 0.01), 0.0))
    found = judge_scramblings(Scrambled(weights(), 8), of_flow=of_flow)
    assert found.state == "error underestimated"
    assert "draws of the target show" in found.reasons[0]
    assert judge_scramblings(Scrambled(weights(), 8), of_flow=judge_draws(weights())).state == RELIABLE


def test_weights_that_are_no_numbers_are_refused():
    log_weights = weights()
    log_weights[3] = np.nan
    with pytest.raises(NonFiniteSeriesError, match="1 of 8 scramblings"):
        judge_scramblings(Scrambled(log_weights, 8))
