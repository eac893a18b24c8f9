"""Stages from coarse sites to fine ones, and the odd sites as a heat bath."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.catalogue import scrambled

import latflow as lf
from latflow.bijections.spin_levels import SpinLevels, stages
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.stats.weights import reweighting_ess
from latflow.theories.spins.known import known_values
from latflow.theories.spins.table import ONTable

SHAPES = [(16, 16), (6, 6), (8, 12), (3, 3), (2, 2), (2, 8), (1, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_site_is_drawn_once_about_sites_before_it(shape: tuple[int, int]) -> None:
    plan = stages(shape, 20)
    drawn: set[int] = set()
    for group in plan.groups:
        for sites, known, there in zip(group.sites, group.known, group.there, strict=True):
            assert set(known[:, there > 0].ravel().tolist()) <= drawn
            assert not drawn & set(sites.tolist())
            drawn |= set(sites.tolist())
    assert set(plan.around.ravel().tolist()) <= drawn
    assert sorted([*drawn, *plan.last.tolist()]) == list(range(shape[0] * shape[1]))
    assert len(plan.last) in (0, shape[0] * shape[1] // 2)


def test_sites_of_a_stage_see_the_same_displacements() -> None:
    """Their fields have the same weights: what is one way off for one is so for all."""
    for group in stages((8, 8), 12).groups:
        for sites, known in zip(group.sites, group.known, strict=True):
            x, y = (known // 8 - sites[:, None] // 8) % 8, (known % 8 - sites[:, None] % 8) % 8
            assert np.all(x == x[:1])
            assert np.all(y == y[:1])


@pytest.mark.parametrize("components", [2, 3, 4])
def test_odd_sites_are_a_heat_bath(components: int) -> None:
    """The weight of a configuration does not depend on them, whatever the weights of the flow are."""
    action = lf.SpinModel(lf.Lattice((4, 4)), components=components, beta=0.9)
    flow = scrambled(
        jax.random.key(1), lf.spin_levels_flow(jax.random.key(2), action.lattice, components, beta=0.9), scale=0.2
    )
    flow = eqx.tree_at(lambda f: f.bijection.coupling, flow, jnp.asarray(0.9))
    x, y = (action.space.random(jax.random.key(seed)) for seed in (3, 4))
    odd = np.indices((4, 4)).sum(axis=0) % 2 == 1
    weight = jax.jit(lambda x: -action(x) - flow.log_prob(x))
    assert weight(jnp.where(odd, y, x)) == pytest.approx(float(weight(x)), abs=1e-10)
    assert abs(weight(jnp.where(odd, x, y)) - weight(x)) > 0.1


def test_uniform_numbers_of_coarse_sites_come_first() -> None:
    """Of 4 × 4 sites the first number is the first site's, the last one an odd site's."""
    flow = lf.spin_levels_flow(jax.random.key(2), lf.Lattice((4, 4)), 2, beta=0.9)
    u = flow.bijection.arranged(jnp.arange(16.0))
    order = np.argsort(np.asarray(u))
    assert order[0] == 0
    assert order[1] == 2 * 4 + 2
    assert np.all(np.indices((4, 4)).sum(axis=0).ravel()[order[8:]] % 2 == 1)


def test_points_and_random_draws_have_one_density() -> None:
    """Draws made of uniform numbers, turned along their fields, have the log-density that is found for them."""
    flow = scrambled(jax.random.key(1), lf.spin_levels_flow(jax.random.key(2), lf.Lattice((4, 4)), 3, beta=1.2))
    u = jax.random.uniform(jax.random.key(3), (32, flow.n_uniforms))
    x, log_q = jax.jit(jax.vmap(flow.of_uniforms))(u)
    np.testing.assert_allclose(jax.jit(jax.vmap(flow.log_prob))(x), log_q, atol=1e-10)


def test_maximum_likelihood_trains_it() -> None:
    """An XY strip of 2 × 8 sites: ESS above .9, log Z within 4σ of the exact one."""
    action = lf.SpinModel(lf.Lattice((2, 8)), components=2, beta=0.8)
    x = lf.run_chain(jax.random.key(1), lf.SpinClusters(action, n_clusters=4), n=64, chains=64, warmup=50, thin=2)
    targets = jnp.asarray(x).reshape(-1, *action.space.shape)
    flow = lf.spin_levels_flow(jax.random.key(2), action.lattice, 2, beta=0.8, near=4, width=8)
    found = lf.fit(
        jax.random.key(3),
        flow,
        action,
        loss=lf.ForwardKL(targets, 256, directions=2),
        stop=lf.StopCriterion(steps=150),
        optimiser=lf.adam(lf.schedule("cosine", learning_rate=1e-2, n_steps=150)),
        evaluation=lf.Evaluation(every=150, draws=256),
    )
    trained = found.flow
    assert isinstance(trained, lf.Flow)
    assert isinstance(trained.bijection, SpinLevels)
    assert trained.bijection.coupling == 0.8
    samples = lf.sample(jax.random.key(4), trained, action, n=4096)
    w = np.exp(samples.log_weight - np.max(samples.log_weight))
    assert reweighting_ess(samples.log_weight) > 0.9
    log_z, error = np.log(w.mean()) + np.max(samples.log_weight), w.std() / w.mean() / 64
    exact = known_values(ONTable(kind="o_n", components=2, beta=0.8), (2, 8))["log_z"]
    assert abs(log_z - exact.value) < 4 * error


def test_what_it_cannot_draw_is_refused() -> None:
    key, square = jax.random.key(1), lf.Lattice((4, 4))
    with pytest.raises(ConfigError, match="in 3 directions"):
        lf.spin_levels_flow(key, lf.Lattice((4, 4, 4)), 2, beta=1.0)
    with pytest.raises(ConfigError, match="5 components"):
        lf.spin_levels_flow(key, square, 5, beta=1.0)
    for beta in (-1.0, 5.1):
        with pytest.raises(ConfigError, match="allowed: 0 to 5"):
            lf.spin_levels_flow(key, square, 2, beta=beta)
    assert isinstance(lf.spin_levels_flow(key, square, 2, beta=0.0).prior, HaarPrior)
    assert isinstance(lf.spin_levels_flow(key, square, 2, beta=0.0, near=0).bijection, SpinLevels)
