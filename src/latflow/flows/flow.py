"""A flow: a prior pushed through a bijection, with its exact density."""

import itertools
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.arguments import require_type
from latflow.bijections.base import AbstractBijection
from latflow.display import call
from latflow.distributions import AbstractDistribution, HaarPrior
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

    @override
    def __repr__(self) -> str:
        parts = getattr(self, "prior", None), getattr(self, "bijection", None)
        layers = " → ".join([type(parts[0]).__name__, *_layers(parts[1])])
        return call("Flow", getattr(getattr(parts[0], "space", None), "summary", ""), layers, weights_of(self))

    @property
    @override
    def space(self) -> AbstractFieldSpace:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.prior.space

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Configuration, Scalar]:
        z, log_prior = self.prior.sample_and_log_prob(key)
        x, log_det = self.bijection.forward_and_log_det(z)
        return x, log_prior - log_det

    @override
    def log_prob(self, x: Configuration) -> Scalar:
        z, log_det = self.bijection.inverse_and_log_det(x)
        return self.prior.log_prob(z) + log_det

    @property
    @override
    def n_uniforms(self) -> int:
        return self.prior.n_uniforms

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Configuration, Scalar]:
        uniform = isinstance(self.prior, HaarPrior)
        z, log_prior = self.prior.of_uniforms(self.bijection.arranged(u) if uniform else u)
        x, log_det = (self.bijection.of_uniform if uniform else self.bijection.forward_and_log_det)(z)
        return x, log_prior - log_det

    @property
    @override
    def has_modes(self) -> bool:
        return self.prior.has_modes

    @override
    def modes(self, key: PRNGKey) -> Float[Array, "*momenta"]:
        return self.prior.modes(key)

    @override
    def modes_of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*momenta"]:
        return self.prior.modes_of_uniforms(u)


def weights_of(flow: eqx.Module) -> str:
    """How many numbers a flow has that can be trained, in words."""
    return f"{sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(flow, eqx.is_inexact_array)))} weights"


def _layers(bijection: Any) -> list[str]:
    """Names of the maps one after another, like ones counted."""
    names = [type(layer).__name__ for layer in getattr(bijection, "bijections", (bijection,))]
    runs = [(name, len(list(same))) for name, same in itertools.groupby(names)]
    return [f"{n} {name}" if n > 1 else name for name, n in runs]
