"""Few steps whose log-det is fitted to that of the discrete map: right as its record says, invertible, made again."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.ode.discrete import discrete_log_dets
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.flows import fitted as module
from latflow.flows.architectures import cast, real_nvp
from latflow.flows.continuous import continuous_flow, of_draws
from latflow.flows.fitted import JUDGED_ON, LARGEST_VOLUME, fitted
from latflow.flows.matched import FRACTION, GAIN, with_integration
from latflow.flows.weighted import matched_draws
from latflow.stats.scramblings import scrambled_estimates

N = 4096
KEY = jax.random.key(5)
ACTION = lf.PhiFour(lf.Lattice((6, 6)), mass_squared=-4.0, coupling=6.975)


@pytest.fixture(scope="module")
def model():
    return lf.load_model("zoo:phi4-e1")


@pytest.fixture(scope="module")
def chosen(model):
    return matched_draws(KEY, model, ACTION, n=N, gain=GAIN, integration="fitted")


def latent(model, n):
    return jax.vmap(lambda key: model.prior.sample_and_log_prob(key)[0])(jax.random.split(jax.random.key(11), n))


def test_log_q_is_that_of_the_map_as_it_is_computed(model, chosen):
    """On other draws than it was chosen on: 64 tell a spread to 9 %."""
    flow, told = chosen
    assert 0 < told.spread <= told.allowed[0] == pytest.approx(FRACTION / np.sqrt(N * GAIN))
    assert 0 < abs(told.shift) <= told.allowed[1]
    z = latent(model, 64)
    reported = eqx.filter_jit(lambda flow, z: jax.vmap(flow.bijection.forward_and_log_det)(z)[1])(flow, z)
    scheme = SCHEMES[told.scheme]
    plain = of_draws(cast(model, "float64"), scheme, told.steps).bijection
    errors = np.asarray(reported - jax.jit(discrete_log_dets)(plain, z.reshape(64, -1)))
    assert np.std(errors) <= 2 * told.spread
    assert abs(np.mean(errors)) <= told.allowed[1] + 5 * told.spread / 8
    # The scheme alone, with the same steps, is wrong by more than is allowed.
    quadrature = np.append(np.tile(scheme.weights, told.steps) / told.steps, 0.0)
    assert np.max(np.abs(quadrature - told.quadrature)) > 1e-5


def test_the_inverse_undoes_it(model, chosen):
    z = latent(model, 3)
    flow, told = chosen
    flow = dataclasses.replace(flow, bijection=dataclasses.replace(flow.bijection, velocity=_double(flow)))
    y, log_det = jax.jit(jax.vmap(flow.bijection.forward_and_log_det))(z)
    back, of_inverse = jax.jit(jax.vmap(flow.bijection.inverse_and_log_det))(y)
    np.testing.assert_allclose(back, z, atol=1e-8)
    np.testing.assert_allclose(of_inverse, -log_det, atol=1e-7)
    assert told.steps <= 4


def _double(flow):
    return cast(flow.bijection.velocity, "float64")


def test_the_same_integration_again(model, chosen):
    """From its record, and by the function that samples."""
    drawn = lf.sample(KEY, model, ACTION, n=N, integration="fitted")
    assert drawn.integration == chosen[1]
    again = with_integration(model, chosen[1])
    for flow in (chosen[0], again):
        np.testing.assert_array_equal(lf.sample(KEY, lf.FlowSampler(flow, ACTION), n=N).log_weight, drawn.log_weight)


def test_it_is_judged_on_draws_that_it_was_not_fitted_to(model, monkeypatch):
    sizes, judged = [], module.judged
    monkeypatch.setattr(
        module, "judged", lambda epsilon, *a, **k: sizes.append(len(epsilon)) or judged(epsilon, *a, **k)
    )
    assert fitted(KEY, model, ACTION, n=N) is not None
    assert set(sizes) == {JUDGED_ON}


def test_free_fields_have_their_free_energy_and_moments():
    """A flow with few steps, quasi-random points, and exact answers; 3e-3 in log Z and 3 % in moments would be seen.

    At night an interacting theory is compared with clusters, at 1e-3 (`test_matched`).
    """
    lattice = lf.Lattice((2, 2))
    action = lf.PhiFour(lattice, mass_squared=1.5, coupling=0.0)
    flow = continuous_flow(KEY, lattice, mass_squared=1.5, n_contexts=1, n_features=2, n_hidden=2, n_times=2, radius=1)
    flow = eqx.tree_at(lambda flow: flow.bijection.velocity.weight, flow, replace_fn=lambda w: w + 0.05)
    drawn = lf.quasi_sample(KEY, flow, action, points=512, integration="fitted")
    assert drawn.integration.quadrature is not None
    precision = 2 * (2 - 2 * np.cos(np.pi * np.arange(2)))[:, None] + 2 * (2 - 2 * np.cos(np.pi * np.arange(2))) + 3.0
    exact = float(np.sum(0.5 * np.log(2 * np.pi / precision)))
    assert drawn.log_z.error <= 5e-4
    assert abs(drawn.log_z.value - exact) <= 5 * drawn.log_z.error
    columns = {"chi": np.sum(drawn.proposals, axis=(1, 2)) ** 2 / 4, "square": np.mean(drawn.proposals**2, axis=(1, 2))}
    found = scrambled_estimates(columns, drawn.draws, dict)
    for name, moment in {"chi": 1 / precision[0, 0], "square": np.mean(1 / precision)}.items():
        assert found[name][0].error <= 5e-3 * moment
        assert abs(found[name][0].value - moment) <= 5 * found[name][0].error


def test_flows_that_do_not_allow_it_are_matched(model, monkeypatch):
    flow = real_nvp(KEY, lf.Lattice((4, 4)), n_layers=2, hidden=(4,))
    action = lf.PhiFour(lf.Lattice((4, 4)), mass_squared=-4.0, coupling=8.0)
    assert fitted(KEY, flow, action, n=N) is None
    large = lf.Lattice((3, LARGEST_VOLUME // 3 + 1))
    wide = lf.PhiFour(large, mass_squared=-4.0, coupling=8.0)
    assert fitted(KEY, continuous_flow(KEY, large, n_hidden=2, n_steps=1), wide, n=N) is None
    monkeypatch.setattr(module, "_SCHEMES", module._SCHEMES[:1])
    monkeypatch.setattr(module, "PRECISIONS", ("float32",))
    assert fitted(KEY, model, ACTION, n=10**13) is None
