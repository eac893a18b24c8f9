"""A checkerboard sweep is a sequence of single-site Metropolis updates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.scalar import PhiFour
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.randomness import fold_in, uniform
from latflow.samplers.local import LocalMetropolis

ACTION = PhiFour(Lattice((4, 6)), mass_squared=-4.0, coupling=6.975)
KERNEL = LocalMetropolis(ACTION, width=0.7)


def test_sweep_is_a_loop_over_sites():
    """Site by site, even ones first, each decided by the difference of the whole action."""
    key = jax.random.key(3)
    x = np.array(0.4 * jax.random.normal(jax.random.key(4), (4, 6)))
    state, transition = jax.jit(lambda key, x: KERNEL.step(key, KERNEL.init(x)))(key, jnp.asarray(x))
    steps = 0.7 * (2 * np.asarray(uniform(fold_in(key, 0), (4, 6))) - 1)
    u = np.asarray(uniform(fold_in(key, 1), (4, 6)))
    whole = jax.jit(lambda x: ACTION(x))
    acceptance = []
    for parity in (0, 1):
        for site in np.argwhere(np.indices((4, 6)).sum(axis=0) % 2 == parity):
            y = x.copy()
            y[*site] += steps[*site]
            ratio = np.exp(float(whole(x) - whole(y)))
            acceptance.append(min(1.0, ratio))
            if u[*site] < ratio:
                x = y
    np.testing.assert_allclose(state.x, x, atol=1e-13)
    assert float(transition.acceptance) == pytest.approx(np.mean(acceptance), rel=1e-12)
    assert 0.2 < np.mean(acceptance) < 0.9
    assert bool(transition.accepted)
    assert float(transition.log_ratio) == 0


def test_proposals_fill_the_width():
    steps = np.concatenate(
        [np.ravel(KERNEL.step(jax.random.key(i), KERNEL.init(jnp.zeros((4, 6))))[0].x) for i in range(20)]
    )
    assert 0.6 < np.max(steps) < 0.7
    assert -0.7 < np.min(steps) < -0.6


def test_odd_extents_are_refused():
    with pytest.raises(ConfigError, match="even extents"):
        LocalMetropolis(PhiFour(Lattice((4, 5)), mass_squared=1.0, coupling=1.0), width=0.5)
