"""Records with numbers: gaps, irregular steps, replicas of different lengths."""

import numpy as np
import pytest

from latflow.stats.estimates import SeriesShapeError, TooShortError
from latflow.stats.gamma import chain_estimates
from latflow.stats.quantities import MeanOf
from latflow.stats.replicas import Replicas

N, CORRELATION = 40_000, 0.8
TAU = 0.5 * (1 + CORRELATION) / (1 - CORRELATION)


def process(n, seed):
    """An AR(1) chain of variance 1 with τ = 4.5."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n) * np.sqrt(1 - CORRELATION**2)
    chain = np.empty(n)
    chain[0] = rng.normal()
    for i in range(1, n):
        chain[i] = CORRELATION * chain[i - 1] + noise[i]
    return chain


CHAIN = process(N, 1)


def mean(series, replicas=None):
    return chain_estimates({"x": series[None]}, lambda means: means, replicas=replicas)["x"][0]


def test_numbers_without_a_gap_change_nothing():
    plain = mean(CHAIN)
    numbered = mean(CHAIN, Replicas(("a",), (tuple(range(100, 100 + 5 * N, 5)),)))
    assert numbered.value == plain.value
    assert numbered.error == pytest.approx(plain.error, rel=0.05)
    assert numbered.tau_int == pytest.approx(plain.tau_int, rel=0.05)


def test_gaps_are_kept():
    """Two records in three are there: without their numbers neighbours look less correlated than they are."""
    kept = np.array([i for i in range(N) if i % 3])
    with_numbers = mean(CHAIN[kept], Replicas(("a",), (tuple(int(i) for i in kept),)))
    assert with_numbers.tau_int == pytest.approx(TAU, abs=5 * with_numbers.tau_int_error + 0.1)
    # the common step is 1, and the error that of the whole chain but for the missing third
    assert with_numbers.error == pytest.approx(mean(CHAIN).error, rel=0.25)
    assert mean(CHAIN[kept]).tau_int < 0.8 * TAU


def test_replicas_of_different_lengths():
    replicas = Replicas(("r0", "r1", "r2"), (tuple(range(20_000)), tuple(range(0, 24_000, 2)), tuple(range(50))))
    series = np.concatenate([process(20_000, 2), process(24_000, 3)[::2], process(50, 4)])
    found = mean(series, replicas)
    assert found.n == len(series)
    assert found.tau_int == pytest.approx(TAU, abs=5 * found.tau_int_error + 0.2)
    assert abs(found.value) < 5 * found.error


def test_order_step_and_gaps():
    replicas, order = Replicas.sorted_from(["b", "a", "a", "b"], [30, 20, 10, 10])
    assert replicas == Replicas(("a", "b"), ((10, 20), (10, 30)))
    assert order.tolist() == [2, 1, 3, 0]
    assert (replicas.step, replicas.gaps, replicas.size, replicas.is_regular) == (10, 1, 4, False)
    assert Replicas(("a", "b"), ((1, 2), (7, 8))).is_regular
    assert [piece.tolist() for piece in replicas.split(np.arange(4))] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("a",), ((2, 1),)),
        (("a",), ((1, 1),)),
        (("a", "a"), ((1,), (2,))),
        (("a",), ((),)),
        (("a",), ((1, 2, 10**9),)),
    ],
)
def test_what_is_refused(names, numbers):
    with pytest.raises(SeriesShapeError):
        Replicas(names, numbers)


def test_replicas_that_are_all_too_short():
    replicas = Replicas(tuple("abcdefgh"), ((1, 2), *((1,),) * 7))
    with pytest.raises(TooShortError, match="longest replica: 2"):
        mean(CHAIN[:9], replicas)
    with pytest.raises(SeriesShapeError, match="10; allowed: 9 numbers"):
        mean(CHAIN[:10], replicas)


def test_estimators_pass_them_on():
    kept = np.arange(N)[np.arange(N) % 3 > 0]
    replicas = Replicas(("a",), (tuple(int(i) for i in kept),))
    (found,) = MeanOf("x").estimates({"x": CHAIN[kept][None]}, replicas)["x"]
    assert found == mean(CHAIN[kept], replicas)
    (frozen,) = MeanOf("x").estimates({"x": np.ones((1, len(kept)))}, replicas)["x"]
    assert frozen.n == len(kept)
