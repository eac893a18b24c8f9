"""Blocks of draws: draw i depends on (root, i) alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.gauge import WilsonAction
from latflow.actions.scalar import PhiFour
from latflow.bijections.elementwise import Scale
from latflow.distributions import Normal
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.flows.weighted import FlowSampler
from latflow.groups import U1
from latflow.lattice import Lattice
from latflow.samplers.draws import draw_block

ACTION = PhiFour(Lattice((2, 2)), mass_squared=-4.0, coupling=8.0)
SAMPLER = FlowSampler(Flow(Normal((2, 2)), Scale(-0.8)), ACTION)


@pytest.fixture(scope="module")
def block():
    return draw_block(SAMPLER, jax.random.key(1), first=0, n=16)


def test_draws_do_not_depend_on_the_block(block):
    later = draw_block(SAMPLER, jax.random.key(1), first=8, n=8)
    for whole, part in zip(jax.tree.leaves(block), jax.tree.leaves(later), strict=True):
        np.testing.assert_allclose(whole[8:], part, rtol=0, atol=1e-14)


def test_another_root_gives_other_draws(block):
    other = draw_block(SAMPLER, jax.random.key(2), first=0, n=16)
    assert not jnp.any(other.x == block.x)
    assert len(np.unique(block.x)) == block.x.size


def test_block_agrees_with_single_draws(block):
    weighted = SAMPLER.draw(jax.random.fold_in(jax.random.key(1), 3))
    x, action, log_prob = block.x, block.columns["action"], block.columns["log_prob"]
    np.testing.assert_allclose(x[3], weighted.x, rtol=0, atol=1e-14)
    np.testing.assert_allclose(-action[3] - log_prob[3], weighted.log_weight, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(-action - log_prob, block.log_weight)
    np.testing.assert_allclose(action[3], ACTION(x[3]), rtol=0, atol=1e-13)


def test_a_flow_of_another_lattice_or_space_is_refused() -> None:
    """Draws of one lattice with the action of another would be weighted without a word."""
    action = PhiFour(Lattice((6, 6)), mass_squared=-4.0, coupling=8.0)
    links = WilsonAction(Lattice((4, 4)), U1(), beta=1.0)
    for target in (action, links):
        with pytest.raises(ConfigError, match="allowed: those of the action"):
            FlowSampler(Normal((4, 4)), target)
