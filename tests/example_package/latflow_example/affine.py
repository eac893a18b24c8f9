"""An affine map of every site by itself, and the flow that it makes."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow.bijections.base import AbstractBijection
from latflow.distributions import Normal
from latflow.flows.flow import Flow


class SiteAffine(AbstractBijection):
    """y = exp(a)x + b, site by site."""

    log_scale: Float[Array, "*shape"]
    shift: Float[Array, "*shape"]

    @override
    def forward_and_log_det(self, x):
        return jnp.exp(self.log_scale) * x + self.shift, jnp.sum(self.log_scale)

    @override
    def inverse_and_log_det(self, y):
        return jnp.exp(-self.log_scale) * (y - self.shift), -jnp.sum(self.log_scale)


def affine(key, space, table, dtype):
    """The untrained flow; its numbers are float64 whatever the networks of others are."""
    del key, dtype
    constant = jnp.full(space.shape, jnp.log(table.scale))
    return Flow(Normal(space.shape), SiteAffine(constant, jnp.zeros(space.shape)))
