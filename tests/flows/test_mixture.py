"""A flow mixed with its mirror image: even, normalised, both signs drawn, trainable."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from catalogue import F64, key, phi_four_2x2
from latflow.flows.architectures import cast, real_nvp
from latflow.flows.mixture import Z2Mixture
from latflow.lattice import Lattice
from latflow.testing import scrambled
from latflow.training.losses import ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps


def component(shape, dtype=F64):
    flow = real_nvp(key(7), Lattice(shape), n_layers=2, network="dense", hidden=(6,), dtype=dtype)
    return scrambled(key(8), flow)


def test_density_is_the_mean_of_both():
    flow = component((4, 2))
    x = jax.random.normal(key(1), (5, 4, 2))
    q = jax.jit(jax.vmap(lambda x: jnp.exp(flow.log_prob(x))))
    mixed = jax.jit(jax.vmap(Z2Mixture(flow).log_prob))
    np.testing.assert_allclose(np.exp(mixed(x)), 0.5 * (q(x) + q(-x)), rtol=1e-13)
    np.testing.assert_allclose(mixed(x), mixed(-x), rtol=1e-14)
    assert np.max(np.abs(q(x) / q(-x) - 1)) > 0.1


def test_draws_are_the_flow_up_to_a_fair_sign():
    flow = component((4, 2))
    keys = jax.random.split(key(2), 400)
    x, log_prob = jax.jit(jax.vmap(Z2Mixture(flow).sample_and_log_prob))(keys)
    bare, _ = jax.jit(jax.vmap(lambda k: flow.sample_and_log_prob(jax.random.fold_in(k, 0))))(keys)
    same = np.all(np.asarray(x == bare), axis=(1, 2))
    assert np.all(same | np.all(np.asarray(x == -bare), axis=(1, 2)))
    # 400 fair signs are within 5σ = 50 of 200
    assert abs(same.sum() - 200) < 50
    np.testing.assert_allclose(log_prob, jax.vmap(Z2Mixture(flow).log_prob)(x), atol=1e-12)


def test_it_trains_and_casts():
    mixture = Z2Mixture(component((2, 2), jnp.dtype(jnp.float32)))
    optimiser = adam(optax.constant_schedule(0.01))
    state, outcome = run_steps(
        TrainingState.start(mixture, optimiser),
        key(3),
        jnp.asarray(20),
        action=phi_four_2x2(),
        loss=ReverseKL(batch_size=64),
        optimiser=optimiser,
    )
    assert bool(outcome.finite)
    trained = cast(state.flow, "float64")
    assert {leaf.dtype for leaf in jax.tree.leaves(trained) if jnp.issubdtype(leaf.dtype, jnp.inexact)} == {F64}
    x = jnp.full((2, 2), 0.3)
    assert float(state.flow.log_prob(x)) != float(mixture.log_prob(x))
