"""Flows of particles: what they need, and that a short training draws its target."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.particles import Particles
from latflow.errors import ConfigError
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.particle_symmetry import Permutation, Turn
from latflow.fields.spin_symmetry import random_rotation
from latflow.flows.particles import pair_flow
from latflow.training.flow_matching import FlowMatching, aligned


def test_bad_input():
    key = jax.random.key(0)
    with pytest.raises(ConfigError, match=r"space: 3 particles in R\^2; allowed: mean-free particles"):
        pair_flow(key, EuclideanSpace((3, 2)))
    with pytest.raises(ConfigError, match=r"width: 0.0; allowed: a positive number"):
        pair_flow(key, EuclideanSpace((3, 2), mean_free=True), width=0.0)
    with pytest.raises(TypeError, match="space"):
        pair_flow(key, 3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("d", [2, 3])
def test_particles_are_aligned(d):
    """What was turned, mirrored and renamed comes back; of two unlike ones it is the nearest of many random ones."""
    x = jax.random.normal(jax.random.key(1), (4, d))
    turn = Turn(random_rotation(jax.random.key(2), d).matrix)
    away = Permutation((2, 0, 3, 1))(turn(x))
    assert float(jnp.max(jnp.abs(aligned(away, x) - x))) < 1e-12
    mirrored = away * jnp.asarray([[-1.0, *(1.0 for _ in range(d - 1))]])
    assert float(jnp.max(jnp.abs(aligned(mirrored, x) - x))) < 1e-12
    z = jax.random.normal(jax.random.key(3), (4, d))
    best = float(jnp.sum((aligned(z, x) - x) ** 2))
    rng = np.random.default_rng(1)
    for i in range(50):
        other = Permutation(tuple(rng.permutation(4).tolist()))(
            Turn(random_rotation(jax.random.key(10 + i), d).matrix)(z)
        )
        assert float(jnp.sum((other - x) ** 2)) > best - 1e-12


def test_flow_matching_has_one_error_per_draw():
    """One error per draw, their mean the loss."""
    space = EuclideanSpace((3, 2), mean_free=True)
    flow = pair_flow(jax.random.key(0), space, n_local=1, n_total=1, n_bells=3)
    action = Particles(lambda x: jnp.sum(x**2), n=3, dim=2)
    targets = 2 * jax.vmap(lambda k: flow.prior.sample_and_log_prob(k)[0])(jax.random.split(jax.random.key(4), 64))
    value, errors = FlowMatching(targets, 32)(flow, action, jax.random.key(5))
    assert errors.shape == (32,)
    assert 0 < float(value) < 100
    with pytest.raises(ConfigError, match=r"training.batch_size: 0; allowed: at least 1"):
        FlowMatching(targets, 0)
