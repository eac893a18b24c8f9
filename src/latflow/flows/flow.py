"""A flow: a prior pushed through a bijection, with its exact density."""

from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.arguments import require_type
from latflow.bijections.base import AbstractBijection
from latflow.distributions import AbstractDistribution
from latflow.fields.spaces import AbstractFieldSpace


class Flow(AbstractDistribution):
    """The distribution of `bijection(z)` for `z` drawn from `prior`.

    Args:
        prior: Density of the latent variables.
        bijection: Map from latent variables to configurations, both of the space of the prior.

    Raises:
        TypeError: If one of them is something else.
    """

    prior: AbstractDistribution
    bijection: AbstractBijection

    def __init__(self, prior: AbstractDistribution, bijection: AbstractBijection) -> None:
        require_type("flow.prior", prior, AbstractDistribution, "Normal, HaarPrior or another density")
        require_type("flow.bijection", bijection, AbstractBijection, "a bijection")
        self.prior = prior
        self.bijection = bijection

    @property
    @override
    def space(self) -> AbstractFieldSpace:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.prior.space

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Field, Scalar]:
        z, log_prior = self.prior.sample_and_log_prob(key)
        x, log_det = self.bijection.forward_and_log_det(z)
        return x, log_prior - log_det

    @override
    def log_prob(self, x: Field) -> Scalar:
        z, log_det = self.bijection.inverse_and_log_det(x)
        return self.prior.log_prob(z) + log_det

    @property
    @override
    def n_uniforms(self) -> int:
        return self.prior.n_uniforms

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Field, Scalar]:
        z, log_prior = self.prior.of_uniforms(u)
        x, log_det = self.bijection.forward_and_log_det(z)
        return x, log_prior - log_det
