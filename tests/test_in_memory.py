"""Sampling without files: any kernel and any weighted sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

import latflow as lf
from latflow.actions.exact import draw_free_field
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
    with pytest.warns(lf.UnreliableWarning, match="N·ESS is"):
        samples = lf.sample(jax.random.key(2), Wide(), n=96, block_size=64)
    assert samples.proposals.shape == (96, 2, 2)
    assert 0 < samples.acceptance < 1
    assert 0 < samples.reweighting_ess < 1
    with pytest.raises(ConfigError, match="action: given"):
        lf.sample(jax.random.key(2), Wide(), ACTION, n=4)
    flow = lf.Flow(lf.Normal((2, 2)), lf.real_nvp(jax.random.key(1), lf.Lattice((2, 2))).bijection)
    with pytest.raises(ConfigError, match="action: missing"):
        lf.sample(jax.random.key(2), flow, n=4)


@pytest.fixture(scope="module")
def poor():
    """A flow of a newcomer: 60 steps on 4 × 4; ⟨φ²⟩ is .14824(35) by HMC."""
    lattice = lf.Lattice((4, 4))
    action = lf.PhiFour(lattice, mass_squared=-4.0, coupling=8.0)
    flow = lf.real_nvp(jax.random.key(0), lattice, n_layers=4, hidden=(16,))
    return action, lf.fit(jax.random.key(1), flow, action, stop=lf.StopCriterion(steps=60)).flow


def judged_poor(poor, n):
    """Its draws, and its averages of φ²: reweighted, and along the chain."""
    action, flow = poor
    with pytest.warns(lf.UnreliableWarning, match="lf.sample: averages of these draws: ") as told:
        samples = lf.sample(jax.random.key(2), flow, action, n=n)
    assert len(told) == 1
    assert "Train the flow longer" in str(told[0].message)
    with pytest.warns(lf.UnreliableWarning, match="lf.reweighted_estimates"):
        (weighted,) = lf.reweighted_estimates(action, samples)["phi_squared"]
    return samples, weighted


@pytest.mark.parametrize("n", [4000, 40_000, pytest.param(300_000, marks=pytest.mark.nightly)])
def test_a_poor_flow_is_never_reliable(poor, n):
    """Its averages were .1314(35), .1322(24), .1408(21), up to 6.6 of their errors from HMC, without a word."""
    samples, weighted = judged_poor(poor, n)
    assert not samples.reliability.is_reliable
    assert samples.reliability.reasons
    assert samples.log_z.state == weighted.state == samples.reliability.state
    assert weighted.state != "reliable"


def test_a_chain_that_stands_still_says_so(poor):
    action, _ = poor
    samples, _ = judged_poor(poor, 4000)
    chain = samples.fields[:, None]
    longest = samples.reliability.longest_run
    stood = np.concatenate([chain[:200], np.repeat(chain[200:201], 200, axis=0)])
    with pytest.warns(lf.UnreliableWarning, match="lf.estimates: .*stood still for"):
        (found,) = lf.estimates(action, stood)["phi_squared"]
    assert found.state != "reliable"
    assert longest > 20
    moving = np.random.default_rng(1).normal(size=(400, 2, 4, 4))
    (found,) = lf.estimates(action, moving)["phi_squared"]
    assert found.state == "reliable"


def test_a_good_flow_stays_reliable():
    class Exact(AbstractWeightedSampler):
        """Draws of the target itself, two by two, with weights that scatter by a tenth."""

        @override
        def draw(self, key):
            return Weighted(*draw_near(key))

    def draw_near(key):
        x = draw_free_field(key, lf.Lattice((2, 2)), mass_squared=2.0)
        return x, 0.1 * jax.random.normal(jax.random.fold_in(key, 1))

    samples = lf.sample(jax.random.key(5), Exact(), n=4000)
    assert samples.reliability.is_reliable
    (found,) = lf.reweighted_estimates(ACTION, samples)["phi_squared"]
    assert found.state == samples.log_z.state == "reliable"
    (found,) = lf.estimates(ACTION, samples.fields[:, None])["phi_squared"]
    assert found.state == "reliable"


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
