"""Steps whose batch is split: path gradients of continuous flows, part by part on all cores.

A part is small enough for the cache of one core, or on an accelerator as large as its memory allows. Each is one call
of one compiled program, and threads share the parts. Their number depends on the batch, the lattice and the platform
alone and their sum is taken in order, so neither the number of cores nor the order of completion changes a bit.
"""

import concurrent.futures
import functools
import os
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.batching import accelerated
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.path_adjoint import StageWeights, pull_back, scored_forward, stage_weights
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.distributions import AbstractDistribution
from latflow.flows.conditional import FlowModel
from latflow.flows.flow import Flow
from latflow.training.schedules import Optimiser
from latflow.training.steps import Progress, TrainingState, update

_SITES = 4096
_ACCELERATED_SITES = 2**21
_LEAST, _MOST = 8, 64


class Part(eqx.Module):
    """What a part of a batch adds up to: its log-weights, and gradients of the sum over its draws."""

    log_weights: Float[Array, " draws"]
    prior: PyTree
    weights: StageWeights


class Integration(eqx.Module):
    """A flow of the kind that is trained here, taken apart.

    Args:
        prior: Where the draws start.
        map: What carries them on.
        velocity: Along what.
    """

    prior: AbstractDistribution
    map: ContinuousFlow
    velocity: LatticeVelocity

    @classmethod
    def of(cls, flow: FlowModel) -> "Integration | None":
        """The parts of `flow`, or nothing if it is of another kind."""
        if not isinstance(flow, Flow) or not isinstance(flow.bijection, ContinuousFlow):
            return None
        velocity = flow.bijection.velocity
        return cls(flow.prior, flow.bijection, velocity) if isinstance(velocity, LatticeVelocity) else None


def part_size(batch_size: int, volume: int) -> int:
    """Draws per part: a divisor of the batch, of a size that the cache holds, or the memory of an accelerator."""
    wanted = max(1, _ACCELERATED_SITES // volume) if accelerated() else min(_MOST, max(_LEAST, _SITES // volume))
    return max(n for n in range(1, wanted + 1) if batch_size % n == 0)


def run_split_steps(
    state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, batch_size: int, optimiser: Optimiser
) -> tuple[TrainingState, Progress]:
    """Steps along path gradients until `target` have been done or a number is not finite.

    The draws are those of `latflow.training.steps.run_steps` with the loss ``PathGradient(batch_size)``.

    Args:
        state: Where to start; its flow is one that `Integration.of` takes apart.
        key: Root of all randomness.
        target: Number of the last step.
        action: The target theory.
        batch_size: Draws per step.
        optimiser: What follows the gradient.
    """
    progress = Progress.start()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while int(state.step) < target and bool(progress.finite):
            weights, keys = _begin(state, key, batch_size=batch_size)
            part = functools.partial(gradient_part, taken_apart(state.flow), action, weights)
            state, progress = _end(state, list(pool.map(part, keys)), optimiser=optimiser)
    return state, progress


def path_gradient(
    flow: Flow, action: AbstractAction, key: PRNGKey, *, batch_size: int
) -> tuple[PyTree, Float[Array, " n"]]:
    """The gradient of ``PathGradient(batch_size)`` with this key up to the discretisation error, and log-weights."""
    weights, keys = _prepared(flow, key, batch_size)
    return _collected(flow, [gradient_part(taken_apart(flow), action, weights, some) for some in keys])


@eqx.filter_jit
def _begin(state: TrainingState, key: PRNGKey, *, batch_size: int) -> tuple[StageWeights, list[Array]]:
    return _prepared(state.flow, jax.random.fold_in(key, state.step), batch_size)


@eqx.filter_jit
def _end(state: TrainingState, parts: list[Part], *, optimiser: Optimiser) -> tuple[TrainingState, Progress]:
    gradient, log_weights = _collected(state.flow, parts)
    return update(state, gradient, log_weights, optimiser=optimiser)


def _prepared(flow: FlowModel, key: PRNGKey, batch_size: int) -> tuple[StageWeights, list[Array]]:
    integration = taken_apart(flow)
    n_parts = batch_size // part_size(batch_size, integration.velocity.lattice.volume)
    return stage_weights(integration.velocity, integration.map), jnp.split(jax.random.split(key, batch_size), n_parts)


@eqx.filter_jit
def gradient_part(flow: Integration, action: AbstractAction, weights: StageWeights, keys: Array) -> Part:
    """What the draws of some keys contribute.

    Args:
        flow: The flow, taken apart.
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
    """The parts of a flow that must be of this kind."""
    integration = Integration.of(flow)
    if integration is None:
        raise TypeError(f"{type(flow).__name__}: expected a continuous flow of a lattice velocity; use run_steps")
    return integration
