"""Couplings of a training over a range: those of a step, those of an evaluation, and the theory at each of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.flows.conditional import ConditionalFlow

_PROBES = (-1.0, 0.0, 1.0)


def positions(key: PRNGKey, *, n: int) -> Float[Array, " n"]:
    """Random places in [−1, 1], one in each of `n` strata of equal width and uniform there.

    A place is the logarithm of a coupling, scaled so that the range is [−1, 1]: see `ConditionalFlow.coupling`.

    Args:
        key: Randomness of the places.
        n: Number of strata.
    """
    return 2 * (jnp.arange(n) + jax.random.uniform(key, (n,))) / n - 1


def probes(flow: ConditionalFlow) -> tuple[Scalar, ...]:
    """Couplings at which a conditional flow is evaluated: both ends of its range and its geometric mean."""
    return tuple(flow.coupling(position) for position in _PROBES)


def with_coupling(action: AbstractAction, coupling: float | Scalar) -> AbstractAction:
    """The same φ⁴ theory at another coupling.

    Args:
        action: Of φ⁴, or any other with a field `coupling`.
        coupling: λ in the house normalisation.
    """
    return eqx.tree_at(lambda action: action.coupling, action, jnp.asarray(coupling, dtype=float))
