"""Sampling without files: any kernel and any weighted sampler."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

import latflow as lf
from latflow.actions.base import AbstractAction
from latflow.actions.exact import draw_free_field
from latflow.actions.exact_gauge import u1_wilson_loop
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.flows.weighted import FlowSampler
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
    with pytest.warns(lf.UnreliableWarning, match="lf.estimates"):
        (chain,) = lf.estimates(poor[0], samples)["phi_squared"]
    assert chain.state == samples.reliability.state
    (bare,) = lf.estimates(poor[0], samples.fields[:, None])["phi_squared"]
    assert bare.state != "reliable"


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
    assert found.state is None  # an array does not tell what its chain has missed


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
    (found,) = lf.estimates(ACTION, samples)["phi_squared"]
    assert found.state == "reliable"


class Vacua(AbstractDistribution):
    """Normal numbers about +1.36, near one vacuum of `BROKEN`, or about both vacua."""

    both: bool
    space = lf.ScalarSpace((2, 2))

    @override
    def sample_and_log_prob(self, key):
        sign = jnp.where(jax.random.uniform(key) < 0.5, -1.0, 1.0) if self.both else 1.0
        x = sign * 1.36 + 0.19 * jax.random.normal(jax.random.fold_in(key, 1), (2, 2))
        return x, self.log_prob(x)

    @override
    def log_prob(self, x):
        def about(centre):
            return jnp.sum(jax.scipy.stats.norm.logpdf(x, centre, 0.19))

        both = jnp.logaddexp(about(1.36), about(-1.36)) - jnp.log(2.0)
        return both if self.both else about(1.36)


BROKEN = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=-6.0, coupling=1.5)


def test_a_lost_vacuum_is_seen_by_symmetry():
    """Its weights are those of a good flow; φ → −φ leads to the other half of the theory."""
    with pytest.warns(lf.UnreliableWarning, match="a symmetry of the action leads to 50 % of the theory"):
        samples = lf.sample(jax.random.key(3), FlowSampler(Vacua(both=False), BROKEN), n=4096)
    assert len(samples.reliability.reasons) == 1
    assert samples.reliability.unseen == 0.5
    assert samples.log_z.state == "error underestimated"
    with pytest.warns(lf.UnreliableWarning, match="a symmetry of the action"):
        (found,) = lf.reweighted_estimates(BROKEN, samples)["phi_squared"]
    assert found.state == "error underestimated"
    seen = lf.sample(jax.random.key(3), FlowSampler(Vacua(both=True), BROKEN), n=4096)
    assert (seen.reliability.state, seen.reliability.unseen) == ("reliable", 0.0)


class Tilted(AbstractAction):
    """φ⁴ in a field: φ → −φ is no symmetry."""

    space = BROKEN.space

    @override
    def __call__(self, x):
        return BROKEN(x) + 0.1 * jnp.sum(x)

    @override
    def force(self, x):
        return BROKEN.force(x) + 0.1


def test_images_are_used_only_where_the_action_is_the_same():
    samples = lf.sample(jax.random.key(3), FlowSampler(Vacua(both=False), Tilted()), n=4096)
    assert samples.reliability.unseen is None


@pytest.mark.nightly
def test_wilson_loops_beside_a_frozen_charge_have_its_tail():
    """U(1) on 16² at β = 7 by heat bath: W₂ₓ₂ was −2.6σ from the exact value, with a τ of .77 beside a τ_Q of 177.

    Here its window shows 1.5 beside 460, and the error grows from .0006 to .0016; β rises slowly, so charges freeze
    with about their weights. W₂ₓ₂ must be within 4σ of the exact one.
    """
    fields = None
    for beta in (2.0, 3.5, 5.0, 7.0):
        action = lf.WilsonAction(lf.Lattice((16, 16)), lf.U1(), beta=beta)
        start, n = (None, 1) if fields is None else (fields[-1], 1000 if beta == 7.0 else 1)
        fields = lf.run_chain(jax.random.key(1), lf.HeatBath(action), n=n, chains=8, warmup=200, start=start)
    (loop,) = lf.estimates(action, fields)["wilson_loop_2x2"]
    assert loop.slow_mode == "topological_charge²"
    assert 0.001 < loop.error < 0.003
    assert loop.tau_int > 5
    assert abs(loop.value - u1_wilson_loop(7.0, volume=256, area=4)) < 4 * loop.error


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


TINY = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=-1.0, coupling=1.0)


def test_weights_of_another_action_are_refused() -> None:
    flow = lf.real_nvp(jax.random.key(5), lf.Lattice((2, 2)), n_layers=2, network="dense", hidden=(4,))
    with pytest.warns(lf.UnreliableWarning):
        samples = lf.sample(jax.random.key(6), flow, TINY, n=64)
    other = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=5.0, coupling=1.0)
    with pytest.raises(ConfigError, match=r"weights of PhiFour\(2×2, mass_squared=-1.*mass_squared=5"):
        lf.reweighted_estimates(other, samples)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_starts_that_are_not_finite_are_refused(value: float) -> None:
    start = np.zeros((2, 2, 2))
    start[1, 0, 0] = value
    with pytest.raises(ConfigError, match="with NaN or infinity; allowed: finite numbers"):
        lf.run_chain(
            jax.random.key(1),
            lf.HMC(TINY, lf.LEAPFROG, step_size=jnp.asarray(0.1), n_steps=2),
            n=8,
            chains=2,
            start=start,
        )


def test_links_outside_of_their_group_are_refused() -> None:
    action = lf.WilsonAction(lf.Lattice((2, 2)), lf.SU(2), beta=1.0)
    links = np.full((2, 2, 2, 2, 2, 2), 2 + 0j)
    with pytest.raises(ConfigError, match="start: outside of the space"):
        lf.run_chain(
            jax.random.key(1),
            lf.HMC(action, lf.LEAPFROG, step_size=jnp.asarray(0.1), n_steps=2),
            n=8,
            chains=2,
            start=links,
        )
    with pytest.raises(ConfigError, match=r"fields: outside of the space by .*; allowed: links in their group"):
        lf.estimates(action, np.broadcast_to(links[None], (8, *links.shape)))


@pytest.mark.parametrize("shape", [(0, 2, 2, 2), (8, 0, 2, 2)])
def test_no_records_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="one or more records and chains"):
        lf.estimates(TINY, np.zeros(shape))


@pytest.mark.parametrize("records", [1, 2, 7])
def test_few_records_are_refused(records: int) -> None:
    with pytest.raises(lf.LatflowError, match=f"{records} records; allowed: at least 8"):
        lf.estimates(TINY, np.zeros((records, 2, 2, 2)))


def test_more_records_than_memory_are_refused() -> None:
    with pytest.raises(lf.LatflowError, match="records need"):
        lf.run_chain(jax.random.key(1), lf.HMC(TINY, lf.LEAPFROG, step_size=jnp.asarray(0.1), n_steps=2), n=10**13)
    with pytest.raises(lf.LatflowError, match="records need"):
        lf.sample(jax.random.key(1), lf.FlowSampler(lf.Normal((2, 2)), TINY), n=10**13)
