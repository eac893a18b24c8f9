"""Velocities that are linear in their weights, as least squares needs them."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from latflow._typing import Field, Momentum
from latflow.bijections.ode.continuous import AbstractVelocity


class AbstractLinearVelocity(AbstractVelocity):
    r"""$v=\sum_{ak}b_a(t)\,w_{ak}v_k$ with the functions $b_a$ of `latflow.bijections.ode.velocities.time_basis`."""

    weights: eqx.AbstractVar[Float[Array, "n_times n_kinds"]]

    @abc.abstractmethod
    def transport(self, force: Momentum, x: Field) -> Float[Array, " n_kinds"]:
        r"""$\partial\cdot v-v\cdot\partial S$ of every kind, in units of the weights.

        How fast a flow of links from $e^{-S}$ along this kind changes log q + S.

        Args:
            force: ∂S at x.
            x: A configuration.
        """
