"""Values of the parameter in a training over a range: those of a step and of an evaluation, and the theory there."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.flows.conditional import ConditionalFlow
from latflow.randomness import pinned

_PROBES = (-1.0, 0.0, 1.0)


def positions(key: PRNGKey, *, n: int) -> Float[Array, " n"]:
    """Random places in [−1, 1], one in each of `n` strata of equal width and uniform there.

    A place is the logarithm of a value, scaled so that the range is [−1, 1]: see `ConditionalFlow.value`.

    Args:
        key: Randomness of the places.
        n: Number of strata.
    """
    return 2 * (jnp.arange(n) + jax.random.uniform(pinned(key), (n,))) / n - 1


def probes(flow: ConditionalFlow) -> tuple[Scalar, ...]:
    """Values at which a conditional flow is evaluated: both ends of its range and its geometric mean."""
    return tuple(flow.value(position) for position in _PROBES)


def theory_at(action: AbstractAction, flow: ConditionalFlow, value: float | Scalar) -> AbstractAction:
    """The action with another value of the parameter that a flow is conditional on.

    Raises:
        ConfigError: If the action has no such parameter.
    """
    return action.with_parameters(**{flow.parameter: value})
