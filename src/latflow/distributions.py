"""Densities one can draw from: the priors of flows.

A log-density refers to the reference measure of the space it lives on.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar


class AbstractDistribution(eqx.Module):
    """A normalised density with exact independent draws."""

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        """One draw and its log-density."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        """Log-density at `x`."""


class Normal(AbstractDistribution):
    """Independent standard normal numbers, N(0, 1) on every site.

    Args:
        shape: Sites along each direction.
    """

    shape: tuple[int, ...] = eqx.field(static=True)

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        x = jax.random.normal(key, self.shape)
        return x, self.log_prob(x)

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        return -0.5 * jnp.sum(x**2 + jnp.log(2 * jnp.pi))
