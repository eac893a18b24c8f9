"""Averages of quasi-random draws whose errors rest on the tail of what they sum."""

import numpy as np

from latflow.stats.estimates import UNDERESTIMATED
from latflow.stats.quasi_tails import FEWEST_TERMS_BEHIND, rests_on_tail
from latflow.stats.scramblings import Scrambled, scrambled_estimates, scrambled_log_z

N = 16_384


def test_an_average_whose_terms_have_a_heavy_tail_or_are_few_has_a_lower_bound():
    """Student's t with 3 degrees of freedom has k = 1/3: k̂ of 16 384 terms is known to 0.07."""
    rng = np.random.default_rng(3)
    light, heavy = rng.standard_normal(N), np.abs(rng.standard_t(3, N))
    few = np.where(np.arange(N) < FEWEST_TERMS_BEHIND / 2, 1.0, 0.0)
    sign = np.sign(light)
    for weights, expected in ((np.ones(N), False), (heavy, True), (few, True)):
        terms = weights[:, None] * np.stack([sign, np.zeros(N)], axis=1)
        assert list(rests_on_tail(terms, np.eye(2), weights)) == [expected, False]
        assert list(rests_on_tail(terms, np.array([[np.nan, 0]]), weights)) == [False]


def test_a_tail_of_the_observable_alone_is_no_lower_bound():
    """With equal weights nothing is held against a flow, however heavy or few the terms are."""
    rng = np.random.default_rng(4)
    few = np.where(np.arange(N) < FEWEST_TERMS_BEHIND / 2, 1.0, 0.0)
    terms = np.stack([rng.standard_t(3, N), few], axis=1)
    assert list(rests_on_tail(terms, np.eye(2), np.ones(N))) == [False, False]


def _moments(means):
    """The susceptibility of |M| and the Binder cumulant."""
    square = means["m2"]
    return {"abs": square - means["m1"] ** 2, "binder": 1 - means["m4"] / (3 * square**2), "square": square}


def test_binder_and_absolute_susceptibility_of_few_points():
    """16 scramblings of 256 normal numbers: right with equal weights, lower bounds with those of a narrower flow."""
    z = np.random.default_rng(5).standard_normal(16 * 256)
    columns = {"m1": np.abs(z), "m2": z**2, "m4": z**4}
    for slope, state in ((0.0, None), (0.15, UNDERESTIMATED)):
        draws = Scrambled(slope * z**2, 16)
        found = scrambled_estimates(columns, draws, _moments)
        assert {each.state for (each,) in found.values()} == {state}
        assert scrambled_log_z(draws).state == state
