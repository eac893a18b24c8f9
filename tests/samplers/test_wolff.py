"""Clusters of signs: bonds, flood fill, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from latflow.actions.base import AbstractLocalAction
from latflow.actions.scalar import PhiFour
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, ScalarSpace
from latflow.lattice import Lattice
from latflow.samplers.local import LocalState
from latflow.samplers.wolff import NoClusterError, WolffMetropolis, active_bonds, flip_cluster

ACTION = PhiFour(Lattice((4, 6)), mass_squared=-4.0, coupling=6.975)
X = 0.7 * jax.random.normal(jax.random.key(4), (4, 6))


class Tilted(AbstractLocalAction):
    """A field with a source: not even, so signs are no Ising model."""

    space: AbstractFieldSpace

    @override
    def __call__(self, x):
        return jnp.sum(x**2 - 0.3 * x)

    @override
    def force(self, x):
        return 2 * x - 0.3

    @override
    def site_difference(self, x, proposal):
        return (proposal**2 - 0.3 * proposal) - (x**2 - 0.3 * x)


def flood(x, forward, seed):
    """Site by site, with a stack."""
    member, stack = {seed}, [seed]
    while stack:
        site = stack.pop()
        for mu, bonds in enumerate(forward):
            ahead, behind = list(site), list(site)
            ahead[mu] = (site[mu] + 1) % x.shape[mu]
            behind[mu] = (site[mu] - 1) % x.shape[mu]
            reached = [tuple(ahead)] * bool(bonds[site]) + [tuple(behind)] * bool(bonds[tuple(behind)])
            stack += [other for other in reached if other not in member]
            member |= set(reached)
    y = np.array(x)
    for site in member:
        y[site] *= -1
    return y


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_cluster_is_a_flood_fill(density):
    rng = np.random.default_rng(1)
    flip = jax.jit(jax.vmap(flip_cluster, in_axes=(None, 0, 0)))
    forward = [rng.random((24, 4, 6)) < density for _ in range(2)]
    seeds = np.arange(24)
    found = flip(X, [jnp.asarray(b) for b in forward], jnp.asarray(seeds))
    for i in seeds:
        expected = flood(np.asarray(X), [b[i] for b in forward], tuple(map(int, np.unravel_index(i, X.shape))))
        np.testing.assert_array_equal(found[i], expected)


def test_bonds_hold_between_equal_signs_only():
    smallest = [jnp.full(X.shape, -1e-300)] * 2
    for mu, bonds in enumerate(active_bonds(X, smallest, bond=2.0)):
        np.testing.assert_array_equal(bonds, X * np.roll(X, -1, axis=mu) > 0)
    broken = active_bonds(jnp.full(X.shape, jnp.nan), smallest, bond=2.0)
    assert not np.any(broken)


def test_a_step_without_width_only_flips():
    """With proposals of no width the sweeps change nothing: every site keeps its magnitude, some change sign."""
    kernel = WolffMetropolis(ACTION, width=jnp.zeros(()), n_sweeps=2, n_clusters=3)
    y = jax.jit(lambda key, x: kernel.step(key, LocalState(x)))(jax.random.key(1), X)[0].x
    np.testing.assert_array_equal(np.abs(y), np.abs(X))
    assert np.any(np.sign(y) != np.sign(X))


def test_actions_without_bonds_are_refused():
    with pytest.raises(NoClusterError, match="Tilted; allowed: actions even"):
        WolffMetropolis(Tilted(ScalarSpace((4, 4))), width=0.5)


@pytest.mark.parametrize("numbers", [{"n_sweeps": 0}, {"n_clusters": 0}])
def test_empty_steps_are_refused(numbers):
    with pytest.raises(ConfigError, match="at least 1 of each"):
        WolffMetropolis(ACTION, width=0.5, **numbers)
