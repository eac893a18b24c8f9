"""Split steps of conditional flows: every value of a step has a batch of its own, drawn from an ordinary flow.

Gradients with respect to the weights at every value become one with respect to the coefficients of the conditional
flow by the transpose of the map from coefficients to weights.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.bijections.ode.stage_weights import StageWeights, stage_weights
from latflow.execution import part_size, split, threaded
from latflow.flows.conditional import ConditionalFlow, FlowModel
from latflow.randomness import split as children
from latflow.training.ranges import positions, theory_at
from latflow.training.schedules import Optimiser
from latflow.training.split_steps import Integration, Part, gradient_part, taken_apart
from latflow.training.steps import Outcome, TrainingState, update


class Stratum(eqx.Module):
    """One value of a step.

    Args:
        flow: The flow at this value, in its components.
        action: The theory at this value.
        weights: Of the velocity at the times of all stages.
        keys: Of its draws, part by part.
    """

    flow: Integration
    action: AbstractAction
    weights: StageWeights
    keys: list[Array]

    def parts(self) -> list[Callable[[], Part]]:
        """One call for every part, in order."""
        return [lambda keys=keys: gradient_part(self.flow, self.action, self.weights, keys) for keys in self.keys]


def run_split_range(
    state: TrainingState,
    key: PRNGKey,
    target: int,
    *,
    action: AbstractAction,
    n_values: int,
    batch_size: int,
    optimiser: Optimiser,
) -> tuple[TrainingState, Outcome]:
    """Steps along path gradients over a range until `target` have been done or a number is not finite.

    The draws are those of `latflow.training.steps.run_steps` with ``OverRange(PathGradient(batch_size),
    n_values)``.

    Args:
        state: Where to start; its flow is a conditional flow of continuous flows of a lattice velocity.
        key: Root of all randomness.
        target: Number of the last step.
        action: The theory at any value.
        n_values: Values per step.
        batch_size: Draws per step at each of them.
        optimiser: Makes a step of a gradient.
    """
    outcome = Outcome.start()
    while int(state.step) < target and bool(outcome.finite):
        values, strata = _begin(state, key, action=action, n_values=n_values, batch_size=batch_size)
        parts = threaded(lambda part: part(), [part for stratum in strata for part in stratum.parts()])
        state, outcome = _end(state, values, parts, optimiser=optimiser)
    return state, outcome


def range_gradient(
    flow: ConditionalFlow, action: AbstractAction, key: PRNGKey, *, n_values: int, batch_size: int
) -> tuple[PyTree, Float[Array, " n"]]:
    """Path gradient over a range with this key, up to the discretisation error, and the log-weights.

    Args:
        flow: A conditional flow of continuous flows of a lattice velocity.
        action: The theory at any value.
        key: Randomness of the step.
        n_values: Number of values.
        batch_size: Draws at each of them.
    """
    values, strata = _prepared(flow, action, key, n_values=n_values, batch_size=batch_size)
    return _collected(flow, values, [part() for stratum in strata for part in stratum.parts()])


@eqx.filter_jit
def _begin(
    state: TrainingState, key: PRNGKey, *, action: AbstractAction, n_values: int, batch_size: int
) -> tuple[Float[Array, " n_values"], list[Stratum]]:
    step_key = jax.random.fold_in(key, state.step)
    return _prepared(state.flow, action, step_key, n_values=n_values, batch_size=batch_size)


@eqx.filter_jit
def _end(
    state: TrainingState, values: Float[Array, " n_values"], parts: list[Part], *, optimiser: Optimiser
) -> tuple[TrainingState, Outcome]:
    gradient, log_weights = _collected(state.flow, values, parts)
    return update(state, gradient, log_weights, optimiser=optimiser)


def _prepared(
    model: FlowModel, action: AbstractAction, key: PRNGKey, *, n_values: int, batch_size: int
) -> tuple[Float[Array, " n_values"], list[Stratum]]:
    flow = _conditional(model)
    keys = children(key, n_values + 1)
    values = jnp.stack([flow.value(position) for position in positions(keys[0], n=n_values)])
    strata = []
    for value, some in zip(values, keys[1:], strict=True):
        integration = taken_apart(flow.at(value))
        size = part_size(batch_size, integration.velocity.lattice.volume)
        weights = stage_weights(integration.velocity, integration.map)
        parts = split(children(some, batch_size), size=size)
        strata.append(Stratum(integration, theory_at(action, flow, value), weights, parts))
    return values, strata


def _conditional(flow: FlowModel) -> ConditionalFlow:
    if not isinstance(flow, ConditionalFlow):
        raise TypeError(f"{type(flow).__name__}: expected a conditional flow")
    return flow


def _collected(
    flow: FlowModel, values: Float[Array, " n_values"], parts: list[Part]
) -> tuple[PyTree, Float[Array, " n"]]:
    """The gradient with respect to the coefficients, of the mean over all draws; parts are in order of values."""
    parameters, static = eqx.partition(flow, eqx.is_inexact_array)

    def at_all(parameters: PyTree) -> tuple[PyTree, StageWeights]:
        def at_one(value: Array) -> tuple[PyTree, StageWeights]:
            integration = taken_apart(eqx.combine(parameters, static).at(value))
            weights = stage_weights(integration.velocity, integration.map)
            return eqx.filter(integration.prior, eqx.is_inexact_array), weights

        return jax.vmap(at_one)(values)

    log_weights = jnp.concatenate([part.log_weights for part in parts])
    sums = jax.tree.map(lambda *rows: jnp.stack(rows), *[(part.prior, part.weights) for part in parts])
    sums = jax.tree.map(lambda rows: jnp.sum(rows.reshape(len(values), -1, *rows.shape[1:]), axis=1), sums)
    _, transpose = jax.vjp(at_all, parameters)
    (gradient,) = transpose(jax.tree.map(lambda rows: rows / len(log_weights), sums))
    return gradient, log_weights
