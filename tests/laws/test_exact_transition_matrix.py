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
