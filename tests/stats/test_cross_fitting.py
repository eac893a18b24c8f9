"""Cross-fitted control variates: held-out variances and unbiased values."""

import numpy as np
import pytest

from latflow.stats.cross_fitting import cross_fit
from latflow.stats.estimates import NonFiniteSeriesError, SeriesShapeError, TooShortError


def _data(seed: int, *, groups: int = 8, records: int = 200, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Two observables of mean 1 and 2 that two of three variates explain up to noise."""
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(groups, records, 3)) * np.array([1.0, 1e4, 1e-4])
    e = rng.normal(size=(groups, records, 2))
    y = np.stack([1 + f[..., 0] + 2e-4 * f[..., 1] + noise * e[..., 0], 2 + e[..., 1]], axis=2)
    return y, f


def test_held_out_variance_ratio_and_coefficients() -> None:
    y, f = _data(1)
    fit = cross_fit(y, f)
    # variance 1 + 4 + 1/4 before and 1/4 after: 21; the error of a ratio of 1600 correlated squares is below 10 %
    assert abs(fit.variance_ratio[0] / 21 - 1) < 0.3
    assert list(fit.helps) == [True, False]
    assert np.allclose(fit.coefficients[:, :2, 0], [1, 2e-4], rtol=0.1)
    assert np.array_equal(fit.chosen[..., 1], y[..., 1])
    assert abs(fit.corrected[..., 0].mean() - 1) < 5 * 0.5 / 40


def test_variates_that_explain_nothing_are_seen_not_to_help() -> None:
    """Fitted to the records they correct, 100 columns of noise would divide the variance of 200 records by two."""
    rng = np.random.default_rng(2)
    fit = cross_fit(rng.normal(size=(4, 50, 1)), rng.normal(size=(4, 50, 100)))
    assert fit.variance_ratio[0] < 0.9
    assert not fit.helps[0]


def test_values_are_unbiased() -> None:
    """The mean over 400 small data sets, 12 records and 3 variates each, whose squares y depends on."""
    values = []
    for seed in range(400):
        f = np.random.default_rng(seed).normal(size=(3, 4, 3))
        values.append(cross_fit(f[..., :1] + f[..., :1] ** 2 * f[..., 1:2] ** 2, f).corrected.mean() - 1)
    assert abs(np.mean(values)) < 5 * np.std(values) / 20


def test_weighted_draws_are_corrected_as_ratios() -> None:
    """w = exp(a z − a²/2): the mean of z under the weights is a, and z itself is a variate of mean zero."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(16, 500, 1))
    a = 0.3
    fit = cross_fit(z, np.concatenate([z, z**2 - 1], axis=2), weights=7 * np.exp(a * z[..., 0]))
    weights = np.exp(a * z)
    assert np.isclose(fit.plain.mean(), np.sum(weights * z) / np.sum(weights), rtol=1e-12)
    assert fit.variance_ratio[0] > 20
    error = fit.corrected.mean(axis=(1, 2)).std(ddof=1) / 4
    assert abs(fit.corrected.mean() - a) < 5 * error < 0.01


def test_dependent_and_empty_variates_do_no_harm() -> None:
    y, f = _data(4)
    doubled = np.concatenate([f, 3 * f, np.zeros_like(f)], axis=2)
    assert np.allclose(cross_fit(y, doubled).corrected, cross_fit(y, f).corrected, atol=1e-6)


def test_a_constant_observable_is_left_alone() -> None:
    y, f = _data(5)
    fit = cross_fit(np.ones_like(y), f)
    assert list(fit.variance_ratio) == [1, 1]
    assert np.allclose(fit.corrected, 1)


def test_data_that_cannot_be_cross_fitted_are_refused() -> None:
    y, f = _data(8)
    with pytest.raises(TooShortError, match="chains"):
        cross_fit(y[:1], f[:1])
    with pytest.raises(TooShortError, match="folds"):
        cross_fit(y, f, folds=1)
    with pytest.raises(SeriesShapeError, match="at most 8"):
        cross_fit(y, f, folds=9)
    with pytest.raises(SeriesShapeError, match="variates"):
        cross_fit(y, f[:, :-1])
    with pytest.raises(SeriesShapeError, match="weights"):
        cross_fit(y, f, weights=np.ones((3, 3)))
    with pytest.raises(NonFiniteSeriesError, match="variates"):
        cross_fit(y, f * np.nan)
