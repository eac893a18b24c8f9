"""E10: the production accept rules on enumerable toys leave exactly the right distribution.

Every transition probability is computed to the last bit by bisection in u, so a rule that is wrong anywhere, for one
sign of ΔS or one colour of the checkerboard, shows at order one.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.scalar import PhiFour
from latflow.lattice import Lattice
from latflow.samplers.independence import accept_sequence
from latflow.samplers.local import LocalMetropolis
from latflow.samplers.metropolis import is_accepted
from latflow.samplers.wolff import active_bonds, flip_cluster
from latflow.testing import acceptance_probability, detailed_balance, stationarity, transition_matrix

LEVELS = 3
SPACING = 0.7
N_STATES = LEVELS**2
STATES = np.array(list(itertools.product(range(LEVELS), repeat=2)))
FIELDS = (STATES - 0.5 * (LEVELS - 1) + 0.15) * SPACING  # off centre, so that no weight repeats

ACTION = PhiFour(Lattice((2,)), mass_squared=-1.0, coupling=1.3)


@functools.cache
def weights():
    s = np.asarray(jax.jit(jax.vmap(ACTION))(FIELDS))
    return np.exp(-(s - s.min()))


@functools.cache
def half_sweep_matrix(parity):
    """Proposals one level up or down on the site of one parity; beyond the grid there is nothing and one stays."""
    kernel = LocalMetropolis(ACTION, width=1.0)

    @jax.jit
    def moved(fields, steps, log_u):
        def one(x, step, u):
            y, _ = kernel.half_sweep(x, jnp.full(2, step), jnp.full(2, u), parity=parity)
            return y

        return jax.vmap(one)(fields, steps, log_u)

    matrix = np.zeros((N_STATES, N_STATES))
    for sign in (-1, 1):
        target = STATES.copy()
        target[:, parity] += sign
        inside = (target[:, parity] >= 0) & (target[:, parity] < LEVELS)
        steps = np.full(N_STATES, sign * SPACING)

        def accepts(log_u, steps=steps):
            y = np.asarray(moved(FIELDS, steps, log_u))
            assert np.array_equal(y[:, 1 - parity], FIELDS[:, 1 - parity])
            return y[:, parity] != FIELDS[:, parity]

        probability = acceptance_probability(accepts, (N_STATES,))
        rows = np.flatnonzero(inside)
        columns = target[rows] @ np.array([LEVELS, 1])
        matrix[rows, columns] = 0.5 * probability[rows]
    return transition_matrix(matrix, np.ones_like(matrix))


def assert_law(result):
    assert result.passed, result.line()


@pytest.mark.parametrize("parity", [0, 1])
def test_half_sweep(parity):
    assert_law(detailed_balance(half_sweep_matrix(parity), weights()))


def test_sweep_is_stationary_and_its_palindrome_reversible():
    even, odd = half_sweep_matrix(0), half_sweep_matrix(1)
    assert_law(stationarity(even @ odd, weights()))
    assert_law(detailed_balance(even @ odd @ even, weights()))
    assert_law(detailed_balance(0.3 * even + 0.7 * odd, weights()))
    assert not detailed_balance(even @ odd, weights()).passed


def test_metropolis_with_a_symmetric_proposal():
    """The rule of HMC: ln u against minus the change of an energy."""
    n = 7
    rng = np.random.default_rng(5)
    energy = rng.normal(scale=2.0, size=n)
    proposal = rng.random((n, n))
    proposal = proposal + proposal.T
    proposal /= 1.01 * proposal.sum(axis=1).max()
    log_ratio = energy[:, None] - energy[None, :]
    acceptance = acceptance_probability(lambda log_u: is_accepted(jnp.asarray(log_u), jnp.asarray(log_ratio)), (n, n))
    assert_law(detailed_balance(transition_matrix(proposal, acceptance), np.exp(-energy)))


@functools.cache
def independence_matrix():
    """Proposals from q, weights π/q: the walk of `accept_sequence`, one proposal at a time."""
    rng = np.random.default_rng(6)
    q = rng.random(N_STATES)
    q /= q.sum()
    log_w = np.log(weights() / q)

    def accepts(log_u):
        taken = np.zeros((N_STATES, N_STATES), dtype=bool)
        for i in range(N_STATES):
            for j in range(N_STATES):
                indices, accepted = accept_sequence(
                    log_w[j : j + 1], log_u[i, j : j + 1], log_weight=float(log_w[i]), index=-1, first=j
                )
                taken[i, j] = accepted[0]
                assert indices[0] == (j if accepted[0] else -1)
        return taken

    acceptance = acceptance_probability(accepts, (N_STATES, N_STATES))
    return transition_matrix(np.tile(q, (N_STATES, 1)), acceptance)


def test_independence():
    assert_law(detailed_balance(independence_matrix(), weights()))


def test_composite_of_flow_and_local():
    sweep = half_sweep_matrix(0) @ half_sweep_matrix(1)
    assert_law(stationarity(independence_matrix() @ sweep, weights()))
    back = half_sweep_matrix(1) @ half_sweep_matrix(0)
    assert_law(detailed_balance(sweep @ independence_matrix() @ back, weights()))


CLUSTER_ACTION = PhiFour(Lattice((2, 2)), mass_squared=-1.0, coupling=1.3)
MAGNITUDES = np.array([[0.9, 0.4], [0.6, 1.1]])


@functools.cache
def cluster_matrix():
    """All signs of four sites with eight bonds: probabilities of bonds by bisection, clusters by the production fill.

    Summed over all 2⁸ sets of active bonds and all four seeds, so no random number enters.
    """
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=4)))
    fields = jnp.asarray(signs.reshape(16, 2, 2) * MAGNITUDES)
    bond = CLUSTER_ACTION.bond
    bonds = jax.jit(jax.vmap(lambda x, u: jnp.stack(active_bonds(x, [u[0], u[1]], bond=bond))))
    # `acceptance_probability` wants a rule that holds for small u; a bond holds for large u.
    inactive = acceptance_probability(lambda log_u: ~np.asarray(bonds(fields, log_u)), (16, 2, 2, 2))
    sets = np.array(list(itertools.product([True, False], repeat=8))).reshape(256, 2, 2, 2)
    each = np.where(sets[None], 1 - inactive[:, None], inactive[:, None])
    probability = each.reshape(16, 256, 8).prod(axis=-1)
    flip = jax.vmap(jax.vmap(jax.vmap(flip_cluster, (None, None, 0)), (None, 0, None)), (0, None, None))
    images = np.asarray(jax.jit(flip)(fields, [jnp.asarray(sets[:, 0]), jnp.asarray(sets[:, 1])], jnp.arange(4)))
    columns = (images.reshape(16, 256, 4, 4) < 0) @ np.array([8, 4, 2, 1])
    matrix = np.zeros((16, 16))
    np.add.at(
        matrix, (np.arange(16)[:, None, None], columns), np.broadcast_to(probability[..., None] / 4, columns.shape)
    )
    s = np.asarray(jax.vmap(CLUSTER_ACTION)(fields))
    return matrix, np.exp(-(s - s.min()))


def test_cluster():
    matrix, target = cluster_matrix()
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-14)
    assert np.all(np.linalg.matrix_power(matrix, 4) > 0)
    assert_law(detailed_balance(matrix, target))
