"""Images of a flow's own draws show a vacuum that it has lost, and accuse no flow that has lost nothing."""

import math

import numpy as np
import pytest

from latflow.stats.images import representatives, unseen
from latflow.stats.reliability import HIDDEN_LIMIT, RELIABLE, UNDERESTIMATED, UNRESOLVED, judge_draws, with_images


def two_vacua(x, share, width=1.0, at=6.0):
    """Logarithm of a density of two vacua in one dimension, the second with weight `share`."""
    parts = [-0.5 * ((x - a) / width) ** 2 - math.log(width) for a in (at, -at)]
    with np.errstate(divide="ignore"):
        return np.logaddexp(math.log1p(-share) + parts[0], np.log(share) + parts[1])


def drawn(rng, share, width, n):
    """Draws, their weights under two equal vacua, and part of the theory that images show unseen."""
    x = 6.0 * np.where(rng.random(n) < share, -1, 1) + width * rng.normal(size=n)
    log_w = two_vacua(x, 0.5) - two_vacua(x, share, width)
    picked = -x[representatives(log_w)]
    return log_w, unseen((two_vacua(picked, 0.5) - two_vacua(picked, share, width))[:, None], log_w)


def test_representatives_are_picked_as_often_as_they_weigh():
    log_w = np.log([1.0, 0.0, 5.0, 2.0], where=[True, False, True, True], out=np.full(4, -np.inf)) + 700.0
    assert np.bincount(representatives(log_w, most=4), minlength=4).tolist() == [0, 0, 3, 1]
    assert representatives(np.zeros(1000)).tolist() == representatives(np.full(1000, -1e4)).tolist()
    assert np.unique(representatives(np.zeros(1000))).size == 256
    assert representatives(np.zeros(10)).tolist() == list(range(10))


@pytest.mark.parametrize("share", [0.0, 1e-7])
def test_a_lost_vacuum_is_seen(share):
    """The weights alone are perfect: half of the theory has larger ones."""
    log_w, found = drawn(np.random.default_rng(1), share, 1.04, 4096)
    assert judge_draws(log_w).state == RELIABLE
    assert found == pytest.approx(0.5, abs=0.01)
    judged = with_images(judge_draws(log_w), found)
    assert judged.state == UNDERESTIMATED
    assert judged.reasons == ("a symmetry of the action leads to 50 % of the theory that no draw has reached",)


def test_vacua_that_are_there_are_not_called_lost():
    """Two hundred flows, the second vacuum drawn with 0.02 to 0.98: none of the reliable ones is accused."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        log_w, found = drawn(rng, 0.02 + 0.96 * rng.random(), rng.choice([1.02, 1.1, 1.2]), 4096)
        judged = judge_draws(log_w)
        assert with_images(judged, found).state == judged.state, found


def test_equal_weights_that_differ_by_rounding_are_seen():
    log_w = 0.1 * np.random.default_rng(3).normal(size=1000)
    assert unseen(log_w[representatives(log_w)][:, None] + 1e-9, log_w) == 0.0
    assert with_images(judge_draws(log_w), 0.0).is_reliable


def test_what_is_no_number_is_unseen():
    log_w = 0.1 * np.random.default_rng(4).normal(size=1000)
    for bad in (math.nan, math.inf):
        found = unseen(np.full((256, 1), bad), log_w)
        assert found == 0.5
        assert not with_images(judge_draws(log_w), found).is_reliable
    assert math.isnan(unseen(np.empty((0, 1)), log_w))
    assert with_images(judge_draws(log_w), math.nan).state == UNRESOLVED


def test_where_nothing_was_looked_at_nothing_changes():
    judged = judge_draws(0.3 * np.random.default_rng(5).normal(size=4096))
    assert with_images(judged, None) is judged
    seen = HIDDEN_LIMIT / math.sqrt(judged.effective)
    assert with_images(judged, 0.99 * seen).is_reliable
    assert with_images(judged, 1.01 * seen).state == UNDERESTIMATED
    assert with_images(judged, 0.95).state == UNRESOLVED
