import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latflow.stats.estimates import ConstantSeriesError, TooShortError
from latflow.stats.runs import error_against_n, r_hat, rejection_runs


def naive_runs(accepted):
    """Runs by walking along every chain."""
    counts = {}
    for chain in accepted:
        length, seen = 0, False
        for step in chain:
            if step:
                if seen or length:
                    counts[length] = counts.get(length, 0) + 1
                length, seen = 0, True
            else:
                length += 1
        if length:
            counts[length] = counts.get(length, 0) + 1
    return counts


@given(hnp.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 30))))
def test_runs_are_those_of_walking_along_the_chains(accepted):
    counts = rejection_runs(accepted)
    assert {length: count for length, count in enumerate(counts) if count} == naive_runs(accepted)
    assert counts @ np.arange(counts.size) == np.count_nonzero(~accepted)


def test_runs_of_independent_decisions_are_geometric():
    # 7·10⁴ runs: 5σ of each entry
    accepted = np.random.default_rng(1).random((10, 10_000)) < 0.7
    counts = rejection_runs(accepted)
    expected = counts.sum() * 0.7 * 0.3 ** np.arange(counts.size)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected + 1))


def test_r_hat_of_agreeing_and_disagreeing_chains():
    noise = np.random.default_rng(2).normal(size=(8, 1000))
    assert abs(r_hat(noise) - 1) < 0.01
    assert r_hat(noise + np.arange(8)[:, None]) > 1.5
    # a drift common to all chains is seen because chains are split: halves at ∓1/2 around a spread of 1
    drift = np.where(np.arange(1000) < 500, 0.0, 1.0)
    assert r_hat(noise + drift) == pytest.approx(math.sqrt(1 + 0.25 * 16 / 15), abs=0.02)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200])
def test_r_hat_does_not_depend_on_the_unit(size):
    series = np.random.default_rng(8).normal(size=(8, 100))
    assert r_hat(size * series) == pytest.approx(r_hat(series), rel=1e-9)


def test_r_hat_of_chains_that_stand_still():
    assert r_hat(np.repeat([[0.0], [1.0]], 20, axis=1)) == math.inf
    with pytest.raises(ConstantSeriesError):
        r_hat(np.zeros((2, 20)))
    with pytest.raises(TooShortError):
        r_hat(np.random.default_rng(0).normal(size=(2, 7)))


def test_errors_fall_like_one_over_root_n():
    # errors known to 1 … 6 %; a missing factor √2 shows
    series = np.random.default_rng(3).normal(size=(4, 10_000))
    estimates = error_against_n(series, [402, 4000, 40_000, 400_000])
    assert [estimate.n for estimate in estimates] == [404, 4000, 40_000]
    for estimate in estimates:
        assert estimate.error * math.sqrt(estimate.n) == pytest.approx(1.0, rel=0.25)
    assert estimates[-1].value == pytest.approx(series.mean(), rel=1e-12)


def test_sizes_that_cannot_be_analysed_are_left_out():
    series = np.concatenate([np.zeros(20), np.random.default_rng(4).normal(size=80)])[None]
    assert [estimate.n for estimate in error_against_n(series, [4, 10, 50])] == [50]
    with pytest.raises(TooShortError):
        error_against_n(series, [4, 1000])
