"""E22 on links: u = 0, infinite and undefined changes of the action in HMC, Metropolis and heat bath."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from catalogue import wilson
from latflow.actions.base import AbstractAction
from latflow.errors import PhysicsStop
from latflow.fields.spaces import GaugeSpace
from latflow.samplers.chains import advance
from latflow.samplers.heatbath import HeatBath
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import LEAPFROG
from latflow.samplers.link_metropolis import LinkMetropolis
from latflow.samplers.watch import watch

NAN, INF = np.nan, np.inf
GROUPS = ("U(1)", "SU(2)")


class Cliff(AbstractAction):
    """No action at all where the first link has a positive real trace, and something that is no number elsewhere."""

    space: GaugeSpace
    outside: jax.Array

    def __init__(self, group, outside):
        self.space = wilson(group, (2, 2), 1.0).space
        self.outside = jnp.asarray(outside)

    @override
    def __call__(self, x):
        first = jnp.real(jnp.trace(self.space.links(x)[0, :, :, 0, 0]))
        return jnp.where(first > 0, 0.0, self.outside)

    @override
    def force(self, x):
        return jnp.zeros(self.space.tangent_shape)


def inside(action, x):
    return np.all(jax.vmap(jax.vmap(lambda y: jnp.isfinite(action(y))))(x))


def run_hmc(group, outside):
    kernel = HMC(Cliff(group, outside), LEAPFROG, step_size=0.8, n_steps=2)
    x = jnp.broadcast_to(kernel.action.space.cold(), (8, *kernel.action.space.shape))
    return kernel, advance(kernel, jax.random.key(1), x, first=0, n_records=30, thin=1)[1]


@pytest.mark.parametrize("outside", [NAN, INF])
@pytest.mark.parametrize("group", GROUPS)
def test_hmc_rejects_and_counts(group, outside):
    kernel, records = run_hmc(group, outside)
    lost = ~np.isfinite(records.transition.log_ratio)
    assert 0.05 < lost.mean() < 0.95
    assert not np.any(records.transition.accepted[lost])
    # without an action everything else is taken, at a change of zero
    assert np.all(records.transition.accepted[~lost])
    assert inside(kernel.action, records.x)
    assert watch(kernel, jax.random.key(2), records, first=0, thin=1).n_not_finite == lost.sum()


@pytest.mark.parametrize("group", GROUPS)
def test_hmc_refuses_an_action_without_a_floor(group):
    kernel, records = run_hmc(group, -INF)
    assert inside(kernel.action, records.x)
    with pytest.raises(PhysicsStop, match="infinite"):
        watch(kernel, jax.random.key(2), records, first=0, thin=1)


def step(kernel, x):
    return jax.jit(lambda key, x: kernel.step(key, kernel.init(x)))(jax.random.key(3), x)


@pytest.mark.parametrize("group", GROUPS)
def test_metropolis_at_infinite_coupling(group):
    """Every change of the action is infinite: none is taken, and the driver is told of the one that should not be."""
    action = wilson(group, (2, 4), 1.0)
    kernel = LinkMetropolis(with_beta(action, INF), width=0.5)
    x = action.space.random(jax.random.key(4))
    state, transition = step(kernel, x)
    np.testing.assert_array_equal(state.x, x)
    assert float(transition.log_ratio) == INF
    assert float(transition.acceptance) == 0
    # out of the minimum every step costs an infinite action, which is no error
    _, transition = step(kernel, action.space.cold())
    assert float(transition.log_ratio) != INF
    assert float(transition.acceptance) == 0


@pytest.mark.parametrize("beta", [NAN, INF])
@pytest.mark.parametrize("group", [*GROUPS, "SU(3)"])
def test_heat_bath_without_a_coupling_leaves_links_alone(group, beta):
    """No trial succeeds where the weight is not a number; the report says that nothing was drawn."""
    action = wilson(group, (2, 2), 1.0)
    x = action.space.random(jax.random.key(5))
    state, transition = step(HeatBath(with_beta(action, beta)), x)
    np.testing.assert_array_equal(state.x, x)
    assert float(transition.acceptance) == 0


@pytest.mark.parametrize("group", GROUPS)
def test_without_a_coupling_everything_is_taken(group):
    """ΔH = 0 exactly: u < 1 always, u = 0 included."""
    action = wilson(group, (2, 2), 0.0)
    x = action.space.random(jax.random.key(6))
    state, transition = step(LinkMetropolis(action, width=0.5), x)
    assert float(transition.acceptance) == 1
    assert np.all(np.any(np.asarray(state.x != x).reshape(2, -1, 4), axis=1))
    _, transition = step(HeatBath(action), x)
    assert float(transition.acceptance) == 1


def with_beta(action, beta):
    """Past the check of the constructor: what a traced coupling may become."""
    return type(action)(action.space.lattice, action.space.group, beta=jnp.asarray(beta))
