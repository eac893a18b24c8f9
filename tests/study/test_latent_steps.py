"""The largest bias of corrected averages that few steps leave, against what averages move by."""

import numpy as np
import pytest

from latflow.study.latent_steps import bias_of_means

N = 4096


def test_the_bias_bounds_what_corrected_averages_move_by():
    """A constant error of a variate: the average that is this variate moves by as much, others by less."""
    rng = np.random.default_rng(1)
    f = rng.standard_normal((N, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 5.0]])
    shift = np.array([0.01, 0.0, 0.02])
    found = bias_of_means(f + shift, f, np.zeros(N))
    for coefficients in rng.standard_normal((50, 3)):
        assert abs(coefficients @ shift) <= found * np.std(f @ coefficients) * (1 + 1e-9)
    best = np.linalg.solve(np.cov(f.T, bias=True), shift)
    assert best @ shift / np.std(f @ best) == pytest.approx(found)
    # nearly equal variates with different errors are worse than one of them by itself
    assert found > 3 * bias_of_means(f[:, :1] + shift[:1], f[:, :1], np.zeros(N))


def test_probes_count_by_their_weight():
    """An error where the theory is not is none; what is not finite is infinite; a variate that is zero says nothing."""
    rng = np.random.default_rng(2)
    f = np.concatenate([rng.standard_normal((N, 2)), np.zeros((N, 1))], axis=1)
    log_weight = np.where(np.arange(N) < N // 2, 0.0, -800.0)
    wrong = f + np.where(np.arange(N) < N // 2, 0.0, 1.0)[:, None] * [1.0, 1.0, 0.0]
    assert bias_of_means(wrong, f, log_weight) == 0
    assert bias_of_means(wrong, f, np.zeros(N)) > 0.5
    assert bias_of_means(np.where(f > 3, np.nan, f), f, log_weight) == np.inf
