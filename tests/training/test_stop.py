"""Every criterion ends a training, the first one that is met, and says which."""

import pytest

from latflow.errors import ConfigError
from latflow.training.stop import StopCriterion


def record(**changes):
    return {"step": 100, "seconds": 10.0, "acceptance": 0.5, "reweighting_ess": 0.4, "loss": -1.0} | changes


@pytest.mark.parametrize(
    ("limit", "value", "met", "unmet"),
    [
        ("acceptance", 0.7, {"acceptance": 0.7}, {"acceptance": 0.69}),
        ("ess", 0.6, {"reweighting_ess": 0.61}, {"reweighting_ess": 0.59}),
        ("steps", 200, {"step": 200}, {"step": 199}),
        ("minutes", 1.0, {"seconds": 60.5}, {"seconds": 59.9}),
    ],
)
def test_limits(limit, value, met, unmet):
    stop = StopCriterion(**{limit: value})
    assert stop.reason([record(**met)]) == limit
    assert stop.reason([record(**unmet)]) is None


def test_plateau_counts_evaluations_since_the_lowest_loss():
    losses = [-1.0, -3.0, -2.0, -2.9]
    history = [record(loss=loss) for loss in losses]
    assert StopCriterion(plateau=2).reason(history) == "plateau"
    assert StopCriterion(plateau=3).reason(history) is None
    assert StopCriterion(plateau=2).reason([*history, record(loss=-3.1)]) is None


def test_first_of_several():
    stop = StopCriterion(acceptance=0.9, steps=100, minutes=0.1)
    assert stop.reason([record()]) == "steps"


def test_nothing_is_met_before_the_first_evaluation():
    assert StopCriterion(steps=1).reason([]) is None


def test_no_limit_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"training\.stop"):
        StopCriterion()


def test_seconds_are_read_as_minutes_and_deprecated():
    with pytest.warns(DeprecationWarning, match=r"deprecated: say minutes=1\.5"):
        stop = StopCriterion(seconds=90.0)
    assert stop == StopCriterion(minutes=1.5)
    with pytest.raises(ConfigError, match="minutes and seconds; allowed: minutes"):
        StopCriterion(seconds=90.0, minutes=1.5)
