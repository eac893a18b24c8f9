r"""Continuous flows: bijections that follow $\dot x=v(t,x)$ from t = 0 to 1.

The log-determinant is the integral of the divergence of v. Both are integrated by a fixed-step Runge–Kutta scheme, so
the log-determinant carries a discretisation error that falls with a power of the step. The number of steps is
no parameter of the model: a flow may be trained with few steps and sampled with as many as the accuracy requires.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.ode.runge_kutta import RK4, RungeKutta

Carry = tuple[Float[Array, "*shape"], Scalar]
_Stages = tuple[Float[Array, "stages *shape"], Float[Array, " stages"]]

_LOOPED = 8
"""Schemes of so many stages run them in a loop, so that the velocity is compiled once for all of them."""


class AbstractVelocity(eqx.Module):
    """The right-hand side of a continuous flow, with its divergence in closed form."""

    @abc.abstractmethod
    def __call__(self, t: Scalar, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        r"""$v(t,x)$ and $\sum_n\partial v_n/\partial x_n$."""

    def inside(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The configuration brought back to its space after a step; by default as it is."""
        return x


class ContinuousFlow(AbstractBijection):
    """The map from x(0) to x(1), integrated in `n_steps` equal steps.

    The inverse integrates backwards with the same scheme: it undoes the forward map up to the discretisation error.

    Args:
        velocity: Right-hand side and divergence.
        n_steps: Steps of the scheme.
        scheme: Table of coefficients.

    References:
        arXiv:1806.07366; on a lattice arXiv:2110.02673 and arXiv:2207.00283.
    """

    velocity: AbstractVelocity
    n_steps: int = eqx.field(static=True)
    scheme: RungeKutta = eqx.field(static=True, default=RK4)

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return self._integrate(x, start=0.0, step=1.0 / self.n_steps)

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return self._integrate(y, start=1.0, step=-1.0 / self.n_steps)

    def advanced(self, x: Float[Array, "*shape"], log_det: Scalar, t: Scalar, step: float | Scalar) -> Carry:
        """The field one step of the scheme later, and the log-determinant with what that adds.

        Args:
            x: The field at time t.
            log_det: Up to there.
            t: The time.
            step: How much later.
        """
        if len(self.scheme.weights) >= _LOOPED:
            return self._advanced_in_a_loop(x, log_det, t, step)
        slopes: list[Carry] = []
        for node, row in zip(self.scheme.nodes, self.scheme.matrix, strict=True):
            y = x + step * combine(row, [slope for slope, _ in slopes]) if row else x
            slopes.append(self.velocity(t + node * step, y))
        x = self.velocity.inside(x + step * combine(self.scheme.weights, [slope for slope, _ in slopes]))
        return x, log_det + step * combine(self.scheme.weights, [divergence for _, divergence in slopes])

    def _advanced_in_a_loop(self, x: Float[Array, "*shape"], log_det: Scalar, t: Scalar, step: float | Scalar) -> Carry:
        rows, nodes, weights = self.scheme.arrays()

        def stage(known: _Stages, j: Int[Array, ""]) -> tuple[_Stages, None]:
            slopes, divergences = known
            v, divergence = self.velocity(t + nodes[j] * step, x + step * jnp.tensordot(rows[j], slopes, 1))
            return (slopes.at[j].set(v), divergences.at[j].set(divergence)), None

        n = len(self.scheme.weights)
        nothing = (jnp.zeros((n, *x.shape), x.dtype), jnp.zeros(n, log_det.dtype))
        (slopes, divergences), _ = jax.lax.scan(stage, nothing, jnp.arange(n))
        x = self.velocity.inside(x + step * jnp.tensordot(weights, slopes, 1))
        return x, log_det + step * jnp.dot(weights, divergences)

    def _integrate(self, x: Float[Array, "*shape"], *, start: float, step: float) -> Carry:
        # Only the fields at the steps are kept for the gradient; what lies between is computed again.
        @jax.checkpoint
        def advance(carry: Carry, i: Int[Array, ""]) -> tuple[Carry, None]:
            return self.advanced(*carry, start + i * step, step), None

        (x, log_det), _ = jax.lax.scan(advance, (x, jnp.zeros(())), jnp.arange(self.n_steps))
        return x, log_det


def combine(coefficients: tuple[float, ...], terms: list[Array]) -> Array:
    """The linear combination without the terms of coefficient zero."""
    pairs = zip(coefficients, terms, strict=True)
    return sum((c * term for c, term in pairs if c), start=jnp.zeros_like(terms[0]))
