"""Weights of a flow at images of its draws in other sectors, where the action is the same.

What they say is in `latflow.stats.images`; the densities are evaluated here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution
from latflow.stats.images import representatives, unseen
from latflow.theories.sectors import AbstractSectors

_EVEN = 1e-10


def unseen_images(
    flow: AbstractDistribution,
    action: AbstractAction,
    sectors: AbstractSectors,
    fields: Inexact[np.ndarray, "m *shape"],
    log_weights: Float[np.ndarray, " n"],
) -> float | None:
    """Part of the theory whose weights are larger than that of any draw, by the images of some of the draws.

    Args:
        flow: The draws are its own.
        action: S.
        sectors: They name the images.
        fields: The first of the draws, or all.
        log_weights: ln w of every draw.

    Returns:
        See `latflow.stats.images.unseen`; None where there are no images, S is not the same on them, or none of the
        draws has a weight.
    """
    first = log_weights[: len(fields)]
    if not np.isfinite(np.max(first, initial=-np.inf)) or not sectors.images(jnp.asarray(fields[0])):
        return None
    picked = jnp.asarray(fields[representatives(first)])
    own, at_images, log_prob = map(np.asarray, _evaluate(flow, action, sectors, picked))
    scale = max(1.0, float(np.max(np.abs(own))))
    if not np.max(np.abs(at_images - own)) <= _EVEN * scale:
        return None
    return unseen((-at_images - log_prob).T, log_weights)


@eqx.filter_jit
def _evaluate(
    flow: AbstractDistribution, action: AbstractAction, sectors: AbstractSectors, fields: Inexact[Array, "n *shape"]
) -> tuple[Float[Array, " n"], Float[Array, "images n"], Float[Array, "images n"]]:
    number = len(sectors.images(fields[0]))
    views = [jax.vmap(lambda x, i=i: sectors.images(x)[i])(fields) for i in range(number)]
    at_images = jnp.stack([jax.vmap(action)(x) for x in views])
    return jax.vmap(action)(fields), at_images, jnp.stack([jax.vmap(flow.log_prob)(x) for x in views])
