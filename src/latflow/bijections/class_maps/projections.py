r"""Mixtures of non-compact projections of an angle.

$$\theta\to\sum_i\rho_i\,2\arctan\!\big(e^{s_i}\tan\tfrac\theta2\big)+t,$$

each of which projects the circle on a line, scales the line and projects it back. Slopes lie between $e^{-|s|}$ and
$e^{|s|}$, and s is bounded smoothly. A mixture has no inverse in closed form; how it is found, and that its log-det is
NaN where it is not: `latflow.bijections.unit_maps`.

References:
    arXiv:2002.02428, section 2; as couplings of U(1) links arXiv:2003.06413, eqs. (15)-(17).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.class_maps.base import AbstractClassMap, LogDet, Numbers
from latflow.bijections.unit_maps import Projection, inverted, mixed, strengths
from latflow.groups.base import wrap

BOUND = 4.0
"""Largest |s|."""
_STEPS = 60


class Projections(AbstractClassMap):
    """Even parameters: logits of ρ, then s; odd: t.

    Args:
        n_terms: Projections that are mixed.

    Raises:
        ConfigError: If there is none.
    """

    n_terms: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("flow.terms", self.n_terms)

    @property
    @override
    def n_even(self) -> int:
        return 2 * self.n_terms

    @property
    @override
    def n_odd(self) -> int:
        return 1

    @override
    def forward_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _pushed(element, even, odd)

    @override
    def inverse_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _pulled(element, even, odd, steps=_STEPS)


def _mixed(angle: Float[Array, "*sites"], even: Numbers) -> tuple[Float[Array, "*sites"], Float[Array, "*sites"]]:
    """Image of an angle in [−π, π] without t, and the slope."""
    half = len(even) // 2
    shares = jax.nn.softmax(even[:half], axis=0)
    # components that began alike would learn alike: each feels its parameter with another strength
    strength = strengths(half).reshape(-1, *(1,) * angle.ndim)
    return mixed(angle, shares, Projection(jnp.exp(BOUND / 2 * jnp.tanh(strength * even[half:] / BOUND)), 0.0))


@trailing
def _pushed(element: Float[Array, "*sites"], even: Numbers, odd: Numbers) -> tuple[Float[Array, "*sites"], LogDet]:
    image, slope = _mixed(element, even)
    return wrap(image + odd[0]), jnp.log(slope)


@trailing
def _pulled(
    element: Float[Array, "*sites"], even: Numbers, odd: Numbers, *, steps: int
) -> tuple[Float[Array, "*sites"], LogDet]:
    return inverted(_mixed, wrap(element - odd[0]), even, steps=steps)
