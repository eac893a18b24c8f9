r"""Circular splines of an angle.

The image of a uniform angle has approximately the density $e^{\ell}$,
$\ell(\theta)=\sum_na_n\cos n\theta+b_n\sin n\theta$: a rational-quadratic spline with equidistant bins of the image,
whose knots and slopes are read from ℓ (`latflow.bijections.splits.profile`). Value and slope agree at ±π, so the map is
a smooth map of the circle that leaves π where it is. Coefficients are bounded smoothly, so slopes are bounded as well.
Both directions are closed forms.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.class_maps.base import AbstractClassMap, LogDet, Numbers
from latflow.bijections.splits.profile import nodes, profile, pull, push, within

BOUND = 16.0
"""Largest coefficient of the n-th harmonic, times n."""


class CircularSpline(AbstractClassMap):
    """Even parameters: the coefficients of cosines; odd ones: those of sines.

    Args:
        n_bins: K ≥ 2.
        n_terms: Harmonics.

    Raises:
        ConfigError: If there are fewer than two bins or no harmonic.
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
        return self.n_terms

    @override
    def forward_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, odd, n_bins=self.n_bins, inverse=False)

    @override
    def inverse_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, odd, n_bins=self.n_bins, inverse=True)


def bounded(coefficients: Float[Array, "n_terms *sites"]) -> Float[Array, "n_terms *sites"]:
    """Coefficients of which the n-th is below `BOUND`/n."""
    most = jnp.asarray((BOUND / np.arange(1, len(coefficients) + 1)).reshape(-1, *(1,) * (coefficients.ndim - 1)))
    return most * jnp.tanh(coefficients / most)


@trailing
def _moved(
    element: Float[Array, "*sites"], even: Numbers, odd: Numbers, *, n_bins: int, inverse: bool
) -> tuple[Float[Array, "*sites"], LogDet]:
    angles = 2 * np.pi * nodes(n_bins) - np.pi
    n = np.arange(1, len(even) + 1)
    logs = jnp.tensordot(np.cos(np.outer(angles, n)), bounded(even), 1)
    logs = logs + jnp.tensordot(np.sin(np.outer(angles, n)), bounded(odd), 1)
    spline = profile(logs, power=0)
    x = within((element + jnp.pi) / (2 * jnp.pi), 1.0)
    image, log_slope = (pull if inverse else push)(spline, x)
    return 2 * jnp.pi * image - jnp.pi, -log_slope if inverse else log_slope
