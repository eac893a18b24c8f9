r"""Reversible, volume-preserving integrators of molecular dynamics, as tables of coefficients.

A scheme alternates kicks $p\leftarrow p-c\,\epsilon F(x)$ and drifts $x\leftarrow\exp(d\,\epsilon p)\,x$, beginning and
ending with a kick. One engine runs every table on every field space; the last kick of a step and the first of the next
use the same force and are made as one, so a step costs as many forces as it has drifts.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Scalar
from latflow.actions.base import AbstractAction

_OMF2_LAMBDA = 0.1931833275037836
_OMF4_KICKS = (0.08398315262876693, 0.6822365335719091)
_OMF4_DRIFTS = (0.2539785108410595, -0.03230286765269967)


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A palindromic splitting.

    Args:
        name: What configuration files call it.
        order: Global error of a trajectory of fixed length is proportional to step_size**order.
        kicks: Momentum coefficients c_0 … c_s, summing to 1.
        drifts: Position coefficients d_1 … d_s, summing to 1.
    """

    name: str
    order: int
    kicks: tuple[float, ...]
    drifts: tuple[float, ...]


LEAPFROG = Scheme("leapfrog", order=2, kicks=(0.5, 0.5), drifts=(1.0,))
"""Kick, drift, kick: one force per step."""

OMF2 = Scheme("omf2", order=2, kicks=(_OMF2_LAMBDA, 1 - 2 * _OMF2_LAMBDA, _OMF2_LAMBDA), drifts=(0.5, 0.5))
"""Omelyan, Mryglod and Folk's minimum-norm scheme of second order: two forces per step."""

OMF4 = Scheme(
    "omf4",
    order=4,
    kicks=(*_OMF4_KICKS, 0.5 - sum(_OMF4_KICKS), 0.5 - sum(_OMF4_KICKS), *reversed(_OMF4_KICKS)),
    drifts=(*_OMF4_DRIFTS, 1 - 2 * sum(_OMF4_DRIFTS), *reversed(_OMF4_DRIFTS)),
)
"""Their fourth-order scheme with five forces per step (Comput. Phys. Commun. 151 (2003) 272, velocity form)."""

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (LEAPFROG, OMF2, OMF4)}
"""Every scheme by name."""


def integrate(
    action: AbstractAction,
    scheme: Scheme,
    x: Float[Array, "*shape"],
    p: Float[Array, "*tangent"],
    *,
    step_size: Scalar,
    n_steps: int,
    force: Float[Array, "*tangent"] | None = None,
) -> tuple[Float[Array, "*shape"], Float[Array, "*tangent"], Float[Array, "*tangent"]]:
    """Follow Hamilton's equations for S(x) + p²/2.

    Args:
        action: Gives the force and the space in which `x` moves.
        scheme: The splitting.
        x: Starting configuration.
        p: Starting momentum.
        step_size: Length of one step; the trajectory has length ``step_size * n_steps``.
        n_steps: Number of steps, at least 1.
        force: ``action.force(x)`` if known.

    Returns:
        Final configuration, momentum and the force at the final configuration.
    """
    first, last = scheme.kicks[0], scheme.kicks[-1]
    start = action.force(x) if force is None else force
    p = p - first * step_size * start
    body = _step(action, scheme, step_size)

    def merged(i: Scalar, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        return body(state, jnp.where(i == n_steps - 1, last, last + first))

    return jax.lax.fori_loop(0, n_steps, merged, (x, p, start))


def _step(
    action: AbstractAction, scheme: Scheme, step_size: Scalar
) -> Callable[[tuple[Array, Array, Array], Scalar], tuple[Array, Array, Array]]:
    """One step without its first kick, whose last kick has the coefficient given to it."""

    def step(state: tuple[Array, Array, Array], closing: Scalar) -> tuple[Array, Array, Array]:
        x, p, force = state
        for drift, kick in zip(scheme.drifts, (*scheme.kicks[1:-1], closing), strict=True):
            x = action.space.move(x, drift * step_size * p)
            force = action.force(x)
            p = p - kick * step_size * force
        return x, p, force

    return step
