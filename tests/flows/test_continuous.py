"""Integration accuracy is measured and reached, and weights do not care about the integrator."""

import jax
import numpy as np
import pytest

from latflow.bijections.ode.runge_kutta import RK4, RK8
from latflow.errors import ConfigError, PhysicsStop
from latflow.flows import continuous
from latflow.flows.architectures import real_nvp
from latflow.flows.continuous import (
    accurate,
    continuous_flow,
    is_continuous,
    log_prob_error,
    production_steps,
    with_integrator,
)
from latflow.lattice import Lattice
from latflow.testing import scrambled

LATTICE = Lattice((4, 4))
KEY = jax.random.key(3)


def flow(scale=0.3):
    small = continuous_flow(
        jax.random.key(1), LATTICE, n_contexts=2, n_hidden=4, n_times=2, radius=2, n_steps=3, dtype="float64"
    )
    return scrambled(jax.random.key(2), small, scale=scale)


def test_production_steps_reach_the_bound():
    trained = flow()
    n_steps, error = production_steps(KEY, trained)
    assert error <= 1e-7
    # against a reference far finer than the one the search looked at
    reference = with_integrator(trained, RK8, 64)
    assert log_prob_error(jax.random.key(9), with_integrator(trained, RK8, n_steps), reference) <= 1e-6
    # and the training integrator is really coarser
    assert log_prob_error(jax.random.key(9), with_integrator(trained, RK4, 3), reference) > 1e-6


def test_a_search_begins_with_the_steps_of_the_accurate_scheme(monkeypatch):
    def found(key, flow, *, first):
        return first, 0.0

    monkeypatch.setattr(continuous, "production_steps", found)
    trained = flow()
    assert accurate(KEY, with_integrator(trained, RK8, 16)).bijection.n_steps == 16
    # steps of another scheme say nothing
    assert accurate(KEY, with_integrator(trained, RK4, 16)).bijection.n_steps == 2
    assert accurate(KEY, with_integrator(trained, RK4, 16)).bijection.scheme == RK8


def test_an_error_that_cannot_be_reached_is_refused(monkeypatch):
    monkeypatch.setattr(continuous, "_MOST_STEPS", 2)
    with pytest.raises(PhysicsStop, match="not accurate"):
        production_steps(KEY, flow(), bound=0.0)


def test_integrator_changes_no_weight():
    trained = flow()
    leaves = zip(jax.tree.leaves(trained), jax.tree.leaves(with_integrator(trained, RK8, 5)), strict=True)
    assert all(np.array_equal(a, b) for a, b in leaves)


def test_who_is_continuous():
    assert is_continuous(flow())
    assert not is_continuous(real_nvp(KEY, LATTICE, n_layers=2, hidden=(4,), kernel_size=3))


def test_unknown_scheme_is_refused():
    with pytest.raises(ConfigError, match=r"flow\.scheme: euler; allowed: rk4, rk8"):
        continuous_flow(KEY, LATTICE, scheme="euler")
