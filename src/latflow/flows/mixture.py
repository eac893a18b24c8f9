r"""The mixture of a flow with its mirror image: $\tfrac12[q(\phi)+q(-\phi)]$.

A flow trained by the reverse Kullback–Leibler divergence in a broken phase settles in one vacuum and loses half of the
weight. Its mixture over the group {φ, −φ} has both vacua with equal weight by construction, an exact density, and costs
one inverse pass more per draw.

References:
    arXiv:2107.00734, section IV; arXiv:2302.14082.
"""

from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.display import call
from latflow.distributions import AbstractDistribution
from latflow.fields.spaces import AbstractFieldSpace
from latflow.flows.flow import Flow
from latflow.given import require_type
from latflow.randomness import fold_in, uniform


class Z2Mixture(AbstractDistribution):
    """Draws of a flow with a random sign, and their density.

    Args:
        flow: The component; its mirror image is the other one.
    """

    flow: Flow

    def __init__(self, flow: Flow) -> None:
        require_type("flow", flow, Flow, "a flow such as real_nvp(key, lattice)")
        self.flow = flow

    @override
    def __repr__(self) -> str:
        return call("Z2Mixture", repr(getattr(self, "flow", "")))

    @property
    @override
    def space(self) -> AbstractFieldSpace:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.flow.space

    @property
    def bijection(self) -> AbstractBijection:
        """The map of the component; the mixture has no bijection of its own."""
        return self.flow.bijection

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        x, log_prob = self.flow.sample_and_log_prob(fold_in(key, 0))
        # The density is even, so the sign is drawn last and changes nothing.
        sign = jnp.where(uniform(fold_in(key, 1)) < 0.5, -1.0, 1.0)
        return sign * x, _mixed(log_prob, self.flow.log_prob(-x))

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        return _mixed(self.flow.log_prob(x), self.flow.log_prob(-x))

    @property
    @override
    def n_uniforms(self) -> int:
        of_flow = self.flow.n_uniforms
        return of_flow + 1 if of_flow else 0

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Float[Array, "*shape"], Scalar]:
        # The sign is the first number: it moves the draw from one vacuum to the other.
        x, log_prob = self.flow.of_uniforms(u[1:])
        return jnp.where(u[0] < 0.5, -1.0, 1.0) * x, _mixed(log_prob, self.flow.log_prob(-x))

    # The sign turns all modes over: even functions of them have the same mean in both components.
    @property
    @override
    def has_modes(self) -> bool:
        return self.flow.has_modes

    @override
    def modes(self, key: PRNGKey) -> Float[Array, "*momenta"]:
        return self.flow.modes(fold_in(key, 0))

    @override
    def modes_of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*momenta"]:
        return self.flow.modes_of_uniforms(u[1:])


TrainableFlow: TypeAlias = Flow | Z2Mixture
"""What a study trains and draws from."""


def _mixed(a: Scalar, b: Scalar) -> Scalar:
    return jnp.logaddexp(a, b) - jnp.log(2.0)
