r"""The path gradient of a continuous flow with a `LatticeVelocity`, for many draws at once and derived by hand.

With $a=\nabla_x[\log q+S]$ at the end of the flow, the path gradient is $\int a^T\partial_\theta v\,dt$, where a is
carried back by $\dot a=-(\partial_xv)^Ta$. The slope of log q that a begins with is carried forward beside the field,
$\dot s=-(\partial_xv)^Ts-\partial_x\mathrm{div}\,v$ from the slope of the prior: no pass back through the flow is
needed for it, and the divergence is never differentiated with respect to a parameter.

Only this module has a batch axis; it is the last one. Every sum over sites or channels is then a matrix product with
the draws as its columns. With $T=\tanh z$, $\tau=\tanh b$ and $u=1/(1-\tau^2T^2)$ a hidden unit is
$\tanh(z+b)+\tanh(z-b)=2(1-\tau^2)Tu$, and all its derivatives are polynomials in T and u.

References:
    Score along the flow: arXiv:2207.08219, eq. (11) for the discrete case.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow import fourier
from latflow.bijections.ode.continuous import ContinuousFlow, combine
from latflow.bijections.ode.stage_weights import (
    Channels,
    Draws,
    StageWeights,
    at_stage,
    column,
    flat,
    hidden,
    product,
)
from latflow.lattice import Lattice

_Carry = tuple[Draws, Float[Array, " draws"], Draws]


class _Record(NamedTuple):
    """What the backward pass needs of a stage: the inputs of the network and the features by momentum."""

    inputs: Channels
    features: Channels


def scored_forward(
    flow: ContinuousFlow, lattice: Lattice, weights: StageWeights, x: Draws, score: Draws
) -> tuple[_Carry, list[_Record]]:
    """The end of the flow, log-determinants and the slope of the log-density there.

    Args:
        flow: Its steps and scheme.
        lattice: Lattice of the fields.
        weights: `stage_weights` of the flow.
        x: Fields at the start, one draw per column.
        score: Slope of the log-density at the start.

    Returns:
        Fields, log-determinants and slopes at the end; and what `pull_back` needs.
    """
    step, dtype = 1.0 / flow.n_steps, weights.weight.dtype

    def advance(
        carry: tuple[Array, Array, Array], at: StageWeights
    ) -> tuple[tuple[Array, Array, Array], list[_Record]]:
        slopes: list[_Carry] = []
        records: list[_Record] = []
        for i, row in enumerate(flow.scheme.matrix):
            y, _, s = _moved(carry, step, row, slopes)
            slope, record = _scored_velocity(at_stage(at, i), y.astype(dtype), s.astype(dtype), lattice)
            slopes.append(jax.tree.map(lambda value: value.astype(x.dtype), slope))
            records.append(record)
        return _moved(carry, step, flow.scheme.weights, slopes), records

    return jax.lax.scan(advance, (x, jnp.zeros(x.shape[-1], x.dtype), score), weights)


def pull_back(
    flow: ContinuousFlow, lattice: Lattice, weights: StageWeights, records: list[_Record], adjoint: Draws
) -> tuple[Draws, StageWeights]:
    """A slope at the end of the flow carried back to its start, and the gradient with respect to the weights.

    It is the exact transpose of the discrete map, summed over draws.
    """
    step, dtype = 1.0 / flow.n_steps, weights.weight.dtype
    matrix, n = flow.scheme.matrix, len(flow.scheme.weights)

    def retreat(adjoint: Draws, there: tuple[StageWeights, list[_Record]]) -> tuple[Draws, StageWeights]:
        at, records = there
        pulled: list[Draws] = []
        cotangents: list[StageWeights] = []
        for i in reversed(range(n)):
            # the later stages that read stage i, the last one first as in `pulled`
            later = combine(tuple(matrix[j][i] for j in reversed(range(i + 1, n))), pulled) if pulled else 0.0
            cotangent = step * (flow.scheme.weights[i] * adjoint + later)
            back, contribution = _transposed_velocity(at_stage(at, i), records[i], cotangent.astype(dtype), lattice)
            pulled.append(back.astype(adjoint.dtype))
            cotangents.append(contribution)
        return adjoint + sum(pulled), jax.tree.map(lambda *stages: jnp.stack(stages), *reversed(cotangents))

    return jax.lax.scan(retreat, adjoint, (weights, records), reverse=True)


def _moved(carry: _Carry, step: float, row: tuple[float, ...], slopes: list[_Carry]) -> _Carry:
    if not row:
        return carry
    x, log_det, score = (
        value + step * combine(row, list(column))
        for value, column in zip(carry, zip(*slopes, strict=True), strict=True)
    )
    return x, log_det, score


def _scored_velocity(at: StageWeights, phi: Draws, score: Draws, lattice: Lattice) -> tuple[_Carry, _Record]:
    r"""v, div v and $\dot s$, and a record."""
    inputs, linear, features = _inputs(at, phi, lattice)
    hyperbolic, u = hidden(at, inputs)
    own, scale = at.mixing[:, 0], 2 * at.complement * at.weight
    odd = hyperbolic * u
    even = (1 - hyperbolic**2) * u
    slope = even * (2 * u - 1)
    bend = odd * even * (2 - column(at.complement) * (4 * u - 1))
    velocity = linear + product(scale[None], odd)[0]
    divergence = jnp.sum(product((scale * own)[None], slope)[0], axis=0) + at.constant
    cotangent = column(scale) * (score[None] * slope + column(2 * own) * bend)
    back, _, _ = _inputs_transposed(at, product(at.mixing.T, cotangent), score, phi, lattice)
    return (velocity, divergence, -back), _Record(inputs, features)


def _transposed_velocity(
    at: StageWeights, record: _Record, adjoint: Draws, lattice: Lattice
) -> tuple[Draws, StageWeights]:
    """The transposed derivative of v with respect to the field and to the weights, applied to `adjoint`."""
    inputs, features = record
    hyperbolic, u = hidden(at, inputs)
    scale = 2 * at.complement * at.weight
    odd, even = hyperbolic * u, (1 - hyperbolic**2) * u
    cotangent = column(scale) * (adjoint[None] * even * (2 * u - 1))
    back, modes, squares = _inputs_transposed(at, product(at.mixing.T, cotangent), adjoint, inputs[0], lattice)
    return back, StageWeights(
        linear=jnp.sum(modes[-1] * features[0], axis=1),
        kernels=jnp.einsum("rkb,mkb->rmk", modes[:-1], features),
        constant=jnp.zeros_like(at.constant),
        mixing=flat(cotangent) @ flat(inputs).T,
        square=-2 * at.weight * (flat(odd * even) @ adjoint.ravel()),
        complement=jnp.zeros_like(at.complement),
        weight=2 * at.complement * (flat(odd) @ adjoint.ravel()),
        squares=squares,
    )


def _inputs(at: StageWeights, phi: Draws, lattice: Lattice) -> tuple[Channels, Draws, Channels]:
    """Inputs of the network (the field and its contexts), the linear term, and the features by momentum."""
    features = jnp.concatenate([phi[None], phi[None] / (1 + column(at.squares) * phi[None] ** 2)])
    features = fourier.transform_draws(features, lattice)
    n_contexts, n_features, _ = at.kernels.shape
    modes = [
        sum((at.kernels[r, m][:, None] * features[m] for m in range(n_features)), start=jnp.zeros_like(phi))
        for r in range(n_contexts)
    ]
    fields = fourier.transform_draws(jnp.stack([*modes, at.linear[:, None] * features[0]]), lattice, inverse=True)
    return jnp.concatenate([phi[None], fields[:-1]]), fields[-1], features


def _inputs_transposed(
    at: StageWeights, cotangent: Channels, linear: Draws, phi: Draws, lattice: Lattice
) -> tuple[Draws, Channels, Float[Array, " n_nonlinear"]]:
    r"""The transposed derivative of `_inputs`: cotangent of φ, its parts by momentum, and that of $\omega_m^2$."""
    modes = fourier.transform_draws(jnp.concatenate([cotangent[1:], linear[None]]), lattice)
    n_contexts, n_features, _ = at.kernels.shape
    mixed = [
        sum((at.kernels[r, m][:, None] * modes[r] for r in range(n_contexts)), start=jnp.zeros_like(phi))
        for m in range(n_features)
    ]
    mixed[0] = mixed[0] + at.linear[:, None] * modes[-1]
    fields = fourier.transform_draws(jnp.stack(mixed), lattice, inverse=True)
    q = 1 / (1 + column(at.squares) * phi[None] ** 2)
    back = cotangent[0] + fields[0] + jnp.sum(fields[1:] * (2 * q - 1) * q, axis=0)
    return back, modes, -jnp.sum(fields[1:] * phi[None] ** 3 * q**2, axis=(1, 2))
