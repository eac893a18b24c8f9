"""U(1): real angles in (−π, π]."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices, PRNGKey, Scalar, Tangent
from latflow.batching import trailing
from latflow.groups.base import AbstractGroup, wrap
from latflow.randomness import uniform


class U1(AbstractGroup):
    """Phases stored as angles. The generator is 1, so that p is added to the angle."""

    name: str = eqx.field(static=True, default="U(1)")
    n: int = eqx.field(static=True, default=1)
    element_shape: tuple[int, ...] = eqx.field(static=True, default=())
    algebra_shape: tuple[int, ...] = eqx.field(static=True, default=())
    trace_norm: float = eqx.field(static=True, default=1.0)

    @override
    def identity(self, sites: tuple[int, ...]) -> Field:
        return jnp.zeros(sites)

    @override
    def haar(self, key: PRNGKey, sites: tuple[int, ...]) -> Field:
        return jnp.pi * (1 - 2 * uniform(key, sites))

    @property
    @override
    def n_uniforms(self) -> int:
        return 1

    @override
    def haar_of_uniforms(self, u: Float[Array, "n_uniforms *sites"]) -> Field:
        return jnp.pi * (1 - 2 * u[0])

    @override
    def compose(self, g: Field, h: Field) -> Field:
        return wrap(g + h)

    @override
    def adjoint(self, g: Field) -> Field:
        return wrap(-g)

    @override
    def conjugate(self, g: Field) -> Field:
        return wrap(-g)

    @override
    def exp(self, p: Tangent) -> Field:
        return wrap(p)

    @override
    def move(self, g: Field, p: Tangent) -> Field:
        return wrap(g + p)

    @override
    def displace(self, g: Field, p: Tangent) -> Field:
        return p

    @override
    def displacement(self, g: Field, dg: Field) -> Tangent:
        return dg

    @override
    def matrices(self, g: Field) -> Matrices:
        return unit_phases(g)

    @override
    def algebra(self, p: Tangent) -> Matrices:
        return imaginary(p)

    @override
    def coefficients(self, m: Matrices) -> Tangent:
        return jnp.imag(m[0, 0])

    @override
    def project(self, m: Matrices) -> Field:
        return jnp.angle(m[0, 0])

    @override
    def defect(self, g: Field) -> Scalar:
        outside = jnp.maximum(jnp.max(jnp.abs(g)) - jnp.pi, 0.0)
        return jnp.where(jnp.all(jnp.isfinite(g)), outside, jnp.inf)


_PI_ROUNDED_OFF = 1.2246467991473532e-16
"""π minus its float64 value."""
_TAYLOR = tuple((-1) ** n / math.factorial(2 * n + 1) for n in range(11))


def sine(angle: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    r"""Sine of an angle of a few turns, several times faster on a CPU than XLA's, which is not vectorised there.

    Taylor polynomial of degree 21 about the nearest multiple of π, accurate to 3·10⁻¹⁶.
    """
    turns = jnp.round(angle / jnp.pi)
    rest = (angle - turns * jnp.pi) - turns * _PI_ROUNDED_OFF
    square = rest**2
    polynomial = jnp.full_like(square, _TAYLOR[-1])
    for coefficient in _TAYLOR[-2::-1]:
        polynomial = polynomial * square + coefficient
    odd = turns - 2 * jnp.floor(turns / 2)
    return rest * polynomial * (1 - 2 * odd)


@trailing
def unit_phases(angle: Float[Array, "*sites"]) -> Matrices:
    r"""$e^{i\theta}$ as 1×1 matrices."""
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))[None, None]


@trailing
def imaginary(p: Float[Array, "*sites"]) -> Matrices:
    r"""$ip$ as 1×1 matrices."""
    return jax.lax.complex(jnp.zeros_like(p), p)[None, None]
