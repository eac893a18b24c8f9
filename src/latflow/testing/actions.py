"""Laws of an action: its force, its locality, its symmetries, its agreement with another way of writing it.

Deviations of S are measured against max(1, |S|), those of a force against its largest component.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field, PRNGKey, Tangent
from latflow.actions.base import AbstractAction, AbstractLocalAction, autodiff_force
from latflow.fields.spaces import AbstractFieldSpace
from latflow.fields.symmetry import AbstractSymmetry
from latflow.randomness import pinned
from latflow.testing.compiling import plain_jit
from latflow.testing.result import LawResult, judge

FINITE_DIFFERENCE = 1e-9
"""Limit of the relative deviation between a force and fourth-order differences."""

ROUNDING = 1e-12
"""Limit for identities that hold up to rounding."""

Fields = Inexact[Array, "n *shape"]
Elements = tuple[AbstractSymmetry, ...]

_STEP = 2.0**-9  # truncation h⁴/30 ~ 5e-13 and rounding 1e-16 |S|/h stay far below 1e-9
_DIRECTIONS = 64


class ForceDeviations(NamedTuple):
    """Deviation of the force from finite differences, from automatic differentiation, and of `value_and_force`."""

    differences: Float[Array, ""]
    gradient: Float[Array, ""]
    together: Float[Array, ""]


@plain_jit
def _force_deviations(key: PRNGKey, action: AbstractAction) -> ForceDeviations:
    x = action.space.random(jax.random.fold_in(key, 0))
    force, momentum = ravel_pytree(action.force(x))
    scale = jnp.max(jnp.abs(force))
    sites = _some_sites(force)
    directions = jnp.eye(force.size)[sites]

    def at(steps: Float[Array, ""]) -> Float[Array, " n"]:
        return jax.vmap(lambda way: action(action.space.move(x, momentum(steps * _STEP * way))))(directions)

    low2, low1, high1, high2 = jax.lax.map(at, jnp.asarray([-2.0, -1.0, 1.0, 2.0]))
    slopes = (8 * (high1 - low1) - (high2 - low2)) / (12 * _STEP)
    alone, (value, joint) = action(x), action.value_and_force(x)
    return ForceDeviations(
        differences=jnp.max(jnp.abs(slopes - force[sites])) / scale,
        gradient=jnp.max(jnp.abs(ravel_pytree(autodiff_force(action, x))[0] - force)) / scale,
        together=jnp.maximum(
            jnp.abs(value - alone) / jnp.maximum(1.0, jnp.abs(alone)),
            jnp.max(jnp.abs(ravel_pytree(joint)[0] - force)) / scale,
        ),
    )


def _some_sites(x: Float[Array, "*shape"]) -> np.ndarray:
    """Every position of a small array, evenly spread ones of a large one."""
    return np.unique(np.linspace(0, x.size - 1, min(x.size, _DIRECTIONS)).astype(int))


def force_is_finite_difference(key: PRNGKey, action: AbstractAction) -> LawResult:
    """The force is the fourth-order finite difference of S along `move`, component by component."""
    error = _force_deviations(key, action).differences
    return judge("force equals finite differences", error, limit=FINITE_DIFFERENCE)


def force_is_gradient(key: PRNGKey, action: AbstractAction) -> LawResult:
    """The force is the reverse-mode derivative of S along `move`."""
    return judge("force equals automatic differentiation", _force_deviations(key, action).gradient, limit=ROUNDING)


def value_comes_with_the_force(key: PRNGKey, action: AbstractAction) -> LawResult:
    """`value_and_force` gives what the action and its force give one by one."""
    error = _force_deviations(key, action).together
    return judge("value_and_force equals value and force", error, limit=ROUNDING)


@plain_jit
def _deviation_of_terms(key: PRNGKey, action: AbstractAction) -> Float[Array, ""]:
    x = action.space.random(key)
    value, force = action(x), action.force(x)
    values = jnp.stack([term(x) for term in action.terms])
    forces = jnp.stack([term.force(x) for term in action.terms])
    return jnp.maximum(
        jnp.abs(jnp.sum(values) - value) / jnp.maximum(1.0, jnp.max(jnp.abs(values))),
        jnp.max(jnp.abs(jnp.sum(forces, axis=0) - force)) / jnp.max(jnp.abs(forces)),
    )


def terms_are_the_action(key: PRNGKey, action: AbstractAction) -> LawResult:
    """The terms of an action sum to it, and their forces to its force."""
    terms = len(action.terms)
    error = _deviation_of_terms(key, action) if terms > 1 else 0.0
    return judge("terms sum to the action", error, limit=ROUNDING, detail=f"terms: {terms}")


ACTION_LAWS = (force_is_finite_difference, force_is_gradient, value_comes_with_the_force, terms_are_the_action)
"""Laws of every action, called as ``law(key, action)``."""


def action_laws(key: PRNGKey, action: AbstractAction) -> list[LawResult]:
    """The laws that every action keeps."""
    return [law(key, action) for law in ACTION_LAWS]


class LocalDeviations(NamedTuple):
    """Largest deviation of site differences, alone and of a whole colour, relative to max(1, |S|)."""

    site: Float[Array, ""]
    colour: Float[Array, ""]


@plain_jit
def _local_deviations(key: PRNGKey, action: AbstractLocalAction) -> LocalDeviations:
    x = action.space.random(jax.random.fold_in(key, 0))
    proposal = action.space.random(jax.random.fold_in(key, 1))
    before, differences = action(x), action.site_difference(x, proposal)
    sites = _some_sites(x)
    masks = np.zeros((len(sites) + 1, x.size), dtype=bool)
    masks[np.arange(len(sites)), sites] = True
    masks[-1] = np.indices(x.shape).sum(axis=0).reshape(-1) % 2 == 0
    masks = masks.reshape(-1, *x.shape)

    def error(mask: Array) -> Float[Array, ""]:
        change = action(jnp.where(mask, proposal, x)) - before
        return jnp.abs(change - jnp.sum(jnp.where(mask, differences, 0.0)))

    errors = jax.vmap(error)(jnp.asarray(masks)) / jnp.maximum(1.0, jnp.abs(before))
    return LocalDeviations(site=jnp.max(errors[:-1]), colour=errors[-1])


def site_difference_is_exact(key: PRNGKey, action: AbstractLocalAction) -> LawResult:
    """`site_difference` at a site is S with that site changed alone, minus S."""
    return judge("site difference equals a change of S", _local_deviations(key, action).site, limit=ROUNDING)


def colours_are_independent(key: PRNGKey, action: AbstractLocalAction) -> LawResult:
    """Changing all even sites at once changes S by the sum of their site differences (even extents)."""
    return judge("sites of one colour do not interact", _local_deviations(key, action).colour, limit=ROUNDING)


@plain_jit
def _ising_deviation(key: PRNGKey, action: AbstractLocalAction, *, bond: float) -> Float[Array, ""]:
    x = jnp.abs(action.space.random(jax.random.fold_in(key, 0)))
    signs = jax.random.rademacher(pinned(jax.random.fold_in(key, 1)), x.shape, dtype=x.dtype)
    y = signs * x
    bonds = [jnp.sum(x * jnp.roll(x, -1, axis=mu) - y * jnp.roll(y, -1, axis=mu)) for mu in range(x.ndim)]
    before = action(x)
    return jnp.abs(action(y) - before - bond * sum(bonds)) / jnp.maximum(1.0, jnp.abs(before))


def bonds_are_ising(key: PRNGKey, action: AbstractLocalAction) -> LawResult:
    """Where an action claims Ising bonds, signs change S by those bonds alone; β is positive."""
    bond = action.bond
    if bond is None:
        return judge("signs are an Ising model", 0.0, limit=ROUNDING, detail="not claimed")
    error = _ising_deviation(key, action, bond=bond) if bond > 0 else jnp.inf
    return judge("signs are an Ising model", error, limit=ROUNDING, detail=f"bond {bond:g}")


LOCAL_ACTION_LAWS = (site_difference_is_exact, colours_are_independent, bonds_are_ising)
"""Further laws of a local action on even extents, called as ``law(key, action)``."""


@plain_jit
def _asymmetry(key: PRNGKey, action: AbstractAction, elements: Elements) -> Float[Array, ""]:
    space = action.space
    x = space.random(key)
    images = [element(x) for element in elements]
    # a loop, so that the force is compiled once
    values, forces = jax.lax.map(lambda y: (action(y), action.force(y)), jnp.stack([x, *images]))
    before, force = values[0], forces[0]
    carried = jnp.stack(
        [_carried_back(space, g, x, y, turned) for g, y, turned in zip(elements, images, forces[1:], strict=True)]
    )
    change = jnp.max(jnp.abs(values[1:] - before)) / jnp.maximum(1.0, jnp.abs(before))
    return jnp.maximum(change, jnp.max(jnp.abs(carried - force[None])) / jnp.max(jnp.abs(force)))


def _carried_back(space: AbstractFieldSpace, element: AbstractSymmetry, x: Field, y: Field, force: Tangent) -> Tangent:
    """The force at y = g·x as a force at x: the transpose of the map that g makes of tangent vectors."""

    def image(p: Tangent) -> Tangent:
        return space.coordinates(y, jax.jvp(element, (x,), (space.displace(x, p),))[1])

    return jax.vjp(image, jnp.zeros_like(force))[1](force)[0]


def invariant_under(key: PRNGKey, action: AbstractAction, elements: Elements) -> LawResult:
    """S(g·x) = S(x), and the force at g·x is the one at x as g carries tangent vectors, for every given element."""
    worst = _asymmetry(key, action, elements)
    return judge("action and force respect the symmetries", worst, limit=ROUNDING, detail=f"{len(elements)} elements")


@plain_jit
def _fields_and_values(key: PRNGKey, action: AbstractAction, *, n: int) -> tuple[Fields, Float[Array, " n"]]:
    fields = jax.vmap(lambda i: action.space.random(jax.random.fold_in(key, i)))(jnp.arange(n))
    return fields, jax.vmap(action)(fields)


def agrees_with(
    key: PRNGKey,
    action: AbstractAction,
    reference: Callable[[Float[np.ndarray, "*shape"]], float],
    *,
    n_fields: int = 4,
) -> LawResult:
    """S(x) equals an independent formula on random fields: a naive loop, or another normalisation of the same action.

    Args:
        key: Randomness of the fields.
        action: The action under test.
        reference: Takes the configuration as a numpy array, and applies the field map itself if there is one.
        n_fields: Number of fields compared.
    """
    fields, values = _fields_and_values(key, action, n=n_fields)
    pairs = [(s, reference(x)) for s, x in zip(np.asarray(values), np.asarray(fields), strict=True)]
    error = max(abs(ours - theirs) / max(1.0, abs(theirs)) for ours, theirs in pairs)
    return judge("action equals an independent formula", error, limit=ROUNDING, detail=f"{n_fields} random fields")
