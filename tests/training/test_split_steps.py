"""Path gradients by hand, part by part: against automatic differentiation, and where the flow is the theory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from latflow import execution
from latflow.actions.base import AbstractAction, autodiff_force
from latflow.actions.scalar import PhiFour
from latflow.bijections.ode.runge_kutta import RK4
from latflow.fields.spaces import ScalarSpace
from latflow.flows.architectures import real_nvp
from latflow.flows.continuous import continuous_flow, with_integrator
from latflow.flows.flow import Flow
from latflow.flows.mixture import Z2Mixture
from latflow.lattice import Lattice
from latflow.testing import scrambled
from latflow.training import split_steps
from latflow.training.losses import PathGradient, ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState

LATTICE = Lattice((4, 3))
BATCH = 12
KEY = jax.random.key(7)
OPTIMISER = adam(lambda _: jnp.asarray(1e-2), gradient_clip=10.0)


def theory(lattice):
    return PhiFour(lattice, mass_squared=-4.0, coupling=6.9)


def flow(lattice=LATTICE, *, n_steps=12):
    sizes = {"n_contexts": 2, "n_hidden": 3, "n_times": 2, "radius": 2, "dtype": "float64"}
    return scrambled(
        jax.random.key(2), continuous_flow(jax.random.key(1), lattice, n_steps=n_steps, **sizes), scale=0.2
    )


@eqx.filter_jit
def by_hand(flow, action, key):
    return split_steps.path_gradient(flow, action, key, batch_size=BATCH)


@eqx.filter_jit
def automatic(flow, action, key):
    parameters, static = eqx.partition(flow, eqx.is_inexact_array)

    def value(parameters):
        return PathGradient(BATCH)(eqx.combine(parameters, static), action, key)

    (_, log_weights), gradient = jax.value_and_grad(value, has_aux=True)(parameters)
    return gradient, log_weights


def test_gradient_is_that_of_the_loss():
    """Both slopes of log q are right to the fourth power of the step."""
    ours, log_weights = by_hand(flow(), theory(LATTICE), KEY)
    theirs, expected = automatic(flow(), theory(LATTICE), KEY)
    np.testing.assert_allclose(log_weights, expected, rtol=0, atol=1e-11)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(np.abs(b)))


class Density(AbstractAction):
    """The action whose density is that of a flow."""

    flow: Flow
    space: ScalarSpace

    @override
    def __call__(self, x):
        return -self.flow.log_prob(x)

    @override
    def force(self, x):
        return autodiff_force(self, x)


def test_gradient_vanishes_where_the_flow_is_the_theory():
    """The theory is the density of the flow, integrated finely; the gradient is 10⁻⁶ of that towards another theory."""
    same, log_weights = by_hand(flow(), Density(with_integrator(flow(), RK4, 48), ScalarSpace(LATTICE.shape)), KEY)
    other, _ = by_hand(flow(), theory(LATTICE), KEY)
    assert np.max(np.abs(log_weights)) < 1e-5
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(other), strict=True):
        assert np.max(np.abs(a)) < 1e-6 * np.max(np.abs(b))


def steps(target, *, state=None, trained=None):
    trained = flow(n_steps=12) if trained is None else trained
    state = TrainingState.start(trained, OPTIMISER) if state is None else state
    action = theory(LATTICE)
    return PathGradient(BATCH).descend(state, KEY, target, action=action, optimiser=OPTIMISER)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_neither_cores_nor_pauses_change_a_bit(monkeypatch):
    monkeypatch.setattr(split_steps, "part_size", lambda batch, volume: 4)
    state, outcome = steps(4)
    assert bool(outcome.finite)
    assert int(state.step) == 4
    assert equal(state, steps(4, state=steps(1)[0])[0])
    monkeypatch.setattr(execution, "cores", lambda: 1)
    assert equal(state, steps(4)[0])
    assert not equal(state.flow, flow(n_steps=12))


def test_parts_add_up_to_the_batch(monkeypatch):
    start = TrainingState.start(flow(), OPTIMISER)
    whole, log_weights = by_hand(flow(), theory(LATTICE), jax.random.fold_in(KEY, 0))
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(whole)))
    monkeypatch.setattr(split_steps, "part_size", lambda batch, volume: 4)
    _, outcome = steps(1, state=start)
    assert float(outcome.gradient_norm) == pytest.approx(norm, rel=1e-12)
    assert len(np.unique(log_weights)) == BATCH


def test_a_number_that_is_not_finite_ends_it_and_changes_nothing():
    start = flow(n_steps=12)
    broken = eqx.tree_at(lambda f: f.bijection.velocity.weight, start, replace_fn=lambda w: w.at[0, 0].set(jnp.nan))
    state, outcome = steps(3, trained=broken)
    assert not bool(outcome.finite)
    assert int(state.step) == 0
    for a, b in zip(jax.tree.leaves(state.flow), jax.tree.leaves(broken), strict=True):
        np.testing.assert_array_equal(a, b)


def test_which_flows_are_trained_in_parts():
    small = flow(n_steps=12)
    assert split_steps.Integration.of(small) is not None
    assert split_steps.Integration.of(Z2Mixture(small)) is None
    assert split_steps.Integration.of(real_nvp(KEY, Lattice((4, 4)), n_layers=2, hidden=(4,), kernel_size=3)) is None
    assert PathGradient(BATCH).split_draws(small) == BATCH
    assert PathGradient(BATCH).split_draws(Z2Mixture(small)) is None
    assert ReverseKL(BATCH).split_draws(small) is None
