"""Continuous flows of spins: the start in β, least squares against exact log Z, weights on other lattices."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.actions.exact_spins import two_by_two
from latflow.bijections.ode.spin_velocity import SpinVelocity
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace
from latflow.stats.weights import reweighting_ess
from latflow.training.steps import TrainingState


@pytest.mark.parametrize("components", [2, 4])
def test_it_starts_as_the_trivialising_map(components: int) -> None:
    """Its divergence is S up to a constant, so that log q is −S to first order in β."""
    action = lf.SpinModel(lf.Lattice((3, 4)), components=components, beta=0.3)
    velocity = SpinVelocity.trivialising(action.space, beta=0.3, n_times=2, radius=1, degree=1)
    x = jax.vmap(action.space.random)(jax.random.split(jax.random.key(1), 8))
    _, divergence = jax.jit(jax.vmap(lambda x: velocity(jnp.asarray(0.3), x)))(x)
    np.testing.assert_allclose(divergence, jax.vmap(action)(x), atol=1e-12)


def test_weights_mean_the_same_on_every_lattice() -> None:
    """A configuration that repeats itself is moved alike on a lattice and on one of twice its extent."""
    space = SphereSpace(2, (5, 5))
    velocity = SpinVelocity.trivialising(space, beta=0.3, n_times=2, radius=2)
    weights = jax.random.normal(jax.random.key(2), velocity.weights.shape)
    velocity = dataclasses.replace(velocity, weights=weights)
    x = space.random(jax.random.key(3))
    v, divergence = eqx.filter_jit(velocity)(jnp.asarray(0.4), x)
    larger = eqx.filter_jit(velocity.on(lf.Lattice((10, 5))))
    twice, more = larger(jnp.asarray(0.4), jnp.concatenate([x, x], axis=1))
    np.testing.assert_allclose(twice, jnp.concatenate([v, v], axis=1), atol=1e-12)
    np.testing.assert_allclose(more, 2 * divergence, atol=1e-11)


def test_least_squares_trains_it() -> None:
    """On 2×2 O(3) spins; log Z within 5σ of the exact one, with ESS far beyond that of uniform spins, .45."""
    action = lf.SpinModel(lf.Lattice((2, 2)), components=3, beta=0.8)
    flow = lf.continuous_spin_flow(jax.random.key(4), action.lattice, 3, radius=1, n_times=2)
    loss, optimiser = lf.LeastSquares(batch_size=256, n_intervals=4), lf.adam(lambda _: jnp.asarray(1e-3))
    state, _ = loss.descend(
        TrainingState.start(flow, optimiser), jax.random.key(5), 2, action=action, optimiser=optimiser
    )
    trained = state.flow

    @jax.jit
    def log_weights(keys):
        x, log_q = jax.vmap(trained.sample_and_log_prob)(keys)
        return -jax.vmap(action)(x) - log_q, jnp.max(jax.vmap(action.space.defect)(x))

    log_w, defect = log_weights(jax.random.split(jax.random.key(6), 4096))
    w = np.exp(np.asarray(log_w))
    exact = two_by_two(components=3, beta=0.8).log_z
    assert reweighting_ess(np.asarray(log_w)) > 0.95
    assert abs(np.log(np.mean(w)) - exact) < 5 * np.std(w) / np.mean(w) / math.sqrt(len(w)) + 1e-3
    assert float(defect) < 1e-14


def test_what_is_refused() -> None:
    key, lattice = jax.random.key(0), lf.Lattice((4, 4))
    with pytest.raises(ConfigError, match="components: 1; allowed"):
        lf.continuous_spin_flow(key, lattice, 1)
    with pytest.raises(ConfigError, match=r"flow.scheme: euler; allowed"):
        lf.continuous_spin_flow(key, lattice, 3, scheme="euler")
