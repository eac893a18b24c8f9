"""Compositions and inverses of bijections."""

import jax.numpy as jnp
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.bijections.base import AbstractBijection


class Chain(AbstractBijection):
    """Several bijections one after another; log-determinants add.

    Args:
        bijections: Applied from first to last by `forward_and_log_det`. Empty: the identity.
    """

    bijections: tuple[AbstractBijection, ...]

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        log_det = jnp.zeros(())
        for bijection in self.bijections:
            x, step = bijection.forward_and_log_det(x)
            log_det = log_det + step
        return x, log_det

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        log_det = jnp.zeros(())
        for bijection in reversed(self.bijections):
            y, step = bijection.inverse_and_log_det(y)
            log_det = log_det + step
        return y, log_det

    @override
    def pulled_back(self, y: Field, force: Field) -> tuple[Field, Field]:
        """By that of every part, from last to first: the energy at each place is what the next part pulls back."""
        for bijection in reversed(self.bijections):
            y, force = bijection.pulled_back(y, force)
        return y, force

    @override
    def pushed_forward(self, x: Field, force: Field) -> tuple[Field, Field]:
        for bijection in self.bijections:
            x, force = bijection.pushed_forward(x, force)
        return x, force


class Inverse(AbstractBijection):
    """A bijection run backwards.

    Args:
        bijection: The map whose inverse this is.
    """

    bijection: AbstractBijection

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        return self.bijection.inverse_and_log_det(x)

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        return self.bijection.forward_and_log_det(y)

    @override
    def pulled_back(self, y: Field, force: Field) -> tuple[Field, Field]:
        return self.bijection.pushed_forward(y, force)

    @override
    def pushed_forward(self, x: Field, force: Field) -> tuple[Field, Field]:
        return self.bijection.pulled_back(x, force)
