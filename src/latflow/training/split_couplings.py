"""Split steps of conditional flows: every coupling of a step is a batch of its own, of an ordinary flow.

What the weights of all couplings owe is collected by one transposed map, from the coefficients of the conditional flow
to the weights at the times of all stages at all couplings.
"""

import concurrent.futures
import os
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.bijections.ode.path_adjoint import StageWeights, stage_weights
from latflow.flows.conditional import ConditionalFlow, FlowModel
from latflow.training.conditional import OverCouplings, with_coupling
from latflow.training.losses import PathGradient
from latflow.training.schedules import Optimiser
from latflow.training.split_steps import Integration, Part, gradient_part, part_size, taken_apart
from latflow.training.steps import Progress, TrainingState, update


class Stratum(eqx.Module):
    """One coupling of a step.

    Args:
        flow: The flow there, taken apart.
        action: The theory there.
        weights: Of the flow at the times of all stages.
        keys: Of its draws, part by part.
    """

    flow: Integration
    action: AbstractAction
    weights: StageWeights
    keys: list[Array]

    def parts(self) -> list[Callable[[], Part]]:
        """What there is to do, in order."""
        return [lambda keys=keys: gradient_part(self.flow, self.action, self.weights, keys) for keys in self.keys]


def splits(flow: object, loss: object) -> bool:
    """Whether steps of this loss and flow can be made here."""
    if not isinstance(flow, ConditionalFlow) or not isinstance(loss, OverCouplings):
        return False
    return isinstance(loss.loss, PathGradient) and Integration.of(flow.coefficients) is not None


def run_split_couplings(
    state: TrainingState,
    key: PRNGKey,
    target: int,
    *,
    action: AbstractAction,
    loss: OverCouplings,
    optimiser: Optimiser,
) -> tuple[TrainingState, Progress]:
    """Steps until `target` have been done or a number is not finite; the draws are those of `loss` in `run_steps`.

    Args:
        state: Where to start; `splits` must hold for its flow and the loss.
        key: Root of all randomness.
        target: Number of the last step.
        action: The theory at any coupling.
        loss: Over how many couplings, and the draws at each.
        optimiser: What follows the gradient.
    """
    progress = Progress.start()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while int(state.step) < target and bool(progress.finite):
            couplings, strata = _begin(state, key, action=action, loss=loss)
            work = [part for stratum in strata for part in stratum.parts()]
            parts = list(pool.map(lambda part: part(), work))
            state, progress = _end(state, couplings, parts, optimiser=optimiser)
    return state, progress


def coupling_gradient(
    flow: ConditionalFlow, action: AbstractAction, key: PRNGKey, *, loss: OverCouplings
) -> tuple[PyTree, Float[Array, " n"]]:
    """The gradient of `loss` with this key up to the discretisation error, and log-weights."""
    couplings, strata = _prepared(flow, action, key, loss)
    return _collected(flow, couplings, [part() for stratum in strata for part in stratum.parts()])


@eqx.filter_jit
def _begin(
    state: TrainingState, key: PRNGKey, *, action: AbstractAction, loss: OverCouplings
) -> tuple[Float[Array, " n_couplings"], list[Stratum]]:
    return _prepared(state.flow, action, jax.random.fold_in(key, state.step), loss)


@eqx.filter_jit
def _end(
    state: TrainingState, couplings: Float[Array, " n_couplings"], parts: list[Part], *, optimiser: Optimiser
) -> tuple[TrainingState, Progress]:
    gradient, log_weights = _collected(state.flow, couplings, parts)
    return update(state, gradient, log_weights, optimiser=optimiser)


def _prepared(
    model: FlowModel, action: AbstractAction, key: PRNGKey, loss: OverCouplings
) -> tuple[Float[Array, " n_couplings"], list[Stratum]]:
    flow, batch_size = _required(model, loss)
    keys = jax.random.split(key, loss.n_couplings + 1)
    couplings = jnp.stack([flow.coupling(position) for position in loss.positions(keys[0])])
    strata = []
    for coupling, some in zip(couplings, keys[1:], strict=True):
        integration = taken_apart(flow.at(coupling))
        n_parts = batch_size // part_size(batch_size, integration.velocity.lattice.volume)
        weights = stage_weights(integration.velocity, integration.map)
        pieces = jnp.split(jax.random.split(some, batch_size), n_parts)
        strata.append(Stratum(integration, with_coupling(action, coupling), weights, pieces))
    return couplings, strata


def _required(flow: FlowModel, loss: OverCouplings) -> tuple[ConditionalFlow, int]:
    """The flow and the draws at every coupling."""
    if not isinstance(flow, ConditionalFlow) or not isinstance(loss.loss, PathGradient):
        raise TypeError(f"{type(flow).__name__}, {type(loss.loss).__name__}: expected what `splits` accepts")
    return flow, loss.loss.batch_size


def _collected(
    flow: FlowModel, couplings: Float[Array, " n_couplings"], parts: list[Part]
) -> tuple[PyTree, Float[Array, " n"]]:
    """The gradient with respect to the coefficients, of the mean over all draws; parts are in order of couplings."""
    parameters, static = eqx.partition(flow, eqx.is_inexact_array)

    def at_all(parameters: PyTree) -> tuple[PyTree, StageWeights]:
        def at_one(coupling: Array) -> tuple[PyTree, StageWeights]:
            integration = taken_apart(eqx.combine(parameters, static).at(coupling))
            weights = stage_weights(integration.velocity, integration.map)
            return eqx.filter(integration.prior, eqx.is_inexact_array), weights

        return jax.vmap(at_one)(couplings)

    log_weights = jnp.concatenate([part.log_weights for part in parts])
    owed = jax.tree.map(lambda *rows: jnp.stack(rows), *[(part.prior, part.weights) for part in parts])
    owed = jax.tree.map(lambda rows: jnp.sum(rows.reshape(len(couplings), -1, *rows.shape[1:]), axis=1), owed)
    _, transpose = jax.vjp(at_all, parameters)
    (gradient,) = transpose(jax.tree.map(lambda rows: rows / len(log_weights), owed))
    return gradient, log_weights
