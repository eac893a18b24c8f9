import math

import pytest

from latflow.stats.estimates import Estimate, pull


def test_pull_is_the_difference_in_combined_errors():
    assert pull(Estimate(2.0, 0.3), Estimate(1.0, 0.4)) == pytest.approx(2.0, rel=1e-15)
    assert pull(Estimate(1.0, 0.5), Estimate(2.0, 0.0)) == -2.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Estimate(math.nan, math.nan), Estimate(1.0, 0.1)),
        (Estimate(1.0, math.nan), Estimate(1.0, 0.1)),
        (Estimate(math.inf, 0.1), Estimate(1.0, 0.1)),
        (Estimate(1.0, 0.0), Estimate(2.0, 0.0)),
    ],
)
def test_pull_says_nothing_where_there_is_nothing_to_say(a, b):
    assert math.isnan(pull(a, b))


def test_an_estimate_exists_when_value_and_error_do():
    assert Estimate(1.0, 0.0).exists
    assert not Estimate(math.nan, math.nan).exists
    assert not Estimate(1.0, math.nan).exists
