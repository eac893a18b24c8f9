r"""Least squares along the flow: the weights of a linear velocity without a gradient through its integration.

The flow is to pass through $p_t\propto e^{-S_t}$ with $S_t=tS-(1-t)\log q_0$, $q_0$ the density of the prior, 1 for
Haar links. Along a velocity $v=\sum_kc_k(t)v_k$ the difference of $\log q_t$ and $\log p_t$ stays constant on every
draw if

$$\sum_kc_k(t)\,f_k(t,x)=S(x)+\log q_0(x)-\langle\dots\rangle_t,\qquad f_k=\partial\cdot v_k-v_k\cdot\partial S_t.$$

A step draws a batch from the prior, carries it through the times of a grid and solves for the weights by linear
regression over draws and times. Draws move with the weights so far, where there are none yet with the coefficients
that are found at each time. Solutions of all steps are averaged. Nothing is differentiated, no rate has to be chosen.

References:
    The equation of trivialising maps: arXiv:0907.5491, section 3; as a loss arXiv:2301.07388 and arXiv:2410.02711.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from typing_extensions import override

from latflow._typing import Field, Momentum, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.linear import AbstractLinearVelocity
from latflow.bijections.ode.on_links import ContinuousLinkFlow
from latflow.bijections.ode.velocities import time_basis
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.flows.conditional import FlowModel
from latflow.flows.flow import Flow
from latflow.flows.mixture import TrainableFlow
from latflow.randomness import split
from latflow.training.losses import AbstractLoss, ReverseKL
from latflow.training.schedules import Optimiser
from latflow.training.steps import Outcome, TrainingState

_RIDGE = 1e-9
"""Added to the diagonal of the normal equations, whose entries there are 1."""


class _Moments(NamedTuple):
    """At one time: how all kinds vary over the draws, together and with S."""

    matrix: Float[Array, "n_kinds n_kinds"]
    vector: Float[Array, " n_kinds"]


class _Draws(NamedTuple):
    """A batch on its way, and the coefficients of the time before."""

    x: Field
    before: Float[Array, " n_kinds"]


class _Path(eqx.Module):
    """From the density of the prior to that of the target."""

    prior: AbstractDistribution
    action: AbstractAction

    def __call__(self, x: Field, t: Scalar) -> tuple[Scalar, Momentum]:
        """S + log q₀, and ∂S_t."""
        space = self.action.space
        value, force = self.action.value_and_force(x)
        nothing = jnp.zeros(force.shape, force.dtype)
        log_q, slope = jax.value_and_grad(lambda p: self.prior.log_prob(space.move(x, p)))(nothing)
        return value + log_q, t * force - (1 - t) * slope


class LeastSquares(AbstractLoss):
    """The reverse KL in value; its steps are solutions of linear equations.

    Args:
        batch_size: Draws per step.
        n_intervals: Intervals between the times at which draws are compared.
    """

    batch_size: int = eqx.field(static=True)
    n_intervals: int = eqx.field(static=True, default=8)

    def __check_init__(self) -> None:
        count("training.batch_size", self.batch_size, least=2)
        count("n_intervals", self.n_intervals)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        return ReverseKL(self.batch_size)(flow, action, key)

    @override
    def descend(
        self, state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, optimiser: Optimiser
    ) -> tuple[TrainingState, Outcome]:
        """See `AbstractLoss.descend`; the optimiser is not used.

        Raises:
            ConfigError: If the flow is no continuous flow along loops.
        """
        del optimiser
        _linear_flow(state.flow)
        outcome = Outcome.start()
        while int(state.step) < target and bool(outcome.finite):
            state, outcome = _step(state, jax.random.fold_in(key, state.step), action, self)
        return state, outcome


@eqx.filter_jit
def _step(
    state: TrainingState, key: PRNGKey, action: AbstractAction, loss: LeastSquares
) -> tuple[TrainingState, Outcome]:
    """One solution; the outcome has the length of the step, root mean square, in the place of a gradient."""
    prior, bijection, velocity = _linear_flow(state.flow)
    x, _ = jax.vmap(prior.sample_and_log_prob)(split(key, loss.batch_size))
    path = _Path(prior, action)
    found = _solution(bijection, velocity, path, x, loss.n_intervals, first=~jnp.any(velocity.weights))
    change = (found - velocity.weights) / jnp.maximum(state.step, 1)
    finite = jnp.all(jnp.isfinite(change))
    weights = jnp.where(finite, velocity.weights + change, velocity.weights)
    flow = eqx.tree_at(lambda flow: flow.bijection.velocity.weights, state.flow, weights)
    after = TrainingState(flow, state.optimiser_state, state.step + finite, state.learning_rate_scale, state.rollbacks)
    return after, Outcome(finite, jnp.sqrt(jnp.mean(change**2)))


def _linear_flow(
    flow: FlowModel,
) -> tuple[AbstractDistribution, ContinuousLinkFlow | ContinuousFlow, AbstractLinearVelocity]:
    """The prior of a flow, its map and its velocity, whose weights least squares can find.

    Raises:
        ConfigError: If the flow is of another kind.
    """
    if isinstance(flow, Flow) and isinstance(flow.bijection, ContinuousLinkFlow | ContinuousFlow):
        velocity = flow.bijection.velocity
        if isinstance(velocity, AbstractLinearVelocity):
            return flow.prior, flow.bijection, velocity
    kinds = "a flow of kind loops or villain, whose velocity is linear"
    raise ConfigError([f"training.loss: least_squares; allowed: with {kinds}"])


def _solution(
    bijection: ContinuousLinkFlow | ContinuousFlow,
    velocity: AbstractLinearVelocity,
    path: _Path,
    x: Field,
    n_intervals: int,
    *,
    first: Bool[Array, ""],
) -> Float[Array, "n_times n_kinds"]:
    """The weights that fit best at all times to one batch that starts at x."""
    step = 1.0 / n_intervals

    def carried(draws: _Draws, i: Int[Array, ""]) -> tuple[_Draws, _Moments]:
        here = _moments(velocity, path, draws.x, i * step)
        now = _solved(here)
        ahead = jnp.where(i == 0, now, 1.5 * now - 0.5 * draws.before)
        steady = jnp.broadcast_to(ahead, velocity.weights.shape)
        moving = eqx.tree_at(lambda v: v.weights, velocity, jnp.where(first, steady, velocity.weights))
        along = eqx.tree_at(lambda b: b.velocity, bijection, moving)
        x, _ = jax.vmap(lambda x: along.advanced(x, jnp.zeros(()), i * step, step))(draws.x)
        return _Draws(x, now), here

    start = _Draws(x, jnp.zeros(velocity.weights.shape[1]))
    end, along = jax.lax.scan(carried, start, jnp.arange(n_intervals))
    last = _moments(velocity, path, end.x, jnp.ones(()))
    moments = jax.tree.map(lambda many, one: jnp.concatenate([many, one[None]]), along, last)
    return _fitted(moments, len(velocity.weights))


def _moments(velocity: AbstractLinearVelocity, path: _Path, x: Field, t: Scalar) -> _Moments:
    """Of one batch at one time."""

    def terms(x: Field) -> tuple[Float[Array, " n_kinds"], Scalar]:
        value, force = path(x, t)
        return velocity.transport(force, x), value

    rates, values = jax.vmap(terms)(x)
    rates, values = rates - jnp.mean(rates, axis=0, keepdims=True), values - jnp.mean(values)
    return _Moments(rates.T @ rates / len(values), rates.T @ values / len(values))


def _fitted(moments: _Moments, n_times: int) -> Float[Array, "n_times n_kinds"]:
    """The weights of all functions of time at once; the ends of the grid count half."""
    n = len(moments.vector)
    basis = jax.vmap(lambda t: time_basis(t, n_times))(jnp.linspace(0.0, 1.0, n))
    share = jnp.ones(n).at[jnp.array([0, n - 1])].set(0.5)
    matrix = jnp.einsum("t,ta,tb,tij->aibj", share, basis, basis, moments.matrix)
    vector = jnp.einsum("t,ta,ti->ai", share, basis, moments.vector)
    flat = _Moments(matrix.reshape(vector.size, vector.size), vector.reshape(-1))
    return _solved(flat).reshape(vector.shape)


def _solved(moments: _Moments) -> Float[Array, " n"]:
    """The coefficients, from equations that are scaled to a diagonal of 1; kinds that do not vary have none."""
    diagonal = jnp.diag(moments.matrix)
    scale = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 0.0)
    matrix = moments.matrix * scale[:, None] * scale[None] + _RIDGE * jnp.eye(len(scale))
    return scale * jnp.linalg.solve(matrix, scale * moments.vector)
