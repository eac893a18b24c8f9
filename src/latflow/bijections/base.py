"""Bijections: invertible, differentiable maps of configurations with their log-determinants.

Every log-det refers to the reference measure of the space. `forward_and_log_det` returns +ln|∂y/∂x|,
`inverse_and_log_det` that of the inverse map, its negative.
"""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from latflow._typing import Scalar


class AbstractBijection(eqx.Module):
    """An invertible map of one configuration to another of the same shape."""

    @abc.abstractmethod
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        """The image y and ln|∂y/∂x|."""

    @abc.abstractmethod
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        """The pre-image x and ln|∂x/∂y|."""
