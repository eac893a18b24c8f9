"""Continuous flows of links: errors of the order of the scheme, the first-order start, training, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import loop_flow, wilson
from latflow.actions import exact_gauge
from latflow.bijections.base import AbstractBijection
from latflow.bijections.ode.runge_kutta import RK4, RK8
from latflow.errors import ConfigError
from latflow.flows.continuous import is_continuous, of_draws, production_steps
from latflow.flows.flow import Flow
from latflow.flows.links import continuous_link_flow
from latflow.flows.transfer import transferred
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.training.losses import PathGradient, ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps

KEY = jax.random.key(8)


def log_weights(flow: Flow, beta: float, n: int) -> np.ndarray:
    """log w of draws for Wilson's action."""
    action = wilson(flow.space.group.name, flow.space.lattice.shape, beta)

    def one(key: jax.Array) -> jax.Array:
        x, log_q = flow.sample_and_log_prob(key)
        return -action(x) - log_q

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(KEY, n)))


def ess(log_weight: np.ndarray) -> float:
    w = np.exp(log_weight - np.max(log_weight))
    return float(np.mean(w) ** 2 / np.mean(w**2))


@pytest.mark.parametrize(("scheme", "least"), [(RK4, 3.4), (RK8, 6.5)], ids=["order 4", "order 8"])
def test_errors_fall_with_the_order_of_the_scheme(scheme, least):
    """The round trip and the log-det; commutators of SU(2) are kept to the order of the scheme."""
    flow = loop_flow("SU(2)", (2, 2), n_steps=2, scale=3.0)
    x = flow.space.random(KEY)

    @eqx.filter_jit
    def there_and_back(bijection: AbstractBijection) -> tuple[jax.Array, jax.Array]:
        y, log_det = bijection.forward_and_log_det(x)
        return flow.space.distance(bijection.inverse_and_log_det(y)[0], x), log_det

    coarse, fine, finest = (there_and_back(of_draws(flow, scheme, n).bijection) for n in (2, 4, 16))
    assert np.log2(coarse[0] / fine[0]) > least
    assert np.log2(jnp.abs(coarse[1] - finest[1]) / jnp.abs(fine[1] - finest[1])) > least


def test_made_for_draws_it_is_the_same_map():
    flow = loop_flow("U(1)", (3, 3), n_steps=3)
    x, made = flow.space.random(KEY), of_draws(flow)
    for method in ("forward_and_log_det", "inverse_and_log_det"):
        one, other = (getattr(each.bijection, method)(x) for each in (flow, made))
        np.testing.assert_allclose(one[0], other[0], atol=1e-12)
        np.testing.assert_allclose(one[1], other[1], atol=1e-12)
    assert is_continuous(flow)
    assert production_steps(KEY, flow)[1] <= 1e-7


def test_the_start_trivialises_to_first_order():
    """The spread of log w falls with β² and not with β, and log Z is the exact one within 4σ."""
    lattice, spread = Lattice((3, 3)), []
    for beta in (0.2, 0.4):
        log_w = log_weights(continuous_link_flow(KEY, lattice, named("SU(2)"), beta=beta, order=1), beta, 2048)
        spread.append(np.std(log_w))
        w = np.exp(log_w)
        found, error = np.log(np.mean(w)), np.std(w) / np.mean(w) / np.sqrt(len(w))
        assert abs(found - exact_gauge.sun_log_z(2, beta, volume=9)) < 4 * error
    assert 3.5 < spread[1] / spread[0] < 4.5


@pytest.mark.parametrize("loss", [ReverseKL, PathGradient], ids=lambda loss: loss.__name__)
def test_training_raises_the_effective_sample_size(loss):
    """U(1) on 3×3 at β = 1 from uniform links; the gradient is finite at every step."""
    beta, action = 1.0, wilson("U(1)", (3, 3), 1.0)
    flow = continuous_link_flow(KEY, Lattice((3, 3)), named("U(1)"), order=1, n_times=1, n_steps=2)
    optimiser = adam(lambda step: jnp.asarray(0.1))
    state, outcome = run_steps(
        TrainingState.start(flow, optimiser), KEY, 15, action=action, loss=loss(32), optimiser=optimiser
    )
    assert bool(outcome.finite)
    before, after = (ess(log_weights(each, beta, 1024)) for each in (flow, state.flow))
    assert after > before + 0.1, (before, after)


def test_weights_are_carried_to_another_lattice():
    flow = loop_flow("U(1)", (3, 3), n_steps=2)
    large = transferred(flow, Lattice((4, 5)))
    assert large.space.lattice.shape == (4, 5)
    old, new = flow.bijection.velocity, large.bijection.velocity
    for i, name in enumerate(new.names):
        expected = old.weights[:, old.names.index(name)] if name in old.names else jnp.zeros(3)
        np.testing.assert_array_equal(new.weights[:, i], expected)
    with pytest.raises(ConfigError, match="trained in 2 dimensions"):
        transferred(flow, Lattice((3, 3, 3)))


def test_what_cannot_be_built_is_refused():
    group = named("SU(2)")
    with pytest.raises(ConfigError, match=r"lattice\.shape: \[1, 4\]; allowed: extents of 2 or more"):
        continuous_link_flow(KEY, Lattice((1, 4)), group)
    with pytest.raises(ConfigError, match="order: 5; allowed: 1, 2, 3 or 4"):
        continuous_link_flow(KEY, Lattice((4, 4)), group, order=5)
    with pytest.raises(ConfigError, match=r"flow\.scheme: euler; allowed: rk4, rk8"):
        continuous_link_flow(KEY, Lattice((4, 4)), group, scheme="euler")
