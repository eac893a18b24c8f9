r"""Laws of actions that are linear in every link: the paths that close a link, and colours that do not meet.

Local updates of links are exact only if both hold (`latflow.fields.closings`).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.actions.gauge import AbstractLinkAction
from latflow.fields.closings import closed_by, tables
from latflow.testing.result import LawResult, judge

ROUNDING = 1e-12
_LINKS = 24


class LinkDeviations(NamedTuple):
    """Largest deviation when single links change, and when all links of a colour do, relative to max(1, |S|)."""

    alone: Float[Array, ""]
    colour: Float[Array, ""]


@eqx.filter_jit
def _link_differences(action: AbstractLinkAction, x: Array, y: Array) -> Float[Array, "mu all"]:
    """S after changing one link alone from x to y, minus S before, for every link."""
    space = action.space
    d, volume, n = space.ndim, space.lattice.volume, space.group.n
    row, new = (jnp.moveaxis(space.links(f), 0, 2).reshape(n, n, d * volume) for f in (x, y))

    def direction(mu: Array) -> Float[Array, " all"]:
        around = closed_by(row, mu, jnp.arange(volume), shape=space.lattice.shape, surroundings=action.surroundings)
        change = jax.lax.dynamic_slice_in_dim(new - row, mu * volume, volume, axis=2)
        return -action.beta / n * jnp.sum(jnp.real(change * jnp.swapaxes(around, 0, 1)), axis=(0, 1))

    return jax.lax.map(direction, jnp.arange(d))


@eqx.filter_jit
def _link_deviations(key: PRNGKey, action: AbstractLinkAction) -> LinkDeviations:
    space = action.space
    x, y = (space.random(jax.random.fold_in(key, i)) for i in (0, 1))
    differences = _link_differences(action, x, y).reshape(-1)
    colour = tables(space.lattice.shape, action.surroundings).colour
    links = np.unique(np.linspace(0, differences.size - 1, min(differences.size, _LINKS)).astype(int))
    alone = np.eye(differences.size, dtype=bool)[links].reshape(-1, *colour.shape)
    groups = np.stack(
        [
            (np.arange(space.ndim)[:, None] == mu) & (colour == c)
            for mu in range(space.ndim)
            for c in range(action.surroundings.n_colours)
        ]
    )
    before = action(x)

    def error(mask: Array) -> Float[Array, ""]:
        inner = (1,) * len(space.group.element_shape)
        z = jnp.where(mask.reshape(space.ndim, *inner, *space.lattice.shape), y, x)
        return jnp.abs(action(z) - before - jnp.sum(jnp.where(mask.reshape(-1), differences, 0.0)))

    errors = jax.lax.map(error, jnp.asarray(np.concatenate([alone, groups]))) / jnp.maximum(1.0, jnp.abs(before))
    return LinkDeviations(jnp.max(errors[: len(alone)]), jnp.max(errors[len(alone) :]))


def closings_are_the_action(key: PRNGKey, action: AbstractLinkAction) -> LawResult:
    r"""Changing one link changes S by $-\frac\beta N\mathrm{Re\,tr}(U'-U)A$."""
    return judge("link differences equal changes of S", _link_deviations(key, action).alone, limit=ROUNDING)


def link_colours_are_independent(key: PRNGKey, action: AbstractLinkAction) -> LawResult:
    """Changing all links of a direction and colour changes S by the sum of their differences."""
    return judge("links of one colour do not interact", _link_deviations(key, action).colour, limit=ROUNDING)


LINK_ACTION_LAWS = (closings_are_the_action, link_colours_are_independent)
"""Laws of actions linear in every link, called as ``law(key, action)``."""
