r"""Velocities of continuous flows on lattices.

A site network reads the field at its own site and context channels, convolutions of features of the field whose kernels
vanish at distance zero. The velocity at a site therefore depends on the field there through the network alone, and the
divergence is a sum over sites of one partial derivative, in closed form.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow import fourier
from latflow._typing import PRNGKey, Scalar
from latflow.bijections.ode.continuous import AbstractVelocity
from latflow.lattice import Lattice
from latflow.randomness import pinned, split

# Width of a bell of the time basis in units of the distance between their centres.
_TIME_WIDTH = 0.83
_KERNEL_SCALE = 0.3


class LatticeVelocity(AbstractVelocity):
    r"""A velocity with the symmetries of the lattice that is odd in the field.

    With features $f_0=\phi$, $f_m=\phi/(1+\omega_m^2\phi^2)$, symmetric kernels $K_{rm}$ without the point zero and
    context $u_r=\sum_mK_{rm}*f_m$,

    $$v_x=(\kappa*\phi)_x+\sum_hw_h\left[\tanh(z_{hx}+b_h)+\tanh(z_{hx}-b_h)\right],\qquad
    z_{hx}=a_h\phi_x+\sum_rc_{hr}u_{rx}.$$

    All weights but $\omega$ depend on time through a few smooth functions, the first axis of every array. Kernels are
    stored by displacement, so the same weights are a velocity on every lattice of the same dimension.

    Args:
        frequencies: $\omega_m$.
        linear: $\kappa$ by displacement.
        kernel: $K_{rm}$ by displacement, without zero.
        own: $a_h$.
        context: $c_{hr}$.
        offset: $b_h$.
        weight: $w_h$.
        lattice: Any extents.
        radius: Largest displacement of a kernel in every direction.

    References:
        Divergence by networks that do not read their own site except by one path: arXiv:1912.03579. Continuous flows
        of a lattice field with its symmetries: arXiv:2207.00283.
    """

    frequencies: Float[Array, " n_nonlinear"]
    linear: Float[Array, "n_times n_displacements"]
    kernel: Float[Array, "n_times n_contexts n_features n_hollow"]
    own: Float[Array, "n_times n_hidden"]
    context: Float[Array, "n_times n_hidden n_contexts"]
    offset: Float[Array, "n_times n_hidden"]
    weight: Float[Array, "n_times n_hidden"]
    lattice: Lattice = eqx.field(static=True)
    radius: int = eqx.field(static=True)

    @classmethod
    def create(
        cls,
        key: PRNGKey,
        lattice: Lattice,
        *,
        n_contexts: int = 4,
        n_features: int = 3,
        n_hidden: int = 16,
        n_times: int = 4,
        radius: int = 3,
        dtype: str | jnp.dtype = "float32",
    ) -> "LatticeVelocity":
        """An untrained velocity, zero everywhere and the same at all times.

        Args:
            key: Randomness of the weights.
            lattice: Any extents.
            n_contexts: Context channels.
            n_features: Features, the field itself included.
            n_hidden: Hidden units of the site network.
            n_times: Functions of the time basis.
            radius: Largest displacement of a kernel in every direction.
            dtype: Precision of weights and arithmetic.
        """
        n_displacements = len(fourier.displacements(lattice.ndim, radius))
        kernel_key, own_key, context_key = split(key, 3)
        kernel = jax.random.normal(pinned(kernel_key), (n_contexts, n_features, n_displacements - 1))

        def steady(values: Float[Array, "*shape"]) -> Float[Array, "n_times *shape"]:
            return jnp.broadcast_to(values, (n_times, *values.shape)).astype(dtype)

        return cls(
            frequencies=jnp.linspace(1.0, 3.0, n_features - 1).astype(dtype),
            linear=steady(jnp.zeros(n_displacements)),
            kernel=steady(_KERNEL_SCALE / math.sqrt(n_features) * kernel),
            own=steady(jax.random.normal(pinned(own_key), (n_hidden,))),
            context=steady(jax.random.normal(pinned(context_key), (n_hidden, n_contexts))),
            offset=steady(jnp.linspace(0.0, 1.5, n_hidden)),
            weight=steady(jnp.zeros(n_hidden)),
            lattice=lattice,
            radius=radius,
        )

    @override
    def __call__(self, t: Scalar, x: Float[Array, "*sites"]) -> tuple[Float[Array, "*sites"], Scalar]:
        at = time_basis(t, len(self.weight)).astype(self.weight.dtype)
        phi = x.astype(self.weight.dtype)
        context, linear, constant = self._convolve(at, phi)
        # Channels come last: every sum over channels is then one matrix product, of a whole batch under `vmap`.
        own, weight = at @ self.own, at @ self.weight
        mixing = jnp.concatenate([own[None], jnp.tensordot(at, self.context, 1).T])
        argument = jnp.concatenate([phi.reshape(1, -1), context]).T @ mixing
        odd, slope = _bump(argument, at @ self.offset)
        velocity = linear + odd @ weight
        divergence = jnp.sum(slope @ (weight * own)) + constant
        return velocity.reshape(x.shape).astype(x.dtype), divergence.astype(x.dtype)

    def _convolve(
        self, at: Float[Array, " n_times"], phi: Float[Array, "*sites"]
    ) -> tuple[Float[Array, "n_contexts volume"], Float[Array, " volume"], Scalar]:
        """Context channels, the linear term and its divergence, sites in row-major order."""
        table = fourier.kernels(self.lattice, self.radius).reshape(-1, phi.size)
        centres = table.mean(axis=1)
        kernels = jnp.asarray(table, phi.dtype)
        hollow = jnp.asarray((table - centres[:, None])[1:], phi.dtype)
        coefficients = at @ self.linear
        eigenvalues = jnp.tensordot(jnp.tensordot(at, self.kernel, 1), hollow, 1)
        features = fourier.to_momentum(self._features(phi), self.lattice).reshape(-1, phi.size)
        mixed = jnp.sum(eigenvalues * jnp.broadcast_to(features[None], eigenvalues.shape), axis=1)
        modes = jnp.concatenate([mixed, (coefficients @ kernels * features[0])[None]])
        fields = fourier.from_momentum(modes.reshape(-1, *phi.shape), self.lattice).reshape(-1, phi.size)
        return fields[:-1], fields[-1], jnp.dot(coefficients, jnp.asarray(centres, phi.dtype)) * phi.size

    def _features(self, phi: Float[Array, "*sites"]) -> Float[Array, "n_features *sites"]:
        phi = phi[None]
        squares = (
            jnp.broadcast_to(
                self.frequencies.reshape(-1, *(1,) * (phi.ndim - 1)), (len(self.frequencies), *phi.shape[1:])
            )
            ** 2
        )
        return jnp.concatenate([phi, phi / (1 + squares * phi**2)])


def _bump(z: Float[Array, "n h"], b: Float[Array, " h"]) -> tuple[Float[Array, "n h"], Float[Array, "n h"]]:
    r"""$\tanh(z+b)+\tanh(z-b)$ and its slope in z, by one tanh and one division.

    With $T=\tanh z$ and $\tau=\tanh b$ they are $2(1-\tau^2)Tu$ and $2(1-\tau^2)(1-T^2)u(2u-1)$, $u=1/(1-\tau^2T^2)$.
    """
    complement = jnp.broadcast_to(1 / jnp.cosh(b) ** 2, z.shape)
    hyperbolic = jnp.tanh(z)
    even = 1 - hyperbolic**2
    u = 1 / (complement + (1 - complement) * even)
    return 2 * complement * hyperbolic * u, 2 * complement * even * u * (2 * u - 1)


def time_basis(t: Scalar, n: int) -> Float[Array, " n"]:
    """The time basis: bells of equal width around equidistant centres, divided by their sum."""
    centres = jnp.arange(n) / max(n - 1, 1)
    bells = jnp.exp(-0.5 * ((t - centres) * (n - 1) / _TIME_WIDTH) ** 2)
    return bells / jnp.sum(bells)
