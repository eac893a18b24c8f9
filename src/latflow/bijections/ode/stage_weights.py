"""The weights of a `LatticeVelocity` at given times, for many draws at once.

The draws are the last axis of every array, so that a sum over sites or channels is a matrix product with the draws as
its columns.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow import fourier
from latflow._typing import Scalar
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.velocities import LatticeVelocity, time_basis

Draws = Float[Array, "volume draws"]
Channels = Float[Array, "_ volume draws"]


class StageWeights(NamedTuple):
    r"""The weights of a velocity at one time, or at all times of an integration with two axes (step, stage) in front.

    Attributes:
        linear: Eigenvalues of $\kappa$.
        kernels: Eigenvalues of $K_{rm}$ less their centre.
        constant: Divergence of the linear term.
        mixing: $a_h$ and $c_{hr}$, the matrix from inputs to hidden units.
        square: $\tau_h^2$. The cotangent of this entry holds what comes by `complement` as well.
        complement: $1-\tau_h^2$, accurate where it is small.
        weight: $w_h$.
        squares: $\omega_m^2$.
    """

    linear: Float[Array, "*times volume"]
    kernels: Float[Array, "*times n_contexts n_features volume"]
    constant: Float[Array, "*times"]
    mixing: Float[Array, "*times n_hidden n_inputs"]
    square: Float[Array, "*times n_hidden"]
    complement: Float[Array, "*times n_hidden"]
    weight: Float[Array, "*times n_hidden"]
    squares: Float[Array, "*times n_nonlinear"]


def stage_weights(velocity: LatticeVelocity, flow: ContinuousFlow) -> StageWeights:
    """The weights at the times of all stages of all steps of `flow`; results depend on parameters only through them."""
    times = jnp.asarray(np.add.outer(np.arange(flow.n_steps), flow.scheme.nodes) / flow.n_steps)
    return jax.vmap(jax.vmap(lambda t: weights_at(velocity, t)))(times)


def weights_at(velocity: LatticeVelocity, t: Scalar) -> StageWeights:
    """The weights at one time."""
    dtype = velocity.weight.dtype
    at = time_basis(t, len(velocity.weight)).astype(dtype)
    table = fourier.kernels(velocity.lattice, velocity.radius).reshape(-1, velocity.lattice.volume)
    centres = table.mean(axis=1)
    hollow = jnp.asarray((table - centres[:, None])[1:], dtype)
    linear, offset = at @ velocity.linear, at @ velocity.offset
    mixing = jnp.concatenate([(at @ velocity.own)[:, None], jnp.tensordot(at, velocity.context, 1)], axis=1)
    return StageWeights(
        linear=linear @ jnp.asarray(table, dtype),
        kernels=jnp.tensordot(jnp.tensordot(at, velocity.kernel, 1), hollow, 1),
        constant=jnp.dot(linear, jnp.asarray(centres, dtype)) * velocity.lattice.volume,
        mixing=mixing,
        square=jnp.tanh(offset) ** 2,
        complement=jax.lax.stop_gradient(1 / jnp.cosh(offset) ** 2),
        weight=at @ velocity.weight,
        squares=velocity.frequencies**2,
    )


def at_stage(weights: StageWeights, i: int) -> StageWeights:
    """One entry of the first axis."""
    return StageWeights(*(array[i] for array in weights))


def hidden(at: StageWeights, inputs: Channels) -> tuple[Channels, Channels]:
    """T and u of the hidden units."""
    hyperbolic = jnp.tanh(product(at.mixing, inputs))
    return hyperbolic, 1 / (column(at.complement) + column(at.square) * (1 - hyperbolic**2))


def product(matrix: Float[Array, "n_out n_in"], x: Channels) -> Channels:
    """A matrix that acts on the channels."""
    return (matrix @ flat(x)).reshape(-1, *x.shape[1:])


def flat(x: Channels) -> Float[Array, "_ n"]:
    """Sites and draws as one axis."""
    return x.reshape(x.shape[0], -1)


def column(x: Float[Array, " n"]) -> Float[Array, "n 1 1"]:
    """One number per channel, to be multiplied with channels."""
    return x[:, None, None]
