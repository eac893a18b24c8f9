"""Bijections: invertible, differentiable maps of configurations with their log-determinants.

A bijection maps a space of fields onto itself. The space is that of its flow (`Flow.space`); a layer may work on
several spaces. Every log-det refers to the reference measure of the space. `forward_and_log_det` returns +ln|∂y/∂x|,
`inverse_and_log_det` that of the inverse map, its negative.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Configuration, Scalar


class AbstractBijection(eqx.Module):
    """An invertible map of one configuration to another of the same space."""

    @abc.abstractmethod
    def forward_and_log_det(self, x: Configuration) -> tuple[Configuration, Scalar]:
        """The image y and ln|∂y/∂x|."""

    def of_uniform(self, z: Configuration) -> tuple[Configuration, Scalar]:
        """An image of a field of the uniform density of a compact space, and the log-det there, for quasi-random draws.

        By default the forward map. A map may take the elements of z for other latent variables of the same density, in
        which its images are smoother.
        """
        return self.forward_and_log_det(z)

    def arranged(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        """Uniform numbers as a prior of links takes them, link by link; the first ones go where they move images most.

        By default they stay where they are.
        """
        return u

    @abc.abstractmethod
    def inverse_and_log_det(self, y: Configuration) -> tuple[Configuration, Scalar]:
        """The pre-image x and ln|∂x/∂y|."""

    def pulled_back(self, y: Configuration, force: Configuration) -> tuple[Configuration, Configuration]:
        r"""The pre-image x, and the gradient with respect to x of $S(y)-\ln|\partial y/\partial x|$, the energy there.

        By default by reverse differentiation of the forward map.

        Args:
            y: An image.
            force: $\partial S/\partial y$ there.
        """
        x, _ = self.inverse_and_log_det(y)
        return x, _gradient(self.forward_and_log_det, x, force)

    def pushed_forward(self, x: Configuration, force: Configuration) -> tuple[Configuration, Configuration]:
        r"""The image y, and the gradient with respect to y of $S(x)-\ln|\partial x/\partial y|$, the energy there.

        It undoes `pulled_back`, and is `pulled_back` of the inverse map. By default by reverse differentiation of the
        inverse map.

        Args:
            x: A pre-image.
            force: $\partial S/\partial x$ there.
        """
        y, _ = self.forward_and_log_det(x)
        return y, _gradient(self.inverse_and_log_det, y, force)


def _gradient(
    image_and_log_det: Callable[[Configuration], tuple[Configuration, Scalar]], x: Configuration, force: Configuration
) -> Configuration:
    """Of the energy at the image less the log-det, with respect to x."""
    (_, log_det), pull = jax.vjp(image_and_log_det, x)
    (found,) = pull((force, -jnp.ones_like(log_det)))
    return found
