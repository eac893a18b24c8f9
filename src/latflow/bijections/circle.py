r"""Maps of angles, each by itself: a family of circle maps with numbers of its own at every angle, then a turn."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.unit_maps import AbstractUnitMap
from latflow.groups.base import wrap


class CircleMap(AbstractBijection):
    r"""$\theta\to f(\theta)+t$ at every angle of a torus, with f(±π) = ±π.

    Args:
        family: Maps of a circle, of $u=(1-\theta/\pi)/2$.
        numbers: Which of them; zeros: the identity.
        turn: t.
    """

    family: AbstractUnitMap
    numbers: Float[Array, "_ *shape"]
    turn: Float[Array, "*shape"]

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        y, log_slope = self.family.forward(0.5 * (1 - x / jnp.pi), self.numbers)
        return wrap(jnp.pi * (1 - 2 * y) + self.turn), jnp.sum(log_slope)

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        turned = wrap(y - self.turn)
        x, log_slope = self.family.inverse(0.5 * (1 - turned / jnp.pi), self.numbers)
        return wrap(jnp.pi * (1 - 2 * x)), jnp.sum(log_slope)
