"""Estimators of one gradient agree in the mean and differ in scatter; the path gradient has none where q = p."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.scalar import FreeField, PhiFour
from latflow.bijections.compose import Chain
from latflow.bijections.conditioners import DenseConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.elementwise import Scale
from latflow.bijections.partition import Partition
from latflow.distributions import Normal
from latflow.errors import ConfigError
from latflow.flows.architectures import real_nvp
from latflow.flows.flow import Flow
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled
from latflow.training.losses import ForwardKL, MixtureLoss, PathGradient, ReverseKL, moved_at_random

MASS_SQUARED = 0.7
BATCH = 128
FREE = FreeField(Lattice((2,)), mass_squared=MASS_SQUARED)
PHI_FOUR = PhiFour(Lattice((2,)), mass_squared=-1.0, coupling=1.0)


def flow_on_two_sites():
    """Two couplings with weights of order one."""
    flow = real_nvp(jax.random.key(3), Lattice((2,)), n_layers=2, network="dense", hidden=(4,), dtype="float64")
    return scrambled(jax.random.key(3), flow)


def exact_flow():
    """The free field on a ring of two sites, whose bonds count twice, as a coupling: x₂ is drawn given x₁."""
    diagonal = 2 * (2 + MASS_SQUARED)
    marginal = diagonal / (diagonal**2 - 16)
    partition = Partition.of(np.array([False, True]))
    network = DenseConditioner(jax.random.key(1), partition, hidden=(1,), dtype=jnp.dtype(jnp.float64))
    # gelu(x) - gelu(-x) = x: two units make a linear network
    network = eqx.tree_at(
        lambda n: (n.hidden[0].weight, n.hidden[0].bias, n.last.weight, n.last.bias),
        network,
        (
            jnp.array([[1.0, -1.0]]),
            jnp.zeros(2),
            4 / diagonal * jnp.array([[0.0, 1.0], [0.0, -1.0]]),
            jnp.array([2 * math.atanh(-0.25 * math.log(diagonal * marginal)), 0.0]),
        ),
    )
    return widened(Flow(Normal((2,)), AffineCoupling(partition, network, 2.0)), 0.5 * math.log(marginal))


def widened(flow, log_scale):
    return Flow(flow.prior, Chain((flow.bijection, Scale(log_scale))))


evaluate = eqx.filter_jit(lambda loss, flow, action, key: loss(flow, action, key))


def gradients(loss, flow, action, keys):
    """One row of all parameters' derivatives per key."""
    parameters, static = eqx.partition(flow, eqx.is_inexact_array)

    def value(parameters, key):
        return loss(eqx.combine(parameters, static), action, key)[0]

    rows = jax.jit(jax.vmap(jax.grad(value), in_axes=(None, 0)))(parameters, keys)
    return np.concatenate([np.asarray(leaf).reshape(len(keys), -1) for leaf in jax.tree.leaves(rows)], axis=1)


def test_path_gradient_vanishes_where_the_flow_is_the_theory():
    """And the gradient with the score does not: its mean does, within its scatter."""
    flow, keys = exact_flow(), jax.random.split(jax.random.key(2), 16)
    assert float(jnp.std(evaluate(ReverseKL(BATCH), flow, FREE, keys[0])[1])) < 1e-13
    assert np.max(np.abs(gradients(PathGradient(BATCH), flow, FREE, keys))) < 1e-12
    assert np.max(np.abs(gradients(ReverseKL(BATCH), flow, FREE, keys))) > 1e-2


def test_path_gradient_has_the_mean_of_the_reverse_kl():
    """Paired on the same draws; every parameter within 5σ, and σ at most a hundredth of the gradient's norm."""
    flow, keys = flow_on_two_sites(), jax.random.split(jax.random.key(4), 400)
    path = gradients(PathGradient(BATCH), flow, PHI_FOUR, keys)
    reverse = gradients(ReverseKL(BATCH), flow, PHI_FOUR, keys)
    error = np.std(path - reverse, axis=0, ddof=1) / math.sqrt(len(keys))
    assert np.all(np.abs(np.mean(path - reverse, axis=0)) <= 5 * error + 1e-13)
    assert np.max(error) < 0.01 * np.linalg.norm(np.mean(reverse, axis=0))


def test_path_gradient_has_the_value_of_the_reverse_kl():
    flow, key = flow_on_two_sites(), jax.random.key(5)
    path, reverse = (evaluate(loss(BATCH), flow, PHI_FOUR, key) for loss in (PathGradient, ReverseKL))
    np.testing.assert_allclose(path[0], reverse[0], rtol=1e-13)
    np.testing.assert_allclose(path[1], reverse[1], rtol=0, atol=1e-13)


def test_forward_kl_is_the_mean_over_its_batch():
    x = jax.random.normal(jax.random.key(6), (512, 2))
    flow = Flow(Normal((2,)), Scale(-0.3))
    value, log_weights = evaluate(ForwardKL(x, BATCH), flow, PHI_FOUR, jax.random.key(7))
    chosen = x[jax.random.randint(jax.random.key(7), (BATCH,), 0, 512)]
    log_q = np.asarray(jax.vmap(flow.log_prob)(chosen))
    np.testing.assert_allclose(value, -np.mean(log_q), rtol=1e-13)
    np.testing.assert_allclose(log_weights, -np.asarray(jax.vmap(PHI_FOUR)(chosen)) - log_q, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("width", "least"), [(1.0, True), (1.2, False)])
def test_forward_kl_is_least_for_the_theory(width, least):
    """Its slope has mean zero on exact draws, within 5σ of 64 sets of them, and on wider ones it has not."""
    flow = exact_flow()

    @jax.jit
    def slope(key):
        x = width * jax.vmap(flow.sample_and_log_prob)(jax.random.split(key, 64))[0]
        return jax.grad(lambda a: ForwardKL(x, 64)(widened(flow, a), FREE, key)[0])(0.0)

    slopes = np.asarray(jax.vmap(slope)(jax.random.split(jax.random.key(8), 64)))
    z = abs(np.mean(slopes)) / (np.std(slopes, ddof=1) / 8)
    assert (z < 5) == least


def test_mixture_is_the_weighted_sum():
    flow, key = flow_on_two_sites(), jax.random.key(9)
    parts = (ReverseKL(BATCH), ForwardKL(jax.random.normal(jax.random.key(10), (8, 2)), 32))
    mixture = MixtureLoss(parts, (0.25, 0.75))
    value, log_weights = evaluate(mixture, flow, PHI_FOUR, key)
    single = [evaluate(part, flow, PHI_FOUR, jax.random.fold_in(key, i)) for i, part in enumerate(parts)]
    np.testing.assert_allclose(value, 0.25 * single[0][0] + 0.75 * single[1][0], rtol=1e-13)
    np.testing.assert_allclose(log_weights, np.concatenate([part[1] for part in single]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan)])
def test_mixture_refuses_weights(weights):
    with pytest.raises(ConfigError, match=r"training\.loss"):
        MixtureLoss((ReverseKL(2), PathGradient(2)), weights)


def test_moved_fields_are_the_same_to_the_action_and_reach_all_symmetries():
    """Of a field without a symmetry on 3 × 3 sites all 72 images occur, about equally often; 3 × 2 sites have 12."""
    action = PhiFour(Lattice((3, 3)), mass_squared=-1.0, coupling=0.5)
    x = jax.random.normal(jax.random.key(1), (3, 3))
    moved = jax.jit(jax.vmap(lambda key: moved_at_random(key, x, 2)))(jax.random.split(jax.random.key(2), 72 * 64))
    np.testing.assert_allclose(jax.vmap(action)(moved), action(x), atol=1e-12)
    images, counts = np.unique(np.asarray(moved).reshape(len(moved), -1), axis=0, return_counts=True)
    assert len(images) == 72
    assert np.sum((counts - 64) ** 2 / 64) < 71 + 5 * np.sqrt(2 * 71)
    narrow = jax.vmap(lambda key: moved_at_random(key, x[:, :2], 2))(jax.random.split(jax.random.key(3), 1024))
    assert len(np.unique(np.asarray(narrow).reshape(1024, -1), axis=0)) == 12
