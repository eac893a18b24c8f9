"""Steps of an optimiser, many in one compiled loop.

Step i depends on the state before it and on ``fold_in(key, i)`` alone: a loop that is cut into several makes the same
steps. The number of the last step is an argument of the program, so another number compiles nothing.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.flows.conditional import FlowModel
from latflow.training.schedules import Optimiser

Objective: TypeAlias = Callable[[Any, AbstractAction, PRNGKey], tuple[Scalar, Float[Array, " n"]]]
"""From flow, theory and key to the value of a loss and the log-weights of its draws."""


class TrainingState(eqx.Module):
    """State of a training between two steps.

    Args:
        flow: The flow after `step` steps.
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


class Outcome(eqx.Module):
    """Outcome of a chunk of steps.

    Args:
        finite: Whether every number was finite.
        gradient_norm: Global norm of the gradient of the last step, before clipping.
    """

    finite: Bool[Array, ""]
    gradient_norm: Scalar

    @classmethod
    def start(cls) -> "Outcome":
        """Before the first step."""
        return cls(jnp.ones((), bool), jnp.zeros(()))


def update(
    state: TrainingState, gradient: PyTree, log_weights: Float[Array, " n"], *, optimiser: Optimiser
) -> tuple[TrainingState, Outcome]:
    """One step along a gradient; the state stays as it was if a number is not finite.

    Args:
        state: Before the step.
        gradient: Of the loss, with respect to the floating-point arrays of the flow.
        log_weights: Of the draws behind the gradient; other numbers that have to be finite may be appended.
        optimiser: Makes a step of the gradient.
    """
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
    return after, Outcome(finite, norm)


def _step(
    state: TrainingState, key: PRNGKey, *, action: AbstractAction, loss: Objective, optimiser: Optimiser
) -> tuple[TrainingState, Outcome]:
    parameters, static = eqx.partition(state.flow, eqx.is_inexact_array)

    def objective(parameters: PyTree) -> tuple[Scalar, Float[Array, " n"]]:
        return loss(eqx.combine(parameters, static), action, key)

    (value, log_weights), gradient = jax.value_and_grad(objective, has_aux=True)(parameters)
    return update(state, gradient, jnp.append(log_weights, value), optimiser=optimiser)


def _global_norm(gradient: PyTree) -> Scalar:
    return jnp.sqrt(sum((jnp.sum(g.astype(float) ** 2) for g in jax.tree.leaves(gradient)), start=jnp.zeros(())))


def run_steps(
    state: TrainingState,
    key: PRNGKey,
    target: int | Int[Array, ""],
    *,
    action: AbstractAction,
    loss: Objective,
    optimiser: Optimiser,
) -> tuple[TrainingState, Outcome]:
    """Steps until `target` have been done or a number is not finite, in one compiled loop.

    Args:
        state: Where to start.
        key: Root of all randomness; step i uses ``fold_in(key, i)``.
        target: Number of the last step.
        action: The target theory.
        loss: What is lowered, differentiated automatically.
        optimiser: Makes a step of a gradient.
    """
    stop = jnp.asarray(target, dtype=jnp.int32)
    return compiled_steps(state, key, stop, action=action, loss=loss, optimiser=optimiser)


@eqx.filter_jit
def compiled_steps(
    state: TrainingState,
    key: PRNGKey,
    target: Int[Array, ""],
    *,
    action: AbstractAction,
    loss: Objective,
    optimiser: Optimiser,
) -> tuple[TrainingState, Outcome]:
    """The program of `run_steps`."""
    arrays, static = eqx.partition(state, eqx.is_array)

    def unfinished(carry: tuple[PyTree, Outcome]) -> Bool[Array, ""]:
        arrays, outcome = carry
        return (arrays.step < target) & outcome.finite

    def body(carry: tuple[PyTree, Outcome]) -> tuple[PyTree, Outcome]:
        state = eqx.combine(carry[0], static)
        step_key = jax.random.fold_in(key, state.step)
        state, outcome = _step(state, step_key, action=action, loss=loss, optimiser=optimiser)
        return eqx.filter(state, eqx.is_array), outcome

    arrays, outcome = jax.lax.while_loop(unfinished, body, (arrays, Outcome.start()))
    return eqx.combine(arrays, static), outcome
