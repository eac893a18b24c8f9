"""Flows of links: trained on U(1) in two dimensions by the reverse KL, sampled exactly, and drawn on SU(2)."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import latflow as lf
from catalogue import wilson
from latflow.actions.exact_gauge import sun_log_z, u1_log_z
from latflow.bijections.elementwise import Identity
from latflow.distributions import HaarPrior, Normal
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace, ScalarSpace
from latflow.flows.flow import Flow
from latflow.flows.gauge import u1_plaquette_flow
from latflow.lattice import Lattice
from latflow.training.evaluation import Evaluation
from latflow.training.fit import fit
from latflow.training.losses import ForwardKL, PathGradient, ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps
from latflow.training.stop import StopCriterion

LATTICE = Lattice((4, 4))
OPTIMISER = adam(optax.exponential_decay(0.05, 50, 0.5))
N_DRAWS = 4096


def fresh():
    return u1_plaquette_flow(jax.random.key(1), LATTICE, n_layers=8)


@functools.cache
def samples(beta, steps):
    """Draws of the flow after some steps of training."""
    action = wilson("U(1)", LATTICE.shape, beta)
    state = TrainingState.start(fresh(), OPTIMISER)
    if steps:
        state, _ = run_steps(
            state,
            jax.random.key(2),
            jnp.asarray(steps),
            action=action,
            loss=ReverseKL(batch_size=64),
            optimiser=OPTIMISER,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.UnreliableWarning)  # poor flows are compared here
        return lf.sample(jax.random.key(3), state.flow, action, n=N_DRAWS)


@pytest.mark.parametrize(("beta", "before", "after"), [(1.0, 0.03, 0.5), (2.0, 0.01, 0.1)])
def test_training_raises_the_ess(beta, before, after):
    """Reweighting ESS of 4096 draws, of Haar links and after 150 steps: 0.02 to 0.6, and 0.002 to 0.14."""
    assert samples(beta, 0).reweighting_ess < before
    assert samples(beta, 150).reweighting_ess > after


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_log_z_is_exact(beta):
    found = samples(beta, 150).log_z
    assert abs(found.value - u1_log_z(beta, volume=LATTICE.volume)) < 5 * found.error
    assert found.error < 0.1


def test_draws_are_links():
    space = fresh().space
    drawn = samples(1.0, 150)
    assert drawn.fields.shape == (N_DRAWS, *space.shape)
    assert float(jnp.max(jax.vmap(space.defect)(drawn.fields))) == 0


def test_eight_couplings_move_every_link_once():
    flow = fresh()
    moved = np.zeros(flow.shape, int)
    for layer in flow.bijection.bijections:
        moved[layer.mu] += layer.active
    assert np.all(moved == 1)


def test_it_starts_as_the_identity():
    x, log_q = fresh().sample_and_log_prob(jax.random.key(4))
    assert jnp.array_equal(x, fresh().space.random(jax.random.key(4)))
    assert log_q == 0


@pytest.mark.parametrize("loss", [ReverseKL(8), PathGradient(8)])
def test_losses_agree_on_links(loss):
    """The same value, and gradients that differ by the score alone, whose mean is zero."""
    action = wilson("U(1)", LATTICE.shape, 1.0)
    value, log_weights = jax.jit(lambda key: loss(fresh(), action, key))(jax.random.key(5))
    assert float(value) == pytest.approx(-float(jnp.mean(log_weights)))


def su2():
    """The identity on SU(2) links, and the theory at weak coupling to it."""
    action = wilson("SU(2)", (2, 2), 0.5)
    return Flow(HaarPrior(action.space), Identity()), action


def test_a_flow_of_complex_links_is_sampled_exactly():
    flow, action = su2()
    drawn = lf.sample(jax.random.key(6), flow, action, n=N_DRAWS)
    assert drawn.fields.dtype == complex
    assert abs(drawn.log_z.value - sun_log_z(2, 0.5, volume=4)) < 5 * drawn.log_z.error


@pytest.mark.parametrize("make", [ReverseKL, PathGradient, lambda n: ForwardKL(links(n), n)])
def test_losses_read_complex_links(make):
    flow, action = su2()
    value, log_weights = make(16)(flow, action, jax.random.key(7))
    assert jnp.isfinite(value)
    assert log_weights.shape == (16,)


def links(n):
    return jax.vmap(su2()[1].space.random)(jax.random.split(jax.random.key(8), n))


def test_fit_takes_a_flow_of_complex_links():
    flow, action = su2()
    result = fit(
        jax.random.key(9), flow, action, stop=StopCriterion(steps=2), loss=ReverseKL(8), evaluation=Evaluation(draws=64)
    )
    assert result.history[-1]["step"] == 2


def test_spaces_are_those_of_the_priors():
    assert fresh().space.group.name == "U(1)"
    assert su2()[0].shape == (2, 2, 2, 2, 2)
    assert Normal((3, 2)).space.shape == Normal((3, 2)).shape == (3, 2)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="uniform on ScalarSpace"):
        HaarPrior(ScalarSpace((2, 2)))
    with pytest.raises(ConfigError, match="two directions"):
        u1_plaquette_flow(jax.random.key(0), Lattice((4, 4, 4)))
    with pytest.raises(ConfigError, match="a multiple of 4"):
        u1_plaquette_flow(jax.random.key(0), Lattice((4, 6)))


def test_gauge_space_is_compact():
    assert GaugeSpace(LATTICE, lf.U1()).is_compact
    assert not ScalarSpace((2,)).is_compact
