"""Flows of links on stripes: training, an inverse that does not converge, Jacobians of matrix steps, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import wilson
from latflow.actions import exact_gauge
from latflow.bijections.class_maps import projections
from latflow.errors import ConfigError, PhysicsStop
from latflow.flows.flow import Flow
from latflow.flows.link_layers import link_coupling_flow, require_inverses, stout_flow
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled
from latflow.training.losses import PathGradient
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps

KEY = jax.random.key(8)


def test_training_finds_the_target():
    """U(1) on 4×4 at β = 1: the ESS rises, log Z is exact within 4σ, no number of the training is not finite."""
    action = wilson("U(1)", (4, 4), 1.0)
    flow = link_coupling_flow(KEY, Lattice((4, 4)), named("U(1)"), n_layers=8, width=8, n_bins=6, n_terms=2)
    optimiser = adam(lambda step: jnp.asarray(0.02))
    start = TrainingState.start(flow, optimiser)
    state, outcome = run_steps(start, KEY, 30, action=action, loss=PathGradient(32), optimiser=optimiser)
    assert bool(outcome.finite)

    @eqx.filter_jit
    def weights(flow):
        def one(key):
            x, log_q = flow.sample_and_log_prob(key)
            return -action(x) - log_q

        return jnp.exp(jax.vmap(one)(jax.random.split(KEY, 2048)))

    found = []
    for each in (flow, state.flow):
        w = np.asarray(weights(each))
        error = np.std(w) / np.mean(w) / np.sqrt(len(w))
        assert abs(np.log(np.mean(w)) - exact_gauge.u1_log_z(1.0, volume=16)) < 4 * error
        found.append(np.mean(w) ** 2 / np.mean(w**2))
    assert found[1] > found[0] + 0.15, found


def test_an_inverse_that_does_not_converge_stops(monkeypatch):
    """It says layer, residual and link; densities are no numbers; with enough steps it is found."""
    flow = link_coupling_flow(
        KEY, Lattice((2, 2)), named("U(1)"), n_layers=2, width=4, n_terms=2, transform="projections"
    )
    bijection = scrambled(KEY, flow.bijection, scale=1.0)
    x = flow.space.random(KEY)
    y, _ = bijection.forward_and_log_det(x)
    np.testing.assert_allclose(bijection.require_inverse(y), x, atol=1e-6)
    monkeypatch.setattr(projections, "_STEPS", 1)
    jax.clear_caches()
    with pytest.raises(PhysicsStop, match=r"an inverse has not converged: layer 1, residual .+, link 0 at \[\d, \d\]"):
        bijection.require_inverse(y)
    densities = np.asarray([0.0, np.nan])
    with pytest.raises(PhysicsStop, match="an inverse has not converged: layer 1"):
        require_inverses(Flow(flow.prior, bijection), np.stack([x, y]), densities)
    require_inverses(Flow(flow.prior, flow.bijection), np.stack([x, y]), np.zeros(2))
    assert bool(jnp.isnan(bijection.inverse_and_log_det(y)[1]))


@pytest.mark.parametrize(
    ("make", "shape", "group", "settings", "says"),
    [
        (link_coupling_flow, (4, 6), "U(1)", {"period": 4}, r"flow\.period: 4; allowed: a period that divides every"),
        (stout_flow, (3, 3), "SU(2)", {}, r"flow\.period: 2; allowed"),
        (link_coupling_flow, (4, 4), "U(1)", {"n_bins": 1}, r"flow\.bins: 1; allowed: at least 2"),
        (link_coupling_flow, (4, 4), "SU(4)", {}, r"group: SU\(4\); allowed: U\(1\), SU\(2\), SU\(3\)"),
        (link_coupling_flow, (4, 4), "U(1)", {"reach": 3}, r"flow\.reach: 3; allowed: at most 2 on \[4, 4\]"),
        (link_coupling_flow, (4, 4), "SU(2)", {"transform": "projections"}, r"projections of SU\(2\); allowed: U\(1\)"),
        (link_coupling_flow, (4, 4), "U(1)", {"transform": "affine"}, r"flow\.transform: affine; allowed: spline"),
        (stout_flow, (4, 4), "U(1)", {"slope_bound": 1.0}, r"flow\.slope_bound: 1\.0; allowed: above 0, below 1"),
    ],
)
def test_what_cannot_be_built_is_refused(make, shape, group, settings, says):
    with pytest.raises(ConfigError, match=says):
        make(KEY, Lattice(shape), named(group), **settings)
