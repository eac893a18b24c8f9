"""Steps whose batch is split: path gradients of continuous flows, part by part on all cores.

Every part is one call of one compiled program, see `latflow.execution`. The size of a part depends on the batch, the
lattice and the kind of device alone, and sums over parts are taken in order: neither the number of cores nor the order
in which parts end changes a bit.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.path_adjoint import pull_back, scored_forward
from latflow.bijections.ode.stage_weights import StageWeights, stage_weights
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.distributions import AbstractDistribution
from latflow.execution import part_size, split, threaded
from latflow.flows.conditional import FlowModel
from latflow.flows.flow import Flow
from latflow.randomness import split as children
from latflow.training.schedules import Optimiser
from latflow.training.steps import Outcome, TrainingState, update


class Part(eqx.Module):
    """Contribution of a part of a batch.

    Args:
        log_weights: Of its draws.
        prior: Gradient of the sum over its draws with respect to the parameters of the prior.
        weights: The same with respect to the weights of the velocity at the times of all stages.
    """

    log_weights: Float[Array, " draws"]
    prior: PyTree
    weights: StageWeights


class Integration(eqx.Module):
    """A continuous flow of a lattice velocity in its components, the kind of flow that is trained here.

    Args:
        prior: Density of the latent variables.
        map: The integrated map.
        velocity: What it integrates.
    """

    prior: AbstractDistribution
    map: ContinuousFlow
    velocity: LatticeVelocity

    @classmethod
    def of(cls, flow: FlowModel) -> "Integration | None":
        """The components of `flow`; None if it is of another kind."""
        match flow:
            case Flow(prior=prior, bijection=ContinuousFlow(velocity=LatticeVelocity() as velocity) as integrated):
                return cls(prior, integrated, velocity)
            case _:
                return None


def run_split_steps(
    state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, batch_size: int, optimiser: Optimiser
) -> tuple[TrainingState, Outcome]:
    """Steps along path gradients until `target` have been done or a number is not finite.

    The draws are those of `latflow.training.steps.run_steps` with the loss ``PathGradient(batch_size)``.

    Args:
        state: Where to start; its flow is one that `Integration.of` accepts.
        key: Root of all randomness.
        target: Number of the last step.
        action: The target theory.
        batch_size: Draws per step.
        optimiser: Makes a step of a gradient.
    """
    outcome = Outcome.start()
    while int(state.step) < target and bool(outcome.finite):
        weights, keys = _begin(state, key, batch_size=batch_size)
        part = functools.partial(gradient_part, taken_apart(state.flow), action, weights)
        state, outcome = _end(state, threaded(part, keys), optimiser=optimiser)
    return state, outcome


def path_gradient(
    flow: Flow, action: AbstractAction, key: PRNGKey, *, batch_size: int
) -> tuple[PyTree, Float[Array, " n"]]:
    """Gradient of ``PathGradient(batch_size)`` with this key, up to the discretisation error, and the log-weights.

    Args:
        flow: A continuous flow of a lattice velocity.
        action: The target theory.
        key: Randomness of the batch.
        batch_size: Number of draws.
    """
    weights, keys = _prepared(flow, key, batch_size)
    return _collected(flow, [gradient_part(taken_apart(flow), action, weights, some) for some in keys])


@eqx.filter_jit
def _begin(state: TrainingState, key: PRNGKey, *, batch_size: int) -> tuple[StageWeights, list[Array]]:
    return _prepared(state.flow, jax.random.fold_in(key, state.step), batch_size)


@eqx.filter_jit
def _end(state: TrainingState, parts: list[Part], *, optimiser: Optimiser) -> tuple[TrainingState, Outcome]:
    gradient, log_weights = _collected(state.flow, parts)
    return update(state, gradient, log_weights, optimiser=optimiser)


def _prepared(flow: FlowModel, key: PRNGKey, batch_size: int) -> tuple[StageWeights, list[Array]]:
    integration = taken_apart(flow)
    size = part_size(batch_size, integration.velocity.lattice.volume)
    return stage_weights(integration.velocity, integration.map), split(children(key, batch_size), size=size)


@eqx.filter_jit
def gradient_part(flow: Integration, action: AbstractAction, weights: StageWeights, keys: Array) -> Part:
    """Log-weights and gradients of the draws of some keys.

    Args:
        flow: The flow in its components.
        action: The target theory.
        weights: `stage_weights` of the flow.
        keys: One for each draw.
    """
    lattice, volume = flow.velocity.lattice, flow.velocity.lattice.volume
    parameters, static = eqx.partition(flow.prior, eqx.is_inexact_array)

    def latent(parameters: PyTree) -> tuple[Array, Array]:
        z, log_prob = jax.vmap(eqx.combine(parameters, static).sample_and_log_prob, out_axes=-1)(keys)
        return z.reshape(volume, -1), log_prob

    def slope(function: Callable[[Array], Scalar], x: Float[Array, "volume draws"]) -> Array:
        gradient = jax.vmap(jax.grad(function), in_axes=-1, out_axes=-1)
        return gradient(x.reshape(*lattice.shape, -1)).reshape(x.shape)

    z, transpose, log_prior = jax.vjp(latent, parameters, has_aux=True)
    end, records = scored_forward(flow.map, lattice, weights, z, slope(flow.prior.log_prob, z))
    x, log_det, score = end
    adjoint, contribution = pull_back(flow.map, lattice, weights, records, score + slope(action, x))
    energy = jax.vmap(action, in_axes=-1)(x.reshape(*lattice.shape, -1))
    return Part(log_det - log_prior - energy, transpose(adjoint)[0], contribution)


def _collected(flow: FlowModel, parts: list[Part]) -> tuple[PyTree, Float[Array, " n"]]:
    """The gradient with respect to the parameters of the flow, of the mean over all draws."""
    integration = taken_apart(flow)
    log_weights = jnp.concatenate([part.log_weights for part in parts])
    prior, weights = jax.tree.map(
        lambda *terms: sum(terms[1:], start=terms[0]) / len(log_weights),
        *[(part.prior, part.weights) for part in parts],
    )
    parameters, static = eqx.partition(integration.velocity, eqx.is_inexact_array)
    _, transpose = jax.vjp(lambda p: stage_weights(eqx.combine(p, static), integration.map), parameters)
    bijection = ContinuousFlow(transpose(weights)[0], integration.map.n_steps, integration.map.scheme)
    return Flow(prior, bijection), log_weights


def taken_apart(flow: FlowModel) -> Integration:
    """The components of a flow that must be of this kind.

    Raises:
        TypeError: If it is of another kind.
    """
    integration = Integration.of(flow)
    if integration is None:
        raise TypeError(f"{type(flow).__name__}: expected a continuous flow of a lattice velocity; use run_steps")
    return integration
