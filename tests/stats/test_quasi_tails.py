"""Averages of quasi-random draws whose errors rest on the tail of what they sum."""

import numpy as np

from latflow.stats.quasi_tails import FEWEST_TERMS_BEHIND, rests_on_tail


def test_an_average_whose_terms_have_a_heavy_tail_or_are_few_has_a_lower_bound():
    """Student's t with 3 degrees of freedom has k = 1/3: k̂ of 16 384 terms is known to 0.07."""
    rng = np.random.default_rng(3)
    light, heavy = rng.standard_normal(16_384), rng.standard_t(3, 16_384)
    few = np.where(np.arange(16_384) < FEWEST_TERMS_BEHIND / 2, 1.0, 0.0)
    terms = np.stack([light, heavy, few, np.sign(light), np.zeros(16_384)], axis=1)
    assert list(rests_on_tail(terms, np.eye(5))) == [False, True, True, False, False]
    assert list(rests_on_tail(terms, np.array([[1.0, 0, 0, 1, 0], [np.nan, 0, 0, 0, 0]]))) == [False, False]
