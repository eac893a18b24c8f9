"""Laws of a field space: tangent coordinates, motion, momenta.

Every sampler, force and Jacobian uses these methods, so a space that keeps these laws can be used by all of them.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from latflow._typing import PRNGKey
from latflow.fields.spaces import AbstractFieldSpace
from latflow.testing.compiling import plain_jit
from latflow.testing.result import LawResult, judge

ROUNDING = 1e-12
"""Limit for identities that hold up to a few roundings of numbers of order one."""


_STARTS = 4


class Deviations(NamedTuple):
    """Largest deviation of each deterministic law at one random configuration and momentum."""

    coordinates: Float[Array, ""]
    first_order: Float[Array, ""]
    defect: Float[Array, ""]
    starts: Float[Array, ""]
    reversal: Float[Array, ""]
    carried: Float[Array, ""]


@plain_jit
def _deviations(key: PRNGKey, space: AbstractFieldSpace) -> Deviations:
    x = space.random(jax.random.fold_in(key, 0))
    p = space.momentum(jax.random.fold_in(key, 1))
    y, q = space.carry(x, p, p)
    back, r = space.carry(y, *[jax.tree.map(jnp.negative, q)] * 2)
    _, slope = jax.jvp(lambda q: space.move(x, q), (space.still(),), (p,))
    return Deviations(
        coordinates=_apart(space.coordinates(x, space.displace(x, p)), p),
        first_order=_apart(slope, space.displace(x, p)),
        defect=jnp.maximum(space.defect(x), space.defect(y)),
        starts=jnp.maximum(space.defect(space.cold()), _worst_start(jax.random.fold_in(key, 2), space)),
        reversal=jnp.maximum(space.distance(back, x), _apart(r, jax.tree.map(jnp.negative, p))),
        carried=jnp.maximum(space.distance(y, space.move(x, p)), jnp.abs(_square(q) - _square(p))),
    )


def _apart(a: PyTree, b: PyTree) -> Float[Array, ""]:
    """Largest difference of any entry."""
    return jnp.max(jnp.abs(ravel_pytree(a)[0] - ravel_pytree(b)[0]))


def _square(p: PyTree) -> Float[Array, ""]:
    return jnp.sum(ravel_pytree(p)[0] ** 2)


def _worst_start(key: PRNGKey, space: AbstractFieldSpace) -> Float[Array, ""]:
    def defect(number: Array) -> Float[Array, ""]:
        return space.defect(space.start(jax.random.fold_in(key, number), number))

    return jnp.max(jax.vmap(defect)(jnp.arange(_STARTS)))


def coordinates_invert_displace(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """`coordinates(x, displace(x, p))` is p."""
    return judge("coordinates invert displace", _deviations(key, space).coordinates, limit=ROUNDING)


def displace_is_first_order(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """`displace(x, p)` is d/dε move(x, εp) at ε = 0."""
    return judge("displace is the first order of move", _deviations(key, space).first_order, limit=ROUNDING)


def move_stays_inside(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """The defect stays at rounding level, both of a reference draw and after a move."""
    return judge("move stays in the space", _deviations(key, space).defect, limit=ROUNDING)


def starts_are_inside(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """Chains start in the space, whichever their number, and the cold configuration lies in it."""
    return judge("starts lie in the space", _deviations(key, space).starts, limit=ROUNDING)


def move_reverses(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """Moving along p and then along −p, both carried, comes back with −p."""
    return judge("move reverses", _deviations(key, space).reversal, limit=ROUNDING)


def carried_momentum_keeps_its_length(key: PRNGKey, space: AbstractFieldSpace) -> LawResult:
    """`carry` goes where `move` goes, and keeps the kinetic energy."""
    return judge("a carried momentum keeps its length", _deviations(key, space).carried, limit=ROUNDING)


@plain_jit
def _momenta(key: PRNGKey, space: AbstractFieldSpace, *, n: int) -> Float[Array, "n dof"]:
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))
    return jax.vmap(lambda k: ravel_pytree(space.momentum(k))[0])(keys)


def momentum_is_standard_normal(key: PRNGKey, space: AbstractFieldSpace, *, n: int = 4000) -> LawResult:
    r"""First and second moments of the momenta are 0 and δ_ab.

    The largest of all m values of |z| is compared with $\sqrt{25+2\ln m}$: five sigmas after the look-elsewhere effect.
    """
    p = np.asarray(_momenta(key, space, n=n))
    dof = p.shape[1]
    identity = np.eye(dof)
    z_mean = np.abs(np.mean(p, axis=0)) * math.sqrt(n)
    z_covariance = np.abs(p.T @ p / n - identity) / np.sqrt((1 + identity) / n)
    moments = dof + dof * (dof + 1) // 2
    detail = f"largest |z| of {moments} moments; a variance off by {5 * math.sqrt(2 / n):.2f} is seen"
    worst = max(z_mean.max(), z_covariance.max())
    return judge("momenta are standard normal", worst, limit=math.sqrt(25 + 2 * math.log(moments)), detail=detail)


SPACE_LAWS = (
    coordinates_invert_displace,
    displace_is_first_order,
    move_stays_inside,
    starts_are_inside,
    move_reverses,
    carried_momentum_keeps_its_length,
    momentum_is_standard_normal,
)
"""All laws of a space, called as ``law(key, space)``."""


def space_laws(key: PRNGKey, space: AbstractFieldSpace) -> list[LawResult]:
    """Every law of a space."""
    return [law(key, space) for law in SPACE_LAWS]
