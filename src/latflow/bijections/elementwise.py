"""Bijections that act on every site alone and in the same way: the identity of any space, a scale of real fields."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.bijections.base import AbstractBijection


class Identity(AbstractBijection):
    """$y = x$, on any space."""

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        return x, jnp.zeros(())

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        return y, jnp.zeros(())


class Scale(AbstractBijection):
    r"""$y = e^{a}x$ with one learnable number $a$ for the whole lattice.

    Args:
        log_scale: $a$; zero is the identity.
    """

    log_scale: Scalar

    def __init__(self, log_scale: float | Scalar = 0.0) -> None:
        self.log_scale = jnp.asarray(log_scale, dtype=float)

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return x * jnp.exp(self.log_scale), x.size * self.log_scale

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return y * jnp.exp(-self.log_scale), -y.size * self.log_scale
