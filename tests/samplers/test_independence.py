"""Independence Metropolis: the sequence against a plain loop, its edges, and the kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from scipy import stats

from latflow.errors import PhysicsStop
from latflow.samplers.base import AbstractWeightedSampler, Weighted
from latflow.samplers.chains import advance
from latflow.samplers.independence import IndependenceSampler, accept_sequence


def plain(log_weights, log_uniforms, here, index, first=0):
    indices, accepted = [], []
    for i, (w, u) in enumerate(zip(log_weights, log_uniforms, strict=True)):
        take = w > -np.inf and (here == -np.inf or u < w - here)
        here, index = (w, first + i) if take else (here, index)
        indices.append(index)
        accepted.append(take)
    return indices, accepted


@pytest.fixture(scope="module")
def proposals():
    rng = np.random.default_rng(0)
    log_weights = rng.normal(scale=1.5, size=500)
    log_weights[[0, 7, 8, 100]] = [np.nan, -np.inf, np.nan, -np.inf]
    return log_weights, np.log(rng.random(500))


def test_sequence_is_a_loop(proposals):
    indices, accepted = accept_sequence(*proposals)
    expected = plain(*proposals, -np.inf, -1)
    assert np.array_equal(indices, expected[0])
    assert np.array_equal(accepted, expected[1])
    assert indices[0] == -1  # nothing to stand on yet: the first proposal was NaN
    assert indices[1] == 1
    assert not accepted[[0, 7, 8, 100]].any()


def test_blocks_continue(proposals):
    log_weights, log_uniforms = proposals
    whole, _ = accept_sequence(*proposals)
    head, _ = accept_sequence(log_weights[:200], log_uniforms[:200])
    tail, _ = accept_sequence(
        log_weights[200:], log_uniforms[200:], log_weight=log_weights[head[-1]], index=int(head[-1]), first=200
    )
    assert np.array_equal(np.concatenate([head, tail]), whole)


def test_float32_weights_are_taken_exactly(proposals):
    log_weights, log_uniforms = proposals
    single = log_weights.astype(np.float32)
    assert np.array_equal(
        accept_sequence(single, log_uniforms)[0], accept_sequence(single.astype(np.float64), log_uniforms)[0]
    )


def test_zero_uniform_takes_everything_finite():
    indices, accepted = accept_sequence(np.array([0.0, -700.0, np.nan]), np.full(3, -np.inf))
    assert indices.tolist() == [0, 1, 1]
    assert accepted.tolist() == [True, True, False]


@pytest.mark.parametrize("log_weight", [0.0, np.inf])
def test_infinite_weight_is_an_error(log_weight):
    weights = np.array([0.0, np.inf if log_weight == 0 else 1.0])
    with pytest.raises(PhysicsStop, match="infinite"):
        accept_sequence(weights, np.array([-1.0, -1.0]), log_weight=log_weight)


class Shifted(AbstractWeightedSampler):
    """Draws from N(0, 1) weighted to N(shift, 1)."""

    shift: Array

    def log_weight(self, x):
        return jnp.sum(self.shift * x - self.shift**2 / 2)

    def draw(self, key):
        x = jax.random.normal(key, (1,))
        return Weighted(x, self.log_weight(x))


def test_kernel_leaves_its_target_invariant():
    """One-step invariance from exact draws, false alarm 1e-6: a distribution function off by 0.02 is seen."""
    n = 2**15
    weighted = Shifted(jnp.asarray(0.8))
    kernel = IndependenceSampler(weighted, weighted.log_weight)
    x = 0.8 + jax.random.normal(jax.random.key(1), (n, 1))
    y, records = advance(kernel, jax.random.key(2), x, first=0, n_records=1, thin=1)
    assert 0.4 < float(np.mean(records.transition.accepted)) < 0.8
    assert stats.kstest(np.ravel(y), stats.norm(loc=0.8).cdf).statistic < np.sqrt(np.log(2 / 1e-6) / (2 * n))
    np.testing.assert_allclose(np.mean(records.transition.acceptance), np.mean(records.transition.accepted), atol=0.02)
