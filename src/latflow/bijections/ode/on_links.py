r"""Continuous flows of links: $\dot U=v(t,U)\,U$ with v in the algebra, integrated so that links stay in the group.

Within a step $U(t)=e^{u(t)}U$ with $u=0$ at its start, and the coefficients of u obey

$$\dot u=\mathrm{dexp}^{-1}_u v=v-\tfrac12[u,v]+\tfrac1{12}[u,[u,v]]-\tfrac1{720}[u,[u,[u,[u,v]]]]+\dots,$$

which every Runge–Kutta scheme may integrate; as many commutators are kept as its order asks for. The log-determinant
refers to the Haar measure and is the integral of $\sum_a\partial_av_a$, the derivatives of `move`.

References:
    Integration on Lie groups: H. Munthe-Kaas, BIT 38 (1998) 92. Flows of links that trivialise an action:
    arXiv:0907.5491; learned arXiv:2212.08469.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import Field, Momentum, Scalar
from latflow.batching import trailing
from latflow.bijections.base import AbstractBijection
from latflow.bijections.ode.continuous import AbstractVelocity
from latflow.bijections.ode.runge_kutta import RK4, RungeKutta
from latflow.fields.plaquette_angles import is_plane_of_angles, links_of_haar
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import multiply

_BERNOULLI = {1: -1 / 2, 2: 1 / 12, 4: -1 / 720, 6: 1 / 30240}
r"""$B_k/k!$: the coefficients of $\mathrm{dexp}^{-1}$, from k = 1 on."""

_Carry = tuple[Field, Scalar]
_Stages = tuple[Float[Array, "n *tangent"], Float[Array, " n"]]


class ContinuousLinkFlow(AbstractBijection):
    """The map from U(0) to U(1), integrated in `n_steps` equal steps.

    The inverse integrates backwards with the same scheme: it undoes the forward map up to the discretisation error.

    Args:
        velocity: Right-hand side and divergence, in real coordinates of `GaugeSpace.move`.
        space: Space of the links.
        n_steps: Steps of the scheme.
        scheme: Table of coefficients.
    """

    velocity: AbstractVelocity
    space: GaugeSpace
    n_steps: int = eqx.field(static=True)
    scheme: RungeKutta = eqx.field(static=True, default=RK4)

    @override
    def forward_and_log_det(self, x: Field) -> _Carry:
        return self._integrate(x, start=0.0, step=1.0 / self.n_steps)

    @override
    def of_uniform(self, z: Field) -> _Carry:
        return self.forward_and_log_det(_smoother(z, self.space))

    @override
    def inverse_and_log_det(self, y: Field) -> _Carry:
        return self._integrate(y, start=1.0, step=-1.0 / self.n_steps)

    def advanced(self, x: Field, log_det: Scalar, t: Scalar, step: float | Scalar) -> _Carry:
        """The links one step of the scheme later, and what that adds to a log-determinant.

        Args:
            x: Links at time t.
            log_det: Up to there.
            t: The time.
            step: How much later.
        """
        return _Step(self.velocity, self.space, self.scheme)((x, log_det), t, step)

    def _integrate(self, x: Field, *, start: float, step: float) -> _Carry:
        advance = _Step(self.velocity, self.space, self.scheme)

        # Only the links at the steps are kept for the gradient; what lies between is computed again.
        @jax.checkpoint
        def advanced(carry: _Carry, i: Int[Array, ""]) -> tuple[_Carry, None]:
            return advance(carry, start + i * step, step), None

        return jax.lax.scan(advanced, (x, jnp.zeros(())), jnp.arange(self.n_steps))[0]


class LinkFlowOfDraws(AbstractBijection):
    """The map of a `ContinuousLinkFlow` for drawing: no program is compiled anew for another number of steps.

    It cannot be differentiated in reverse.

    Args:
        velocity: Right-hand side and divergence.
        space: Space of the links.
        n_steps: Steps of the scheme.
        scheme: Table of coefficients.
    """

    velocity: AbstractVelocity
    space: GaugeSpace
    n_steps: Int[Array, ""]
    scheme: RungeKutta = eqx.field(static=True)

    @override
    def forward_and_log_det(self, x: Field) -> _Carry:
        return self._integrate(x, start=0.0, step=1.0 / self.n_steps)

    @override
    def of_uniform(self, z: Field) -> _Carry:
        return self.forward_and_log_det(_smoother(z, self.space))

    @override
    def inverse_and_log_det(self, y: Field) -> _Carry:
        return self._integrate(y, start=1.0, step=-1.0 / self.n_steps)

    def _integrate(self, x: Field, *, start: float, step: Scalar) -> _Carry:
        advance = _Step(self.velocity, self.space, self.scheme)
        return jax.lax.fori_loop(
            0, self.n_steps, lambda i, carry: advance(carry, start + i * step, step), (x, jnp.zeros(()))
        )


def _smoother(z: Field, space: GaugeSpace) -> Field:
    """Haar links of which gauge-invariant functions depend on few numbers each, where such a map is known."""
    return links_of_haar(z) if is_plane_of_angles(space) else z


class _Step(eqx.Module):
    """One step of the scheme. Stages are a loop, so that the velocity is compiled once for all of them."""

    velocity: AbstractVelocity
    space: GaugeSpace
    scheme: RungeKutta = eqx.field(static=True)

    def __call__(self, carry: _Carry, t: Scalar, step: float | Scalar) -> _Carry:
        x, log_det = carry
        matrix, nodes, weights = self.scheme.arrays()

        def stage(known: _Stages, j: Int[Array, ""]) -> tuple[_Stages, None]:
            slopes, divergences = known
            u = step * jnp.tensordot(matrix[j], slopes, 1)
            v, divergence = self.velocity(t + nodes[j] * step, self.space.move(x, u))
            return (slopes.at[j].set(self._straightened(u, v)), divergences.at[j].set(divergence)), None

        n = len(nodes)
        nothing = (jnp.zeros((n, *self.space.tangent_shape)), jnp.zeros(n))
        (slopes, divergences), _ = jax.lax.scan(stage, nothing, jnp.arange(n))
        x = self.space.move(x, step * jnp.tensordot(weights, slopes, 1))
        return x, log_det + step * jnp.dot(weights, divergences)

    def _straightened(self, u: Momentum, v: Momentum) -> Momentum:
        r"""$\mathrm{dexp}^{-1}_u v$ of every link."""
        group = self.space.group
        if not group.element_shape:
            return v
        parts = [_inverse_dexp(u[mu], v[mu], group=group, order=self.scheme.order) for mu in range(len(u))]
        return jnp.stack(parts)


@trailing
def _inverse_dexp(u: Array, v: Array, *, group: AbstractGroup, order: int) -> Array:
    r"""V with as many commutators with u as a scheme of this order needs."""
    a, nested = group.algebra(u), group.algebra(v)
    out = nested
    for k in range(1, max(2, order - 1)):
        nested = multiply(a, nested) - multiply(nested, a)
        if k in _BERNOULLI:
            out = out + _BERNOULLI[k] * nested
    return group.coefficients(out)
