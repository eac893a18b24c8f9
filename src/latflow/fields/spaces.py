r"""What a configuration is: an array, a reference measure, and a way to move.

Samplers, forces and Jacobian laws speak to a configuration only through its space, so one HMC serves every theory.
Tangent vectors are arrays of real coordinates in an orthonormal frame: the kinetic energy is always $\tfrac12\sum p^2$.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.randomness import standard_normal


class AbstractFieldSpace(eqx.Module):
    """A homogeneous space of configurations with a reference measure."""

    shape: eqx.AbstractVar[tuple[int, ...]]
    tangent_shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        """A reference draw: Haar or uniform on compact spaces, standard normal on R^n."""

    @abc.abstractmethod
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        """The point reached from `x` along `p`, exp(p) x: stays in the space to rounding."""

    @abc.abstractmethod
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        """First-order part of `move`: the array tangent d/de move(x, e p) at e = 0."""

    @abc.abstractmethod
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        """Inverse of `displace`: real coordinates of the array tangent `dx` at `x`."""

    @abc.abstractmethod
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        """Distance of the array `x` from the space; zero inside."""

    @abc.abstractmethod
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        """Standard normal real coordinates."""


class ScalarSpace(AbstractFieldSpace):
    """Real scalar fields: R^V with Lebesgue measure.

    Args:
        shape: Sites along each direction.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(shape)
        self.tangent_shape = tuple(shape)

    @override
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        return standard_normal(key, self.shape)

    @override
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return x + p

    @override
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return p

    @override
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        return dx

    @override
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        return jnp.where(jnp.all(jnp.isfinite(x)), 0.0, jnp.inf)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        return standard_normal(key, self.tangent_shape)
