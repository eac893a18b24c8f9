"""Steps of an optimiser, many in one compiled loop.

Step i uses ``fold_in(key, i)`` and nothing else that changes, so it does not matter where a training was stopped.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.flows.conditional import FlowModel
from latflow.training.losses import AbstractLoss
from latflow.training.schedules import Optimiser


class TrainingState(eqx.Module):
    """All that the next step needs.

    Args:
        flow: The flow so far.
        optimiser_state: Moments of the gradient.
        step: Steps done.
        learning_rate_scale: Factor on the schedule; halved by a rollback.
        rollbacks: How often training returned to an earlier state after a number was not finite.
    """

    flow: FlowModel
    optimiser_state: PyTree
    step: Int[Array, ""]
    learning_rate_scale: Scalar
    rollbacks: Int[Array, ""]

    @classmethod
    def start(cls, flow: FlowModel, optimiser: Optimiser) -> "TrainingState":
        """The state before the first step."""
        optimiser_state = optimiser.transform.init(eqx.filter(flow, eqx.is_inexact_array))
        zero = jnp.zeros((), dtype=jnp.int32)
        return cls(flow, optimiser_state, zero, jnp.ones(()), zero)


class Progress(eqx.Module):
    """What a chunk of steps tells: whether every number was finite, and the last gradient norm."""

    finite: Bool[Array, ""]
    gradient_norm: Scalar

    @classmethod
    def start(cls) -> "Progress":
        """Before the first step."""
        return cls(jnp.ones((), bool), jnp.zeros(()))


def update(
    state: TrainingState, gradient: PyTree, log_weights: Float[Array, " n"], *, optimiser: Optimiser
) -> tuple[TrainingState, Progress]:
    """One step along a gradient; the state is returned as it was if a number is not finite."""
    parameters, static = eqx.partition(state.flow, eqx.is_inexact_array)
    norm = _global_norm(gradient)
    finite = jnp.isfinite(norm) & jnp.all(jnp.isfinite(log_weights))
    direction, optimiser_state = optimiser.transform.update(gradient, state.optimiser_state, parameters)
    length = optimiser.learning_rate(state.step) * state.learning_rate_scale
    moved = jax.tree.map(lambda p, d: p - (length * d).astype(p.dtype), parameters, direction)
    # A selection per array and not a branch: it fuses with the update, and no state is copied.
    parameters, optimiser_state = jax.tree.map(
        lambda new, old: jnp.where(finite, new, old), (moved, optimiser_state), (parameters, state.optimiser_state)
    )
    after = TrainingState(
        eqx.combine(parameters, static),
        optimiser_state,
        state.step + finite,
        state.learning_rate_scale,
        state.rollbacks,
    )
    return after, Progress(finite, norm)


def _step(
    state: TrainingState, key: PRNGKey, *, action: AbstractAction, loss: AbstractLoss, optimiser: Optimiser
) -> tuple[TrainingState, Progress]:
    parameters, static = eqx.partition(state.flow, eqx.is_inexact_array)

    def objective(parameters: PyTree) -> tuple[Scalar, Float[Array, " n"]]:
        return loss(eqx.combine(parameters, static), action, key)

    (value, log_weights), gradient = jax.value_and_grad(objective, has_aux=True)(parameters)
    return update(state, gradient, jnp.append(log_weights, value), optimiser=optimiser)


def _global_norm(gradient: PyTree) -> Scalar:
    return jnp.sqrt(sum((jnp.sum(g.astype(float) ** 2) for g in jax.tree.leaves(gradient)), start=jnp.zeros(())))


@eqx.filter_jit
def run_steps(
    state: TrainingState,
    key: PRNGKey,
    target: Int[Array, ""],
    *,
    action: AbstractAction,
    loss: AbstractLoss,
    optimiser: Optimiser,
) -> tuple[TrainingState, Progress]:
    """Steps until `target` have been done or a number is not finite, in one compiled loop."""
    arrays, static = eqx.partition(state, eqx.is_array)

    def unfinished(carry: tuple[PyTree, Progress]) -> Bool[Array, ""]:
        arrays, progress = carry
        return (arrays.step < target) & progress.finite

    def body(carry: tuple[PyTree, Progress]) -> tuple[PyTree, Progress]:
        state = eqx.combine(carry[0], static)
        step_key = jax.random.fold_in(key, state.step)
        state, progress = _step(state, step_key, action=action, loss=loss, optimiser=optimiser)
        return eqx.filter(state, eqx.is_array), progress

    arrays, progress = jax.lax.while_loop(unfinished, body, (arrays, Progress.start()))
    return eqx.combine(arrays, static), progress
