"""Sampling without files: any kernel and any weighted sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

import latflow as lf
from latflow.errors import ConfigError
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler, Transition, Weighted

ACTION = lf.FreeField(lf.Lattice((2, 2)), mass_squared=2.0)


class Fresh(AbstractKernel):
    """Forgets where it was; knows no space."""

    @override
    def init(self, x):
        return Weighted(x, jnp.zeros(()))

    @override
    def step(self, key, state):
        del state
        one = jnp.ones(())
        return self.init(jax.random.normal(key, (2, 2))), Transition(one, one > 0, 0 * one)


class Wide(AbstractWeightedSampler):
    """Normal numbers under the weight of the free field."""

    @override
    def draw(self, key):
        x, log_prob = lf.Normal((2, 2)).sample_and_log_prob(key)
        return Weighted(x, -ACTION(x) - log_prob)


def test_any_kernel_runs_from_a_given_start():
    start = np.zeros((4, 2, 2))
    x = lf.run_chain(jax.random.key(1), Fresh(), n=3, chains=4, warmup=1, start=start)
    assert x.shape == (3, 4, 2, 2)
    assert np.unique(x).size == x.size
    with pytest.raises(ConfigError, match="Fresh does not know its space"):
        lf.run_chain(jax.random.key(1), Fresh(), n=3, chains=4)
    with pytest.raises(ConfigError, match="4 configurations; allowed: one for each of 16"):
        lf.run_chain(jax.random.key(1), Fresh(), n=3, start=start)


def test_any_weighted_sampler_draws():
    samples = lf.sample(jax.random.key(2), Wide(), n=96, block_size=64)
    assert samples.proposals.shape == (96, 2, 2)
    assert 0 < samples.acceptance < 1
    assert 0 < samples.reweighting_ess < 1
    with pytest.raises(ConfigError, match="action: given"):
        lf.sample(jax.random.key(2), Wide(), ACTION, n=4)
    flow = lf.Flow(lf.Normal((2, 2)), lf.real_nvp(jax.random.key(1), lf.Lattice((2, 2))).bijection)
    with pytest.raises(ConfigError, match="action: missing"):
        lf.sample(jax.random.key(2), flow, n=4)


def test_kernels_know_their_space():
    for kernel in (
        lf.HMC(ACTION, lf.LEAPFROG, step_size=0.1, n_steps=2),
        lf.LocalMetropolis(ACTION, width=0.5),
    ):
        assert kernel.target_space == ACTION.space
    links = lf.WilsonAction(lf.Lattice((2, 2)), lf.U1(), beta=1.0)
    for kernel in (lf.HeatBath(links), lf.LinkMetropolis(links, width=0.5)):
        assert kernel.target_space == links.space
    assert Fresh().target_space is None
