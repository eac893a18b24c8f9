"""One training for a range of couplings; on 2 × 2 sites log Z is known at every one of them."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions import exact
from latflow.actions.scalar import PhiFour
from latflow.bijections.ode.runge_kutta import RK8
from latflow.flows.architectures import cast, real_nvp
from latflow.flows.conditional import conditioned
from latflow.flows.continuous import continuous_flow, with_integrator
from latflow.flows.weighted import FlowSampler
from latflow.lattice import Lattice
from latflow.samplers.draws import draw_block
from latflow.stats.estimates import Estimate, pull
from latflow.stats.free_energy import independent_difference, weighted_log_z_difference
from latflow.stats.weights import log_z, reweighting_ess
from latflow.testing import scrambled
from latflow.training.assessment import assessment
from latflow.training.conditional import OverRange
from latflow.training.evaluation import Evaluation
from latflow.training.fit import FitHooks, FitProgress, fit, resume
from latflow.training.losses import AbstractLoss, PathGradient, ReverseKL
from latflow.training.ranges import positions
from latflow.training.schedules import adam, schedule
from latflow.training.split_range import range_gradient
from latflow.training.split_steps import path_gradient
from latflow.training.steps import Outcome, TrainingState
from latflow.training.stop import StopCriterion

LATTICE = Lattice((2, 2))
ACTION = PhiFour(LATTICE, mass_squared=-4.0, coupling=123.0)  # the coupling has no part in the training
LOWER, UPPER = 6.5, 9.0
STEPS, EVERY = 300, 100
LOSS = OverRange(PathGradient(batch_size=32), n_values=4)
OPTIMISER = adam(schedule("cosine", learning_rate=0.02, n_steps=STEPS, warmup_steps=5), gradient_clip=10.0)


def fresh():
    flow = continuous_flow(
        jax.random.key(1), LATTICE, n_contexts=2, n_features=2, n_hidden=8, n_times=2, radius=1, n_steps=3
    )
    return conditioned(flow, lower=LOWER, upper=UPPER, order=2)


def discrete():
    flow = real_nvp(jax.random.key(1), LATTICE, n_layers=2, network="dense", hidden=(4,))
    return conditioned(flow, lower=LOWER, upper=UPPER, order=1)


SETTINGS = {
    "loss": LOSS,
    "optimiser": OPTIMISER,
    "stop": StopCriterion(steps=STEPS),
    "evaluation": Evaluation(every=EVERY, assess=assessment(ACTION, n=768)),
}


@functools.cache
def trained():
    states = {}
    hooks = FitHooks(on_progress=lambda state, record: states.setdefault(record["step"], (state, record)))
    result = fit(jax.random.key(2), fresh(), ACTION, hooks=hooks, **SETTINGS)
    return result, states


@functools.cache
def draws(coupling, *, seed, n=2**13):
    """Configurations and log-weights at a coupling, integrated to a hundredth of the statistical error."""
    flow = with_integrator(trained()[0].flow.at(coupling), RK8, 2)
    sampler = FlowSampler(flow, ACTION.with_parameters(coupling=coupling))
    drawn = draw_block(sampler, jax.random.key(seed), first=0, n=n)
    return np.asarray(drawn.x), np.asarray(drawn.log_weight)


def exact_log_z(coupling):
    return exact.phi_four_2x2(mass_squared=-4.0, coupling=coupling).log_z


class Names(AbstractLoss):
    """Tells the coupling of the action it was given and the first weight of the flow."""

    def __call__(self, flow, action, key):
        return action.coupling, jnp.stack([action.coupling, flow.prior.log_widths[0]])


def test_one_coupling_in_every_stratum_and_the_flow_at_it():
    conditional = scrambled(jax.random.key(3), fresh(), scale=0.1)
    value, told = eqx.filter_jit(OverRange(Names(), n_values=4))(conditional, ACTION, jax.random.key(4))
    couplings, weights = np.asarray(told).reshape(4, 2).T
    assert np.isclose(value, couplings.mean())
    strata = np.floor(4 * np.log(couplings / LOWER) / math.log(UPPER / LOWER))
    assert strata.tolist() == [0, 1, 2, 3]
    u = 2 * np.log(couplings / LOWER) / math.log(UPPER / LOWER) - 1
    polynomials = np.stack([np.ones(4), u, 2 * u**2 - 1])
    expected = np.asarray(conditional.coefficients.prior.log_widths[:, 0]) @ polynomials
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_every_draw_of_the_range_is_as_likely():
    """The mean of u over many keys is 0 within 5σ and its variance that of the uniform density."""
    u = jax.vmap(functools.partial(positions, n=4))(jax.random.split(jax.random.key(5), 4000)).ravel()
    assert float(jnp.abs(jnp.mean(u))) < 5 / math.sqrt(3 * 16000)
    assert abs(float(jnp.mean(u**2)) - 1 / 3) < 5 * math.sqrt(4 / 45 / 16000)


def test_the_split_gradient_is_that_of_the_couplings_one_by_one():
    """The coefficient of T_k gets the mean of T_k(u) times the gradient of the ordinary flow at u."""
    sizes = {"n_values": 2, "batch_size": 4}
    conditional, key = cast(scrambled(jax.random.key(6), fresh(), scale=0.1), "float64"), jax.random.key(7)
    gradient, log_weights = eqx.filter_jit(range_gradient)(conditional, ACTION, key, **sizes)
    keys = jax.random.split(key, 3)
    places = np.asarray(positions(keys[0], n=2))
    each = eqx.filter_jit(functools.partial(path_gradient, batch_size=4))
    couplings = [float(conditional.value(u)) for u in places]
    found = [
        each(conditional.at(c), ACTION.with_parameters(coupling=c), k) for c, k in zip(couplings, keys[1:], strict=True)
    ]
    np.testing.assert_allclose(log_weights, np.concatenate([weights for _, weights in found]), rtol=0, atol=1e-10)
    polynomials = np.stack([np.ones(2), places, 2 * places**2 - 1])
    for ours, *theirs in zip(*map(jax.tree.leaves, (gradient, *(g for g, _ in found))), strict=True):
        expected = np.tensordot(polynomials, np.stack(theirs), 1) / 2
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10 * max(1.0, np.max(np.abs(expected))))


@pytest.mark.parametrize(
    ("loss", "flow", "expected"),
    [
        (PathGradient(8), fresh, ("run_split_range", {"n_values": 2, "batch_size": 8})),
        (ReverseKL(8), fresh, ("run_steps", {"loss": OverRange(ReverseKL(8), 2)})),
        (PathGradient(8), discrete, ("run_steps", {"loss": OverRange(PathGradient(8), 2)})),
    ],
    ids=["path gradient", "reverse KL", "path gradient of a discrete flow"],
)
def test_path_gradients_of_continuous_flows_are_split(monkeypatch, loss, flow, expected):
    taken, state = {}, TrainingState.start(flow(), OPTIMISER)

    def noted(name):
        def steps(*_, **settings):
            taken[name] = settings
            return state, Outcome.start()

        return steps

    for name in ("run_split_range", "run_steps"):
        monkeypatch.setattr(f"latflow.training.conditional.{name}", noted(name))
    OverRange(loss, n_values=2).descend(state, jax.random.key(1), 1, action=ACTION, optimiser=OPTIMISER)
    name, settings = expected
    assert taken == {name: {"action": ACTION, "optimiser": OPTIMISER, **settings}}


def test_it_learns_the_whole_range():
    history = trained()[0].history
    first, last = history[0], history[-1]
    assert [round(probe["coupling"], 6) for probe in last["couplings"]] == [6.5, round(math.sqrt(58.5), 6), 9.0]
    assert last["acceptance"] == min(probe["acceptance"] for probe in last["couplings"]) > 0.9
    assert first["acceptance"] < 0.75
    assert last["kl"] < 0.1 * first["kl"]


@pytest.mark.parametrize("coupling", [6.975, 9.0])
def test_log_z_at_every_coupling(coupling):
    """Exact value within 5σ, σ < 5e-3; ESS shows the flow is the one of this coupling."""
    _, log_weights = draws(coupling, seed=11)
    found = log_z(log_weights)
    assert abs(found.value - exact_log_z(coupling)) < 5 * found.error
    assert found.error < 5e-3
    assert reweighting_ess(log_weights) > 0.9


def test_free_energy_between_two_couplings():
    """log Z(6.975) − log Z(8) = 1.17318471 − 0.91443398: from two independent sets of draws, and from one alone."""
    truth = 1.17318471 - 0.91443398
    (fields, at_8), (_, at_6975) = draws(8.0, seed=12), draws(6.975, seed=13)
    both = independent_difference(log_z(at_6975), log_z(at_8))
    assert abs(both.value - truth) < 5 * both.error < 0.03
    delta = (6.975 - 8.0) * np.sum(fields**4, axis=(1, 2))
    one = weighted_log_z_difference(delta, at_8)
    assert abs(one.value - truth) < 5 * one.error < 0.02
    assert abs(pull(both, one)) < 5


def test_thermodynamic_integration_agrees():
    """∂ log Z/∂λ = −⟨Σφ⁴⟩ at the nodes of a Gauss rule, reweighted: normalisations of densities play no part in it."""
    nodes, weights = np.polynomial.legendre.leggauss(2)
    couplings = 8.0 + 0.5 * (6.975 - 8.0) * (nodes + 1)
    total, variance = 0.0, 0.0
    for i, (coupling, weight) in enumerate(zip(couplings, weights, strict=True)):
        fields, log_weights = draws(float(coupling), seed=20 + i)
        quartic = np.sum(fields**4, axis=(1, 2))
        w = np.exp(log_weights - log_weights.max())
        mean = float(np.sum(w * quartic) / np.sum(w))
        error = float(np.sqrt(np.sum((w * (quartic - mean)) ** 2)) / np.sum(w))
        total -= 0.5 * (6.975 - 8.0) * weight * mean
        variance += (0.5 * (6.975 - 8.0) * weight * error) ** 2
    truth = exact_log_z(6.975) - exact_log_z(8.0)
    assert abs(total - truth) < 5 * math.sqrt(variance) < 0.03
    from_weights = independent_difference(log_z(draws(6.975, seed=13)[1]), log_z(draws(8.0, seed=12)[1]))
    assert abs(pull(from_weights, Estimate(total, math.sqrt(variance)))) < 5


def test_resumed_bit_for_bit():
    whole, states = trained()
    state, _ = states[EVERY]
    history = [record for step, (_, record) in states.items() if step <= EVERY]
    again = resume(jax.random.key(2), FitProgress(state, history=history), ACTION, **SETTINGS)
    assert bool(eqx.tree_equal(again.flow, whole.flow))
    assert again.history[-1]["acceptance"] == whole.history[-1]["acceptance"]


def test_not_finite_is_told():
    broken = eqx.tree_at(lambda c: c.coefficients.prior.log_widths, fresh(), replace_fn=lambda w: w + jnp.inf)
    assert assessment(ACTION, n=30)(broken, jax.random.key(0)) is None
