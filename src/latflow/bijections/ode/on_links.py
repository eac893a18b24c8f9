r"""Continuous flows of links: $\dot U=v(t,U)\,U$ with v in the algebra, integrated so that links stay in the group.

Within a step $U(t)=e^{u(t)}U$ with $u=0$ at its start, and the coefficients of u obey the ordinary differential equation

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
from latflow.bijections.ode.velocities import time_basis
from latflow.fields.loop_velocities import path_names, paths, staples_of
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
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        return self._integrate(x, start=0.0, step=1.0 / self.n_steps)

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        return self._integrate(y, start=1.0, step=-1.0 / self.n_steps)

    def _integrate(self, x: Field, *, start: float, step: float) -> _Carry:
        matrix, weights = self._tableau()
        nodes = jnp.asarray(self.scheme.nodes)

        # Only the links at the steps are kept for the gradient; what lies between is computed again. Steps and stages
        # are loops, so that the velocity is compiled once for all of them.
        @jax.checkpoint
        def advance(carry: _Carry, i: Int[Array, ""]) -> tuple[_Carry, None]:
            x, log_det = carry

            def stage(known: _Stages, j: Int[Array, ""]) -> tuple[_Stages, None]:
                slopes, divergences = known
                u = step * jnp.tensordot(matrix[j], slopes, 1)
                v, divergence = self.velocity(start + (i + nodes[j]) * step, self.space.move(x, u))
                return (slopes.at[j].set(self._straightened(u, v)), divergences.at[j].set(divergence)), None

            n = len(nodes)
            nothing = (jnp.zeros((n, *self.space.tangent_shape)), jnp.zeros(n))
            (slopes, divergences), _ = jax.lax.scan(stage, nothing, jnp.arange(n))
            x = self.space.move(x, step * jnp.tensordot(weights, slopes, 1))
            return (x, log_det + step * jnp.dot(weights, divergences)), None

        (x, log_det), _ = jax.lax.scan(advance, (x, jnp.zeros(())), jnp.arange(self.n_steps))
        return x, log_det

    def _tableau(self) -> tuple[Float[Array, "n n"], Float[Array, " n"]]:
        """The coefficients of the scheme, a square matrix and the weights."""
        n = len(self.scheme.weights)
        rows = [(*row, *(0.0,) * (n - len(row))) for row in self.scheme.matrix]
        return jnp.asarray(rows), jnp.asarray(self.scheme.weights)

    def _straightened(self, u: Momentum, v: Momentum) -> Momentum:
        r"""$\mathrm{dexp}^{-1}_u v$ of every link."""
        group = self.space.group
        if not group.element_shape:
            return v
        parts = [_inverse_dexp(u[mu], v[mu], group=group, order=self.scheme.order) for mu in range(len(u))]
        return jnp.stack(parts)


class LoopVelocity(AbstractVelocity):
    r"""A sum of the velocities of `latflow.fields.loop_velocities` with coefficients that depend on time.

    It is equivariant under gauge transformations, translations, rotations and reflections of the lattice, and under
    charge conjugation. Its weights are a velocity on every lattice of the same kinds of paths.

    Args:
        weights: Of every function of the time basis and every kind of paths.
        space: Space of the links.
    """

    weights: Float[Array, "n_times n_kinds"]
    space: GaugeSpace

    @classmethod
    def trivialising(cls, space: GaugeSpace, *, beta: float, n_times: int) -> "LoopVelocity":
        r"""To first order in β the flow from Haar links to $e^{-S}$ of Wilson's action.

        Its divergence is S up to a constant: each of four links of a plaquette contributes κ Re tr P.

        Args:
            space: Space of the links.
            beta: Coupling of Wilson's action.
            n_times: Functions of the time basis.
        """
        group = space.group
        kappa = group.n - (1 / group.n if group.element_shape else 0.0)
        names = path_names(group, space.lattice.shape)
        first = jnp.zeros((n_times, len(names))).at[:, names.index("plaquette")].set(-beta / (4 * group.n * kappa))
        return cls(first, space)

    @override
    def __call__(self, t: Scalar, x: Field) -> tuple[Momentum, Scalar]:
        space = self.space
        names = path_names(space.group, space.lattice.shape)
        coefficients = time_basis(t, len(self.weights)) @ self.weights
        v, divergence = _of_paths(space.links(x), coefficients, names=names, group=space.group)
        return v.reshape(space.tangent_shape), divergence


# For use under `vmap`, where the batch is the last axis ---------------------------------------------------------------


@trailing
def _of_paths(
    links: Array, coefficients: Array, *, names: tuple[str, ...], group: AbstractGroup
) -> tuple[Array, Array]:
    """The velocity of all links and its divergence."""
    found = paths(links, staples_of(links), names=names, group=group)
    sites = tuple(range(len(links)))

    def weighed(parts: list[Array], lead: int) -> Array:
        terms = (_beside(c, part, lead) * part for c, part in zip(coefficients, parts, strict=True))
        return sum(terms, start=jnp.zeros_like(parts[0]))

    v = [group.coefficients(weighed([each[name].matrices for name in names], 2)) for each in found]
    divergence = sum(jnp.sum(weighed([each[name].divergence for name in names], 0), axis=sites) for each in found)
    return jnp.stack(v), jnp.asarray(divergence)


def _beside(c: Array, part: Array, lead: int) -> Array:
    """A number, or one for every example along the last axis, in the shape of an array."""
    return c.reshape(*(1,) * (part.ndim - c.ndim), *c.shape)


@trailing
def _inverse_dexp(u: Array, v: Array, *, group: AbstractGroup, order: int) -> Array:
    a, nested = group.algebra(u), group.algebra(v)
    out = nested
    for k in range(1, max(2, order - 1)):
        nested = multiply(a, nested) - multiply(nested, a)
        if k in _BERNOULLI:
            out = out + _BERNOULLI[k] * nested
    return group.coefficients(out)
