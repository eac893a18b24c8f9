"""A flow: a prior pushed through a bijection, with its exact density."""

import equinox as eqx
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.distributions import AbstractDistribution


class Flow(AbstractDistribution):
    """The distribution of `bijection(z)` for `z` drawn from `prior`.

    Args:
        prior: Density of the latent variables.
        bijection: Map from latent variables to configurations.
    """

    prior: AbstractDistribution
    bijection: AbstractBijection
    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, prior: AbstractDistribution, bijection: AbstractBijection) -> None:
        self.prior = prior
        self.bijection = bijection
        self.shape = prior.shape

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        z, log_prior = self.prior.sample_and_log_prob(key)
        x, log_det = self.bijection.forward_and_log_det(z)
        return x, log_prior - log_det

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        z, log_det = self.bijection.inverse_and_log_det(x)
        return self.prior.log_prob(z) + log_det
