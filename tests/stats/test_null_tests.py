"""Null tests of control variates: false alarms of few chains, and the bias that is seen."""

import numpy as np
import pytest

from latflow.stats.cross_fitting import cross_fit
from latflow.stats.null_tests import LEAST_PROBABILITY, POWER, NullTests, null_tests

ENSEMBLES = 40


def _chains(seed: int, *, chains: int, records: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Observable and three variates of mean zero that explain it, of chains with τ_int = 1.5, one not symmetric."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(chains, records, 4))
    for i in range(1, records):
        z[:, i] = 0.5 * z[:, i - 1] + np.sqrt(0.75) * z[:, i]
    f = np.concatenate([z[..., :2], z[..., 2:3] ** 2 - 1], axis=2)
    return 1 + f.sum(axis=2, keepdims=True) + 0.5 * z[..., 3:], f


def _tested(y: np.ndarray, f: np.ndarray) -> NullTests:
    return null_tests(cross_fit(y, f), f)


@pytest.mark.parametrize("chains", [2, 4, 8, 16])
def test_false_alarms_are_rare_however_few_chains(chains: int) -> None:
    """Three tests at 1e-3 refuse 0.12 of 40 ensembles, σ = 0.35: at most 1. A normal in place of t refuses 8 of two."""
    refused = sum(not _tested(*_chains(seed, chains=chains)).passed.all() for seed in range(ENSEMBLES))
    assert refused <= 1


def test_a_bias_that_is_called_seen_is_refused() -> None:
    """Of 40 ensembles whose variates are shifted by it 38 are refused, σ = 1.4; the threshold is 5σ lower."""
    refused, sizes = 0, []
    for seed in range(ENSEMBLES):
        y, f = _chains(1000 + seed, chains=16)
        fit = cross_fit(y, f)
        bias, c = null_tests(fit, f).seen[0], fit.coefficients[:, :, 0].mean(axis=0)
        found = _tested(y, f + bias * c / (c @ c))
        refused += found.corrections[0] < LEAST_PROBABILITY
        sizes.append(bias / found.plain_errors[0])
    assert refused >= ENSEMBLES * POWER - 5 * 1.4
    # t of 15 degrees at 1e-3 is 4.07, and 6.06 is the noncentrality that exceeds it in 95 of 100 cases
    assert 5 < np.median(sizes) < 7


def test_long_chains_are_cut_into_blocks_and_short_ones_see_nothing() -> None:
    long, short = _tested(*_chains(1, chains=2, records=1000)), _tested(*_chains(1, chains=2))
    assert long.groups == 16
    assert np.isfinite(long.seen).all()
    assert short.groups == 2
    assert np.isinf(short.seen).all()


def test_two_folds_have_no_other_one() -> None:
    """The coefficients of the other chain are those of all others: what differs is rounding, and says nothing."""
    assert (_tested(*_chains(2, chains=2)).folds == 1).all()


@pytest.mark.parametrize("chains", [4, 16])
def test_a_variate_of_another_mean_is_refused(chains: int) -> None:
    y, f = _chains(7, chains=chains, records=500)
    found = _tested(y, f + np.array([0.6, 0, 0]))
    assert found.means < LEAST_PROBABILITY
    assert not found.passed.any()


def test_what_is_not_corrected_has_nothing_to_be_refused() -> None:
    y, f = _chains(3, chains=16)
    found = _tested(y, np.zeros_like(f))
    assert found.passed.all()
    assert (found.seen == 0).all()
    assert found.means == 1
