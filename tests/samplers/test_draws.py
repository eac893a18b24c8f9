"""Blocks of weighted draws: what a block holds, whatever the sampler, and how the chain through it goes on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from latflow.errors import ConfigError, PhysicsStop
from latflow.samplers.base import AbstractWeightedSampler, Weighted
from latflow.samplers.draws import draw_block, weighted_block


class Exponential(AbstractWeightedSampler):
    """Uniform numbers weighted by e^{−x}; with or without columns."""

    names: tuple[str, ...] = eqx.field(static=True)
    shift: float = eqx.field(static=True, default=0.0)
    follows: bool = eqx.field(static=True, default=False)

    @override
    def draw(self, key):
        x = jax.random.uniform(key, (2,))
        return Weighted(x, -jnp.sum(x) + self.shift, dict.fromkeys(self.names, jnp.sum(x)))

    @override
    def combined(self, columns):
        return -2.0 * columns["sum"] if self.follows else None


KEYS = jax.random.key(1), jax.random.key(2)
START = {"log_weight": -np.inf, "index": -1}


def test_a_block_holds_what_its_sampler_tells():
    plain = weighted_block(Exponential(()), *KEYS, first=0, n=32, **START)
    assert set(plain) == {"fields", "log_weight", "accepted", "index"}
    told = weighted_block(Exponential(("sum",)), *KEYS, first=0, n=32, **START)
    assert set(told) == {*plain, "sum"}
    for name, column in plain.items():
        np.testing.assert_array_equal(told[name], column)
    np.testing.assert_array_equal(told["log_weight"], -told["sum"])
    np.testing.assert_array_equal(told["fields"].sum(axis=1), told["sum"])


def test_weights_follow_from_columns_where_the_sampler_says_so():
    drawn = draw_block(Exponential(("sum",), follows=True), KEYS[0], first=0, n=8)
    np.testing.assert_array_equal(drawn.log_weight, -2.0 * drawn.columns["sum"])


def test_two_blocks_are_one():
    sampler = Exponential(("sum",))
    whole = weighted_block(sampler, *KEYS, first=0, n=64, **START)
    first = weighted_block(sampler, *KEYS, first=0, n=32, **START)
    at = int(first["index"][-1])
    second = weighted_block(sampler, *KEYS, first=32, n=32, log_weight=float(first["log_weight"][at]), index=at)
    for name, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), column)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="columns of Exponential: index"):
        weighted_block(Exponential(("index",)), *KEYS, first=0, n=4, **START)
    with pytest.raises(PhysicsStop):
        weighted_block(Exponential((), shift=np.inf), *KEYS, first=0, n=4, **START)
