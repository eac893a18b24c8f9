"""Integration matched to the statistical error: its bias is measured, small, and independent of the batch."""

import dataclasses
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

import latflow as lf
from by_clusters import NAMES, by_clusters
from latflow.bijections.ode.of_draws import FlowOfDraws
from latflow.errors import ConfigError
from latflow.flows import matched as module
from latflow.flows.architectures import cast, real_nvp
from latflow.flows.continuous import log_prob_error, of_draws
from latflow.flows.matched import FRACTION, GAIN, PROBES, made_for_draws, matched, with_integration
from latflow.flows.weighted import for_draws, matched_draws

JUDGED = module._judged
N = 2048
KEY = jax.random.key(5)
ACTION = lf.PhiFour(lf.Lattice((6, 6)), mass_squared=-4.0, coupling=6.975)


@pytest.fixture(scope="module")
def model():
    return lf.load_model("zoo:phi4-e1")


@pytest.fixture(scope="module")
def chosen(model):
    return matched_draws(KEY, model, ACTION, n=N)


def test_the_error_is_below_a_tenth_of_the_statistical_error(model, chosen):
    flow, found = chosen
    assert found.allowed[0] == pytest.approx(FRACTION / np.sqrt(N))
    assert 0 < found.spread <= found.allowed[0]
    assert 0 < abs(found.shift) <= found.allowed[1]
    # other draws
    assert log_prob_error(jax.random.key(8), flow, of_draws(for_draws(KEY, model))) <= 10 * found.largest


def test_averages_move_by_less_than_a_tenth_of_their_error(model):
    """The same latent draws with both integrators: what differs is bias, not noise."""
    draws = {how: lf.sample(KEY, model, ACTION, n=N, integration=how) for how in ("fine", "matched")}
    for name in ("susceptibility", "phi_squared", "ising_energy"):
        fine, cheap = (lf.reweighted_estimates(ACTION, each)[name][0] for each in draws.values())
        assert 0 < abs(cheap.value - fine.value) <= 0.1 * fine.error
    assert draws["matched"].integration.allowed[0] == pytest.approx(FRACTION / np.sqrt(N * GAIN))
    assert abs(draws["matched"].log_z.value - draws["fine"].log_z.value) <= 0.1 * draws["fine"].log_z.error
    assert draws["fine"].integration is None
    assert draws["matched"].integration.precision == "float32"


def test_quasi_random_draws_are_integrated_more_finely(model):
    found = lf.quasi_sample(KEY, model, ACTION, points=64, scramblings=16, integration="matched").integration
    assert found.allowed[0] == pytest.approx(FRACTION / np.sqrt(64 * 16 * 128))


def test_steps_follow_the_number_of_draws(model, chosen):
    _, many = matched_draws(KEY, model, ACTION, n=100_000_000)
    assert many.spread <= FRACTION / 1e4
    assert (many.precision, many.steps) != (chosen[1].precision, chosen[1].steps)


def test_draws_do_not_depend_on_the_block(model, chosen):
    sampler = lf.FlowSampler(chosen[0], ACTION)
    whole = lf.sample(KEY, sampler, n=300)
    blocks = lf.sample(KEY, sampler, n=300, block_size=70)
    np.testing.assert_array_equal(whole.log_weight, blocks.log_weight)


def test_one_draw_is_that_of_a_batch_in_double_precision(model):
    flow = of_draws(cast(model, "float64"))
    assert isinstance(flow.bijection, FlowOfDraws)
    z = jax.vmap(lambda k: model.prior.sample_and_log_prob(k)[0])(jax.random.split(KEY, 3))
    batch, log_det = eqx.filter_jit(lambda f, z: jax.vmap(f.bijection.forward_and_log_det)(z))(flow, z)
    alone, log_det_alone = flow.bijection.forward_and_log_det(z[1])
    reference, of_reference = eqx.filter_jit(lambda f, z: f.bijection.forward_and_log_det(z))(model, z[1])
    np.testing.assert_allclose(batch[1], alone, atol=1e-13)
    np.testing.assert_allclose(alone, reference, atol=1e-13)
    np.testing.assert_allclose([log_det[1], log_det_alone], of_reference, atol=1e-12)


def test_what_else_is_made_with_the_flow_asks_for_more_steps(model, chosen):
    """The bias of something else, which only the next choice leaves small enough."""
    asked = []

    def further(flow):
        asked.append(int(flow.bijection.n_steps))
        return 0.0 if len(asked) > 1 else 2 * chosen[1].allowed[0]

    _, told = matched(KEY, model, ACTION, exact=for_draws(KEY, model), n=N, further=further)
    assert (len(asked), told.steps) == (2, asked[1])
    assert told.spread <= told.allowed[0]


def test_what_is_hopeless_is_seen_on_a_few_draws(model, monkeypatch):
    """One step is twenty times too coarse for a million draws: a fourth of the probes tells; what is taken has all."""
    judged = []
    monkeypatch.setattr(
        module, "_judged", lambda errors, **k: judged.append((len(errors.epsilon), k)) or JUDGED(errors, **k)
    )
    exact = for_draws(KEY, model)
    _, told = matched(KEY, model, ACTION, exact=exact, n=10**6)
    sizes = {steps: max(n for n, k in judged if k["steps"] == steps) for steps in range(1, told.steps + 1)}
    assert sizes[1] == PROBES // 4
    assert sizes[told.steps] == PROBES


def test_the_same_integration_again(model, chosen):
    again = with_integration(model, chosen[1])
    one, other = (lf.sample(KEY, lf.FlowSampler(flow, ACTION), n=300).log_weight for flow in (chosen[0], again))
    np.testing.assert_array_equal(one, other)


def test_other_flows_keep_their_own_arithmetic():
    flow = real_nvp(KEY, lf.Lattice((4, 4)), n_layers=2, hidden=(4,))
    action = lf.PhiFour(lf.Lattice((4, 4)), mass_squared=-4.0, coupling=8.0)
    found, told = matched(KEY, flow, action, exact=flow, n=N)
    assert found is flow
    assert told is None
    assert not made_for_draws(flow)


def test_words_that_are_no_integration_are_refused(model):
    with pytest.raises(ConfigError, match="integration: coarse; allowed: fine, matched, fitted"):
        lf.sample(KEY, model, ACTION, n=4, integration="coarse")


def test_a_flow_without_a_good_enough_integration_is_drawn_finely(model, monkeypatch):
    monkeypatch.setattr("latflow.flows.matched._STEPS", (1,))
    exact = for_draws(KEY, model)
    found, told = matched(KEY, model, ACTION, exact=exact, n=10**9)
    assert found is exact
    assert told is None


def test_a_record_is_data(chosen):
    assert set(dataclasses.asdict(chosen[1])) == {
        *("scheme", "steps", "precision", "spread", "shift", "largest", "allowed", "quadrature", "of_inverse")
    }
    assert chosen[1].quadrature is None


@pytest.fixture(scope="module")
def clusters():
    """Corrected averages of clusters, which the plain ones agree with."""
    found = by_clusters(ACTION, seed=100, n=1000)
    for name in NAMES:
        plain, corrected = found.plain[name][0], found.estimates[name][0]
        assert found.corrections[name], found.withheld
        # of correlated averages: a correction that shifts the value is seen down to five errors of the plain one
        assert abs(plain.value - corrected.value) <= 5 * plain.error
    return {name: found.estimates[name][0] for name in NAMES}


SEEN = {"susceptibility": 1e-3, "pole_mass": 1.5e-3, "ising_energy": 1e-3, "phi_squared": 3e-4}
"""Relative biases that five combined errors see."""


@pytest.mark.nightly
@pytest.mark.parametrize("integration", ["matched", "fitted"])
def test_quasi_random_averages_agree_with_an_independent_cluster_run(model, clusters, integration):
    """Within five combined errors, of which 1e-3 of χ₂ are more; fitted draws have few steps and a log-det of these."""
    found = []
    for seed in range(9, 13):
        drawn = lf.quasi_sample(jax.random.key(seed), model, ACTION, points=8192, integration=integration)
        assert (drawn.integration.quadrature is not None) == (integration == "fitted")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lf.UnreliableWarning)  # of fourth powers, which are not compared
            found.append(lf.reweighted_estimates(ACTION, drawn))
    for name, seen in SEEN.items():
        values, errors = np.array([(each[name][0].value, each[name][0].error) for each in found]).T
        value, error, other = values.mean(), np.sqrt(np.sum(errors**2)) / len(errors), clusters[name]
        combined = np.hypot(error, other.error)
        assert 5 * combined <= seen * abs(other.value), f"{name}: {value} ± {error}, clusters {other}"
        assert abs(value - other.value) <= 5 * combined, f"{name}: {value} ± {error}, clusters {other}"
