r"""Continuous flows with a `LatticeVelocity`, integrated for many draws at once at the least cost.

A draw of production evaluates the velocity dozens of times and nothing else counts. Here the draws are the last axis,
every transform is a product of an L × L matrix with all channels and draws as columns, and networks may be in float32
while fields, sums over sites and log-determinants stay float64. Rounding of the networks moves log q by some 1e-5.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow import fourier
from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.ode.continuous import Carry
from latflow.bijections.ode.runge_kutta import RungeKutta
from latflow.bijections.ode.stage_weights import Channels, Draws, StageWeights, hidden, product, weights_at
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.lattice import Lattice

_Batch = Float[Array, "draws *shape"]
_Pair = tuple[Array, Array]
_Image = tuple[_Pair, tuple[bool, bool]]
_Leaves = list[Array]
_Moved = tuple[Draws, Float[Array, " draws"]]
# Rounds by which the inverse of a fitted map is improved.
_ROUNDS = 5
_Slopes = tuple[Float[Array, "stages volume draws"], Float[Array, "stages draws"]]


class FlowOfDraws(AbstractBijection):
    """The map of a `ContinuousFlow`, made for batches: under `jax.vmap` all draws are one computation.

    Drawing, densities and `pulled_back` are meant: it cannot be differentiated in reverse.

    With a `quadrature` the log-det is that of the map as it is computed, as well as the quadrature was fitted, and the
    inverse map undoes it, see `latflow.flows.fitted`.

    Args:
        velocity: Right-hand side; its precision is that of the networks.
        n_steps: Steps of the scheme. No program is compiled anew for another number.
        scheme: Table of coefficients.
        quadrature: What the divergence at every stage of every step counts in the log-det, and a constant as the last
            entry; by default the scheme's own weights.
    """

    velocity: LatticeVelocity
    n_steps: Int[Array, ""]
    quadrature: Float[Array, " n_weights"] | None
    scheme: RungeKutta = eqx.field(static=True)

    def __init__(
        self,
        velocity: LatticeVelocity,
        n_steps: int | Int[Array, ""],
        scheme: RungeKutta,
        quadrature: Float[Array, " n_weights"] | None = None,
    ) -> None:
        self.velocity = velocity
        self.n_steps = jnp.asarray(n_steps)
        self.quadrature = quadrature
        self.scheme = scheme

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return self._integrate(x, backwards=False)

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        return self._integrate(y, backwards=True)

    @override
    def pulled_back(
        self, y: Float[Array, "*shape"], force: Float[Array, "*shape"]
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        """Both by one integration backwards, of the field and of the adjoint equation; log-dets are not needed.

        Right to the error of the scheme: a fitted `quadrature` makes neither better.
        """
        return self._in_batches(functools.partial(_with_gradient, backwards=True), y, force)

    @override
    def pushed_forward(
        self, x: Float[Array, "*shape"], force: Float[Array, "*shape"]
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        """The same along the flow."""
        return self._in_batches(functools.partial(_with_gradient, backwards=False), x, force)

    def _integrate(self, x: Float[Array, "*shape"], *, backwards: bool) -> Carry:
        def of_batch(flow: "FlowOfDraws", x: _Batch) -> tuple[_Batch, Float[Array, " draws"]]:
            columns = x.reshape(len(x), -1).T
            if backwards and flow.quadrature is not None:
                y, log_det = _undone(flow, columns)
            else:
                y, log_det = _integrated(flow, columns, backwards=backwards)
            return y.T.reshape(x.shape), log_det

        return self._in_batches(of_batch, x)

    def _in_batches(self, computed: Callable[..., _Pair], *fields: Float[Array, "*shape"]) -> _Pair:
        """Two arrays for one set of fields; under `jax.vmap` those of all sets by one computation."""
        parts, rest = eqx.partition(self, eqx.is_array)
        # a derivative of what has a rule of its own under `vmap` takes no tree with None in it
        leaves, tree = jax.tree.flatten(parts)

        def of_batch(leaves: _Leaves, *fields: _Batch) -> _Pair:
            return computed(eqx.combine(jax.tree.unflatten(tree, leaves), rest), *fields)

        def of_one(leaves: _Leaves, *fields: Array) -> _Pair:
            return jax.tree.map(lambda leaf: leaf[0], of_batch(leaves, *(x[None] for x in fields)))

        in_batches = custom_vmap(of_one)

        @in_batches.def_vmap
        def _(axis_size: int, batched: list, leaves: _Leaves, *fields: Array) -> _Image:
            flows, *of_fields = batched
            if not any(jax.tree.leaves(batched)):
                return of_one(leaves, *fields), (False, False)
            if any(jax.tree.leaves(flows)):  # several flows at once
                axes = jax.tree.map(lambda each: 0 if each else None, (flows, *of_fields))
                return jax.vmap(of_one, axes)(leaves, *fields), (True, True)
            every = (
                x if mapped else jnp.broadcast_to(x, (axis_size, *x.shape))
                for x, mapped in zip(fields, of_fields, strict=True)
            )
            return of_batch(leaves, *every), (True, True)

        return in_batches(leaves, *fields)


def _integrated(flow: FlowOfDraws, x: Draws, *, backwards: bool) -> _Moved:
    start, step = (1.0, -1.0 / flow.n_steps) if backwards else (0.0, 1.0 / flow.n_steps)
    velocity, scheme = flow.velocity, flow.scheme
    exact = jax.tree.map(lambda leaf: leaf.astype(x.dtype) if eqx.is_inexact_array(leaf) else leaf, velocity)

    n = len(scheme.weights)
    rows, nodes, weights = (table.astype(x.dtype) for table in scheme.arrays())
    quadrature = flow.quadrature

    def advance(i: Int[Array, ""], carry: _Moved) -> _Moved:
        # A loop over stages: a dozen copies of the velocity in one program would take a minute to compile.
        def stage(j: Int[Array, ""], slopes: _Slopes) -> _Slopes:
            y = carry[0] + step * _combined(rows[j], slopes[0])
            at = weights_at(exact, start + step * (i + nodes[j]))
            found = velocity_of_draws(at, y, velocity.lattice, velocity.weight.dtype)
            return jax.tree.map(lambda every, one: every.at[j].set(one), slopes, found)

        slopes = jax.lax.fori_loop(
            0, n, stage, jax.tree.map(lambda leaf: jnp.zeros((n, *leaf.shape), leaf.dtype), carry)
        )
        x, log_det = (value + step * _combined(weights, slope) for value, slope in zip(carry, slopes, strict=True))
        if quadrature is not None:
            log_det = carry[1] + jax.lax.dynamic_slice(quadrature, (n * i,), (n,)) @ slopes[1]
        return x, log_det

    constant = 0.0 if quadrature is None else quadrature[-1]
    return jax.lax.fori_loop(0, flow.n_steps, advance, (x, jnp.full(x.shape[-1], constant, x.dtype)))


def _with_gradient(flow: FlowOfDraws, x: _Batch, force: _Batch, *, backwards: bool) -> tuple[_Batch, _Batch]:
    """Where fields move, and gradients there, with the draws first."""
    moved, gradient = _adjoint(flow, x.reshape(len(x), -1).T, force.reshape(len(x), -1).T, backwards=backwards)
    return moved.T.reshape(x.shape), gradient.T.reshape(x.shape)


def _adjoint(flow: FlowOfDraws, y: Draws, force: Draws, *, backwards: bool) -> tuple[Draws, Draws]:
    r"""Where the field y moves, and the gradient there of an energy less the log-det, from the force at y.

    With S a function of the field at one end and $\dot x=v$, $a=\partial_x[S-\int\partial\cdot v]$ of what is left of
    the way to it obeys $\dot a=-(\partial v)^Ta+\partial(\partial\cdot v)$ (Pontryagin's adjoint equation); seen from
    the other end it is $S+\int\partial\cdot v$ of the way behind, and obeys the same.
    """
    velocity, scheme = flow.velocity, flow.scheme
    start, step = (1.0, -1.0 / flow.n_steps) if backwards else (0.0, 1.0 / flow.n_steps)
    exact = jax.tree.map(lambda leaf: leaf.astype(y.dtype) if eqx.is_inexact_array(leaf) else leaf, velocity)
    n = len(scheme.weights)
    rows, nodes, weights = (table.astype(y.dtype) for table in scheme.arrays())

    def advance(i: Int[Array, ""], carry: Draws) -> Draws:
        def stage(j: Int[Array, ""], slopes: Float[Array, "stages twice draws"]) -> Float[Array, "stages twice draws"]:
            x, a = jnp.split(carry + step * _combined(rows[j], slopes), 2)
            at = weights_at(exact, start + step * (i + nodes[j]))
            of_field = functools.partial(velocity_of_draws, at, lattice=velocity.lattice, dtype=velocity.weight.dtype)
            (slope, divergence), pull = jax.vjp(of_field, x)
            (of_adjoint,) = pull((-a, jnp.ones_like(divergence)))
            return slopes.at[j].set(jnp.concatenate([slope, of_adjoint]))

        slopes = jax.lax.fori_loop(0, n, stage, jnp.zeros((n, *carry.shape), carry.dtype))
        return carry + step * _combined(weights, slopes)

    x, a = jnp.split(jax.lax.fori_loop(0, flow.n_steps, advance, jnp.concatenate([y, force])), 2)
    return x, a


def _undone(flow: FlowOfDraws, y: Draws) -> _Moved:
    """The field that `flow` moves to y, and the log-det of the inverse map there.

    Integration backwards undoes it up to the error of the scheme, a fraction of 10⁻² or less; every further round
    leaves that fraction of what was wrong before.
    """
    plain = FlowOfDraws(flow.velocity, flow.n_steps, flow.scheme)

    def back(y: Draws) -> Draws:
        return _integrated(plain, y, backwards=True)[0]

    def improved(_: Int[Array, ""], x: Draws) -> Draws:
        return x + back(y) - back(_integrated(plain, x, backwards=False)[0])

    x = jax.lax.fori_loop(0, _ROUNDS, improved, back(y))
    return x, -_integrated(flow, x, backwards=False)[1]


def _combined(coefficients: Float[Array, " stages"], slopes: Float[Array, "stages *any"]) -> Float[Array, "*any"]:
    return (coefficients @ slopes.reshape(len(slopes), -1)).reshape(slopes.shape[1:])


def velocity_of_draws(at: StageWeights, x: Draws, lattice: Lattice, dtype: jnp.dtype) -> _Moved:
    """The velocity and its divergence: networks in `dtype`, sums over sites in the precision of x."""
    constant = at.constant
    at = StageWeights(*(array.astype(dtype) for array in at))
    inputs, linear = _inputs(at, x.astype(dtype), lattice)
    hyperbolic, u = hidden(at, inputs)
    own, scale = at.mixing[:, 0], 2 * at.complement * at.weight
    velocity = linear + product(scale[None], hyperbolic * u)[0]
    slope = product((scale * own)[None], (1 - hyperbolic**2) * u * (2 * u - 1))[0]
    return velocity.astype(x.dtype), jnp.sum(slope.astype(x.dtype), axis=0) + constant


def network_slopes(at: StageWeights, x: Draws, lattice: Lattice) -> Channels:
    """Derivatives of the velocity with respect to the argument of every hidden unit at the same site."""
    hyperbolic, u = hidden(at, _inputs(at, x, lattice)[0])
    return (2 * at.complement * at.weight)[:, None, None] * (1 - hyperbolic**2) * u * (2 * u - 1)


def _inputs(at: StageWeights, phi: Draws, lattice: Lattice) -> tuple[Channels, Draws]:
    """Inputs of the network, the field and its contexts, and the linear term of the velocity."""
    squares = [phi, *(phi / (1 + square * phi**2) for square in at.squares)]
    features = _transformed(jnp.stack(squares, axis=1), lattice, inverse=False)
    n_contexts, n_features, _ = at.kernels.shape
    modes = [
        sum((at.kernels[r, m][:, None] * features[:, m] for m in range(n_features)), start=jnp.zeros_like(phi))
        for r in range(n_contexts)
    ]
    fields = _transformed(jnp.stack([*modes, at.linear[:, None] * features[:, 0]], axis=1), lattice, inverse=True)
    return jnp.concatenate([phi[None], jnp.moveaxis(fields[:, :-1], 1, 0)]), fields[:, -1]


def _transformed(
    x: Float[Array, "volume channels draws"], lattice: Lattice, *, inverse: bool
) -> Float[Array, "volume channels draws"]:
    """Every direction in turn is the first axis, is transformed, and becomes the last of the sites."""
    y = x.reshape(*lattice.shape, *x.shape[1:])
    for extent in lattice.shape:
        matrix = fourier.basis(extent).T if inverse else fourier.basis(extent)
        rotated = jnp.asarray(matrix, x.dtype) @ y.reshape(extent, -1)
        y = jnp.moveaxis(rotated.reshape(y.shape), 0, lattice.ndim - 1)
    return y.reshape(x.shape)
