"""Learning rates at the places where they are known, and Adam's direction."""

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.training.schedules import adam, schedule


def rates(name, steps, **arguments):
    curve = schedule(name, learning_rate=0.1, n_steps=100, warmup_steps=20, final_fraction=0.04, **arguments)
    return [float(curve(step)) for step in steps]


@pytest.mark.parametrize(
    ("name", "half_way", "end"),
    [("constant", 0.1, 0.1), ("cosine", 0.1 * (1 + 0.04) / 2, 0.004), ("exponential", 0.1 * 0.2, 0.004)],
)
def test_curves(name, half_way, end):
    np.testing.assert_allclose(rates(name, [20, 60, 100, 500]), [0.1, half_way, end, end], rtol=1e-6)


def test_warm_up_is_linear_and_never_zero():
    first, second, last = rates("cosine", [0, 1, 19])
    assert first > 0
    np.testing.assert_allclose([second - first, last - first], [0.1 / 21, 19 * 0.1 / 21], rtol=1e-5)


def test_without_warm_up_the_peak_comes_first():
    assert float(schedule("cosine", learning_rate=0.1, n_steps=100)(0)) == pytest.approx(0.1)


def test_unknown_schedule_is_refused():
    with pytest.raises(ConfigError, match=r"training\.schedule"):
        schedule("linear", learning_rate=0.1, n_steps=10)


def test_clipping_rescales_only_long_gradients():
    """Two steps: the second direction of Adam remembers how long the first gradient was taken to be."""

    def second(clip, length):
        optimiser = adam(schedule("constant", learning_rate=1.0, n_steps=1), gradient_clip=clip)
        state = optimiser.transform.init(jnp.zeros(2))
        _, state = optimiser.transform.update(jnp.array([length, 0.0]), state)
        direction, _ = optimiser.transform.update(jnp.array([0.1, 0.0]), state)
        return float(direction[0])

    assert second(1.0, 100.0) == pytest.approx(second(None, 1.0))
    assert second(1.0, 0.5) == pytest.approx(second(None, 0.5))
    assert second(None, 100.0) != pytest.approx(second(None, 1.0))
