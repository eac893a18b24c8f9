"""Metropolis on links: what is proposed, what is refused, and what a rejection leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.gauge import ImprovedAction, WilsonAction
from latflow.errors import ConfigError
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.samplers.chains import warm_up
from latflow.samplers.link_metropolis import LinkMetropolis


def kernel(width: float, group: str = "SU(2)", beta: float = 2.2) -> LinkMetropolis:
    return LinkMetropolis(WilsonAction(Lattice((2, 4)), named(group), beta=beta), width=width)


@pytest.mark.parametrize("group", ["U(1)", "SU(2)"])
def test_ratios_are_those_of_the_whole_action(group: str) -> None:
    """The sum of the ratios of accepted proposals is the change of −S: links change one after another."""
    metropolis = kernel(0.8, group)
    action = metropolis.action
    x = action.space.random(jax.random.key(1))
    state, transition = jax.jit(lambda k, x: metropolis.step(k, metropolis.init(x)))(jax.random.key(2), x)
    change = np.asarray(action(x) - action(state.x))
    moved = np.asarray(jnp.any((state.x != x).reshape(2, -1, 8), axis=1))
    assert 0 < moved.sum() < moved.size  # rejected links keep every bit
    assert 0 < float(transition.acceptance) < 1
    assert float(transition.log_ratio) == 0
    assert abs(change) > 1e-3
    assert float(action.space.defect(state.x)) < 1e-14


def test_a_wide_step_is_no_wider_than_the_group() -> None:
    state, _ = jax.jit(lambda k, x: kernel(1e30).step(k, kernel(1e30).init(x)))(
        jax.random.key(3), kernel(1.0).action.space.cold()
    )
    assert bool(jnp.all(jnp.isfinite(state.x)))
    assert float(kernel(1.0).action.space.defect(state.x)) < 1e-13


def test_the_width_is_tuned() -> None:
    metropolis = kernel(0.01)
    x = jax.vmap(metropolis.action.space.random)(jax.random.split(jax.random.key(4), 8))
    tuned, _, acceptance = warm_up(metropolis, jax.random.key(5), x, n_steps=120, target_acceptance=0.5)
    assert float(tuned.scale) > 0.3
    assert 0.4 < float(acceptance) < 0.6


def test_a_field_that_is_not_a_number_is_rejected_and_reported() -> None:
    metropolis = kernel(0.8, "U(1)")
    x = metropolis.action.space.cold().at[0, 0, 0].set(jnp.nan)
    state, transition = metropolis.step(jax.random.key(6), metropolis.init(x))
    assert bool(jnp.isnan(transition.log_ratio))
    assert bool(jnp.isnan(state.x[0, 0, 0]))
    assert bool(jnp.all(jnp.isfinite(state.x[0, 1])))


def test_lattices_that_do_not_fit_are_refused() -> None:
    group = named("U(1)")
    with pytest.raises(ConfigError, match="even extents"):
        LinkMetropolis(WilsonAction(Lattice((3, 4)), group, beta=1.0), width=1.0)
    with pytest.raises(ConfigError, match="multiples of 4"):
        LinkMetropolis(ImprovedAction.iwasaki(Lattice((6, 4)), group, beta=1.0), width=1.0)
