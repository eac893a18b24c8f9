"""Weighted averages with variates: the same mean, a smaller error that covers, coefficients of other draws only."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm, qmc

from latflow.stats.estimates import NonFiniteSeriesError, SeriesShapeError
from latflow.stats.scramblings import Scrambled
from latflow.stats.variates import Varied, unless_worse
from latflow.stats.weights import named_estimates, weighted_estimates

SHIFT, N = 0.3, 1024


def variates(z):
    """Normalised Hermite polynomials of the first direction, and of the second, which says nothing."""
    h = [z, (z**2 - 1) / math.sqrt(2), (z**3 - 3 * z) / math.sqrt(6)]
    return np.concatenate([each[:, :1] for each in h] + [h[1][:, 1:]], axis=1)


def drawn(z):
    """Draws of N(0, 1)² with weights towards N(s, 1) in the first direction; variance 1 and mean s of the target."""
    columns = {"x": z[:, 0].copy(), "xx": z[:, 0] ** 2, "far": np.cos(8 * z[:, 1])}
    return columns, SHIFT * z[:, 0] - SHIFT**2 / 2


def moments(means):
    return {"mean": means["x"], "variance": means["xx"] - means["x"] ** 2, "far": means["far"]}


def estimates(columns, draws):
    linear, covariance = draws.propagated(columns, moments)
    return {name: each for name, (each,) in named_estimates(linear, covariance, n=draws.n_draws).items()}


def random(seed):
    return np.random.default_rng(seed).standard_normal((N, 2))


def quasi(seed):
    u = [qmc.Sobol(2, scramble=True, rng=np.random.default_rng([seed, r])).random(64) for r in range(16)]
    return norm.ppf(np.concatenate(u) + 2.0**-31)


@pytest.mark.parametrize("make", [random, quasi], ids=["random", "scrambled"])
def test_values_and_errors_are_right(make):
    """200 repetitions: values within 5σ of 0.3 and 1, the error is the spread within 25 % (5σ of 5 %)."""
    found = []
    for seed in range(200):
        z = make(seed)
        columns, log_weights = drawn(z)
        draws = log_weights if make is random else Scrambled(log_weights, 16)
        found.append(estimates(columns, Varied(draws, variates(z))))
    for name, truth in (("mean", SHIFT), ("variance", 1.0)):
        values, errors = (np.array([getattr(e[name], field) for e in found]) for field in ("value", "error"))
        spread = values.std(ddof=1)
        assert abs(values.mean() - truth) < 5 * spread / math.sqrt(200)
        assert math.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.25)


def test_the_variance_is_smaller_and_what_is_not_explained_is_left_alone():
    z = np.random.default_rng(1).standard_normal((64 * N, 2))
    columns, log_weights = drawn(z)
    plain = {name: each for name, (each,) in weighted_estimates(columns, log_weights, moments).items()}
    found = estimates(columns, Varied(log_weights, variates(z)))
    assert plain["mean"].error > 5 * found["mean"].error
    assert plain["variance"].error > 3 * found["variance"].error
    assert (found["far"].value, found["far"].error) == (plain["far"].value, plain["far"].error)


def test_an_average_whose_error_would_rest_on_a_few_draws_is_left_alone():
    """Variates that explain all but two draws of the tail: their error would be that of those two."""
    h = random(2)[:, :1]
    y = h[:, 0].copy()
    y[[5, 700]] += 30.0
    columns = {"mean": y}
    (plain,) = weighted_estimates(columns, np.zeros(N), lambda means: means)["mean"]
    linear, covariance = Varied(np.zeros(N), h).propagated(columns, lambda means: means)
    (found,) = named_estimates(linear, covariance, n=N)["mean"]
    assert (found.value, found.error) == (plain.value, plain.error)


def test_a_correction_leaves_so_much_that_the_tail_is_a_small_part():
    """All but 40 draws of the tail are explained: the error is that of fifty draws or more, and still much smaller."""
    n = 64 * N
    h = np.random.default_rng(2).standard_normal((n, 1))
    y = h[:, 0].copy()
    y[::1639] += 5.0
    columns = {"mean": y}
    (plain,) = weighted_estimates(columns, np.zeros(n), lambda means: means)["mean"]
    (found,) = Varied(np.zeros(n), h).estimates(columns, lambda means: means)["mean"]
    tail = 5.0 * math.sqrt(len(y[::1639])) / n
    assert 1.02 * tail < found.error < 1.3 * tail
    assert found.error < plain.error / 6


@pytest.mark.parametrize("make", [random, quasi], ids=["random", "scrambled"])
def test_errors_hold_that_of_the_integration(make):
    """In quadrature, in units of the standard deviation of what is averaged under the weights: 1 for the mean here."""
    z = make(3)
    columns, log_weights = drawn(z)
    draws = log_weights if make is random else Scrambled(log_weights, 16)
    without, found = (estimates(columns, Varied(draws, variates(z), error)) for error in (0.0, 0.02))
    assert found["mean"].value == without["mean"].value
    assert math.sqrt(found["mean"].error ** 2 - without["mean"].error ** 2) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-5, 1e-7])
def test_nearly_exact_variates_take_all_but_the_noise(noise):
    """What is left is normal, however small it is: nothing is damped."""
    rng = np.random.default_rng(4)
    h, rest = rng.standard_normal((16 * N, 1)), rng.standard_normal(16 * N)
    (found,) = Varied(np.zeros(16 * N), h).estimates({"mean": h[:, 0] + noise * rest}, lambda means: means)["mean"]
    assert found.error == pytest.approx(noise / math.sqrt(16 * N), rel=0.05, abs=1e-9)


@pytest.mark.parametrize("error", [math.nan, math.inf, -1.0])
def test_errors_of_the_integration_are_numbers(error):
    with pytest.raises(NonFiniteSeriesError, match="log_q_error"):
        Varied(np.zeros(N), random(1), error)


def test_a_difference_that_variates_spoil_is_shown_without():
    """Of x and x + noise x alone is corrected, so in their difference x does not cancel any more."""
    h = random(6)[:, :1]
    x = h[:, 0] + 0.1 * random(7)[:, 0]
    columns = {"a": x, "b": x.copy()}
    columns["b"][:2] += 10.0  # the corrected error would rest on two draws: keeps its plain mean

    def difference(means):
        return {"a": means["a"], "difference": means["a"] - means["b"]}

    plain = weighted_estimates(columns, np.zeros(N), difference)
    linear, covariance = Varied(np.zeros(N), h).propagated(columns, difference)
    varied = named_estimates(linear, covariance, n=N)
    assert varied["difference"][0].error > 1.3 * plain["difference"][0].error
    shown = unless_worse(plain, varied)
    assert shown["difference"] is plain["difference"]
    assert shown["a"] is varied["a"]
    assert unless_worse({}, varied) == varied


def test_coefficients_come_from_other_draws():
    """In the first eighth the column is minus the variate, elsewhere the variate: from there the coefficient is 1."""
    h = random(2)[:, :1]
    y = np.where(np.arange(N) < N // 8, -1.0, 1.0)[:, None] * h
    correction = Varied(np.zeros(N), h)._correction(y, np.ones(N))
    np.testing.assert_allclose(correction[: N // 8], h[: N // 8], rtol=1e-2)


def test_what_helps_is_decided_by_other_draws():
    """In one share alone the column is a hundred times a variate: the other shares know nothing of it."""
    h = random(2)[:, :1]
    y = np.random.default_rng(3).standard_normal(N)
    y[: N // 8] = 100 * h[: N // 8, 0]
    correction = Varied(np.zeros(N), h)._correction(y[:, None], np.ones(N))[:, 0]
    assert np.all(correction[: N // 8] == 0)
    assert np.max(np.abs(correction[N // 8 :])) > 1


def test_too_few_draws_are_not_corrected():
    z = random(4)[:48]
    columns, log_weights = drawn(z)
    draws = Varied(log_weights, variates(z))
    assert not draws.used
    plain = weighted_estimates(columns, log_weights, moments)["mean"][0]
    found = estimates(columns, draws)["mean"]
    assert (found.value, found.error) == pytest.approx((plain.value, plain.error), rel=1e-12)


@pytest.mark.parametrize("n", [16 * N, 16 * N + 1, 16 * N + 17, 16381], ids=str)
def test_any_number_of_draws_can_be_shared_out(n):
    """Also a prime one: what variates explain exactly is taken away whole."""
    h = np.random.default_rng(8).standard_normal((n, 1))
    log_weights = 0.1 * np.random.default_rng(9).standard_normal(n)
    w = np.exp(log_weights) / np.exp(log_weights).mean()
    columns = {"mean": h[:, 0] / w}
    (plain,) = Varied.of_no_variates(log_weights, 0.0).estimates(columns, lambda means: means)["mean"]
    (found,) = Varied(log_weights, h).estimates(columns, lambda means: means)["mean"]
    assert abs(found.value) < 4 * found.error
    assert found.error < plain.error / 50


def test_arrays_of_jax_are_log_weights():
    z = random(3)
    columns, log_weights = drawn(z)
    found = [Varied(of(log_weights), of(variates(z))) for of in (np.asarray, jnp.asarray)]
    values = [estimates(columns, each)["mean"].value for each in found]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_few_draws_make_do_with_the_first_variates():
    z = random(4)[:128]
    columns, log_weights = drawn(z)
    found = [estimates(columns, Varied(log_weights, v))["mean"] for v in (variates(z), variates(z)[:, :2])]
    assert Varied(log_weights, variates(z)).used == 2
    assert found[0] == found[1]


def test_weights_of_zero_are_no_part_of_a_column():
    z = random(5)
    columns, log_weights = drawn(z)
    log_weights[:7], columns["x"][:7] = -np.inf, np.nan
    assert np.isfinite(estimates(columns, Varied(log_weights, variates(z)))["mean"].error)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(SeriesShapeError, match="3 rows"):
        Varied(np.zeros(8), np.zeros((3, 1)))
    with pytest.raises(TypeError, match="a Markov chain"):
        Varied(None, np.zeros((8, 1)))
