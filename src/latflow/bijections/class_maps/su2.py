r"""Spectral maps of SU(2): the angle of an element moves, its axis stays.

With $U=\cos\alpha+i\sin\alpha\,\hat n\cdot\sigma$, the Haar density of α ∈ [0, π] is ∝ $\sin^2\alpha$. A spline maps α
so that the image of a Haar element has approximately the density $e^\ell$, $\ell=\sum_na_n\cos n\alpha$.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.class_maps.base import AbstractClassMap, LogDet, Numbers
from latflow.bijections.class_maps.u1 import bounded
from latflow.bijections.splits.profile import nodes, profile, pull, push, stretch
from latflow.groups.matrices import diagonal_sum


class SU2Spectrum(AbstractClassMap):
    """Even parameters: coefficients of cos nα; there are no odd ones, for classes of SU(2) are real.

    Args:
        n_bins: K ≥ 2.
        n_terms: Coefficients.

    Raises:
        ConfigError: If there are fewer than two bins or no coefficient.

    References:
        arXiv:2008.05456, section III.
    """

    n_bins: int = eqx.field(static=True)
    n_terms: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)
        count("flow.terms", self.n_terms)

    @property
    @override
    def n_even(self) -> int:
        return self.n_terms

    @property
    @override
    def n_odd(self) -> int:
        return 0

    @override
    def forward_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, n_bins=self.n_bins, inverse=False)

    @override
    def inverse_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, n_bins=self.n_bins, inverse=True)


@trailing
def _moved(element: Matrices, even: Numbers, *, n_bins: int, inverse: bool) -> tuple[Matrices, LogDet]:
    cosine = jnp.real(diagonal_sum(element)) / 2
    angle = jnp.arctan2(_sine(element), cosine) / jnp.pi
    n = np.arange(1, len(even) + 1)
    spline = profile(jnp.tensordot(np.cos(np.pi * np.outer(nodes(n_bins), n)), bounded(even), 1), power=2)
    if inverse:
        image, log_slope = pull(spline, angle)
        factor, log_factor = (1 / part if i == 0 else part for i, part in enumerate(stretch(image, angle, log_slope)))
    else:
        image, log_slope = push(spline, angle)
        factor, log_factor = stretch(angle, image, log_slope)
    one = jnp.eye(2, dtype=element.dtype).reshape(2, 2, *(1,) * cosine.ndim)
    moved = factor[None, None] * (element - cosine[None, None] * one) + jnp.cos(jnp.pi * image)[None, None] * one
    log_det = log_slope + 2 * log_factor
    return moved, -log_det if inverse else log_det


def _sine(element: Matrices) -> Float[Array, "*sites"]:
    """Sin α; its derivative is taken to be zero where it vanishes."""
    beside = element[0, 1]
    square = jnp.imag(element[0, 0]) ** 2 + jnp.real(beside) ** 2 + jnp.imag(beside) ** 2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
