r"""Reversible, volume-preserving integrators of molecular dynamics, as tables of coefficients.

A scheme alternates kicks $p\leftarrow p-c\,\epsilon F(x)$ and drifts $x\leftarrow\exp(d\,\epsilon p)\,x$, beginning and
ending with a kick. One engine runs every table on every field space; the last kick of a step and the first of the next
use the same force and are made as one, so a step costs as many forces as it has drifts, and a trajectory one more.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Int

from latflow._typing import Field, Scalar, Tangent
from latflow.actions.base import AbstractAction
from latflow.batching import beside, repeat

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
    x: Field,
    p: Tangent,
    *,
    step_size: Scalar,
    n_steps: int,
) -> tuple[Field, Tangent, Scalar]:
    """Follow Hamilton's equations for S(x) + p²/2.

    Args:
        action: Gives the force and the space in which `x` moves.
        scheme: The splitting.
        x: Starting configuration.
        p: Starting momentum.
        step_size: Length of one step; the trajectory has length ``step_size * n_steps``.
        n_steps: Number of steps, at least 1.

    Returns:
        Final configuration, momentum, and the action of the configuration, which comes with the last force.
    """
    first, last = scheme.kicks[0], scheme.kicks[-1]
    inner = tuple(zip(scheme.drifts[:-1], scheme.kicks[1:-1], strict=True))

    def scaled(coefficient: float | Scalar, y: Tangent) -> Tangent:
        return beside(coefficient * step_size, y) * y

    def step(i: Int[Array, ""], state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, p = state
        # The last kick of the step before and the first of this one.
        p = p - scaled(jnp.where(i == 0, first, last + first), action.force(x))
        for drift, kick in inner:
            x = action.space.move(x, scaled(drift, p))
            p = p - scaled(kick, action.force(x))
        return action.space.move(x, scaled(scheme.drifts[-1], p)), p

    x, p = repeat(step, (x, p), n=n_steps)
    value, force = action.value_and_force(x)
    return x, p - scaled(last, force), value
