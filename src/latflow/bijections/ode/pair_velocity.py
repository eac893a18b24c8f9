r"""Velocities of particles along gradients of learned many-body potentials, with a closed divergence.

With radial functions $a_h(r)$ of the soft distance $r_{ij}=\sqrt{|x_i-x_j|^2+\delta^2}$ and the sums over neighbours
$u_{ih}=\sum_{j\ne i}a_h(r_{ij})$ the velocity is $v=\nabla\Phi$ of

$$\Phi(t,x)=\tfrac12\kappa\sum_i|x_i-\bar x|^2+\sum_{i<j}f(r_{ij})+\sum_{ih}w_h\tanh(u_{ih}+b_h)+
\sum_gW_g\tanh(U_g+B_g),\qquad U_g=\sum_{i<j}A_g(r_{ij}).$$

It commutes with permutations, rotations, mirrors and translations, and keeps the mean. Every ∇Φ and ΔΦ is a sum over
pairs: with $\phi'=\phi'(u)$,

$$\Delta\tanh(u+b)=\phi'\Delta u+\phi''|\nabla u|^2.$$

Radial functions are sums of bells in r, whose coefficients, like all weights, depend on time.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.bijections.ode.continuous import AbstractVelocity
from latflow.bijections.ode.velocities import time_basis
from latflow.randomness import pinned, split


class PairVelocity(AbstractVelocity):
    """See this module.

    Args:
        radial: Coefficients of the bells in f, then of all $a_h$, then of all $A_g$.
        offsets: $b_h$ and $B_g$.
        weights: $w_h$ and $W_g$.
        strain: κ.
        n_local: How many $a_h$ there are.
        reach: Bells stand at equal distances from zero to here.
        softness: δ.
    """

    radial: Float[Array, "n_times n_bells n_radial"]
    offsets: Float[Array, "n_times n_gates"]
    weights: Float[Array, "n_times n_gates"]
    strain: Float[Array, " n_times"]
    n_local: int = eqx.field(static=True)
    reach: float = eqx.field(static=True)
    softness: float = eqx.field(static=True)

    @classmethod
    def create(
        cls,
        key: PRNGKey,
        *,
        n_local: int = 8,
        n_total: int = 8,
        n_bells: int = 16,
        n_times: int = 4,
        reach: float = 8.0,
        softness: float = 0.1,
        dtype: str | jnp.dtype = "float64",
    ) -> "PairVelocity":
        """An untrained velocity, zero everywhere.

        Args:
            key: Randomness of the radial functions.
            n_local: Radial functions that are summed about every particle.
            n_total: Radial functions that are summed over all pairs.
            n_bells: Bells of a radial function.
            n_times: Functions of the time basis.
            reach: Distance at which the last bell stands.
            softness: Distance δ below which forces vanish linearly.
            dtype: Precision of weights and arithmetic.
        """
        radial_key, offset_key = split(key, 2)
        n_gates = n_local + n_total
        radial = 0.5 * jax.random.normal(pinned(radial_key), (n_bells, n_gates))
        offsets = jax.random.normal(pinned(offset_key), (n_gates,))

        def steady(values: Float[Array, "*shape"]) -> Float[Array, "n_times *shape"]:
            return jnp.broadcast_to(values, (n_times, *values.shape)).astype(dtype)

        return cls(
            radial=steady(jnp.concatenate([jnp.zeros((n_bells, 1)), radial], axis=1)),
            offsets=steady(offsets),
            weights=steady(jnp.zeros(n_gates)),
            strain=jnp.zeros(n_times, dtype),
            n_local=n_local,
            reach=reach,
            softness=softness,
        )

    @override
    def __call__(self, t: Scalar, x: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Scalar]:
        at = time_basis(t, len(self.strain)).astype(self.strain.dtype)
        strain, offsets, weights = at @ self.strain, at @ self.offsets, at @ self.weights
        both, signed = (jnp.asarray(table, at.dtype) for table in _incidence(len(x)))
        apart = signed.T @ x.astype(at.dtype)
        pairs = self._pairs(jnp.tensordot(at, self.radial, 1), apart)
        n, n_dims, k = len(x), x.shape[1], self.n_local + 1

        local = _Gates.of(both @ pairs.values[:, 1:k], offsets[None, : k - 1], weights[None, : k - 1])
        total = _Gates.of(jnp.sum(pairs.values[:, k:], axis=0), offsets[k - 1 :], weights[k - 1 :])
        # how much every radial function counts at every pair: once, by the gates of both ends, by those of the whole
        counted = jnp.concatenate(
            [
                jnp.ones((len(apart), 1), at.dtype),
                both.T @ local.slopes,
                jnp.broadcast_to(total.slopes, (len(apart), len(total.slopes))),
            ],
            axis=1,
        )
        pull = jnp.sum(counted * pairs.pulls, axis=1)
        velocity = signed @ (pull[:, None] * apart)
        # gradients of the sums with respect to the particle itself; of one over all pairs these are all there are
        own = jnp.tensordot(signed, pairs.pulls[:, 1:, None] * apart[:, None, :], 1)
        squares = jnp.sum(own**2, axis=2)
        bent = jnp.sum(local.bends * (both @ pairs.squares[:, 1:k] + squares[:, : k - 1]))
        bent = bent + jnp.sum(total.bends * jnp.sum(squares[:, k - 1 :], axis=0))
        divergence = 2 * jnp.sum(counted * pairs.laplacians) + bent + strain * n_dims * (n - 1)
        velocity = velocity + strain * (x - jnp.mean(x, axis=0, keepdims=True)).astype(at.dtype)
        return velocity.astype(x.dtype), divergence.astype(x.dtype)

    def _pairs(self, radial: Float[Array, "n_bells n_radial"], apart: Float[Array, "p d"]) -> "_Pairs":
        """All radial functions of every pair, with what their derivatives need."""
        n_bells = len(radial)
        width = self.reach / (n_bells - 1)
        centres = jnp.linspace(0.0, self.reach, n_bells).astype(radial.dtype)
        square = jnp.sum(apart**2, axis=1)
        soft = jnp.sqrt(square + self.softness**2)
        z = (soft[:, None] - centres[None]) / width
        bell = jnp.exp(-0.5 * z**2)
        values, slopes, bends = (
            bell @ radial,
            (-z * bell) @ radial / width,
            ((z**2 - 1) * bell) @ radial / width**2,
        )
        ratio = (square / soft**2)[:, None]
        pulls = slopes / soft[:, None]
        laplacians = bends * ratio + pulls * (apart.shape[1] - ratio)
        return _Pairs(values, pulls, slopes**2 * ratio, laplacians)


class _Pairs(eqx.Module):
    """Of every pair and radial function: value, a'(r)/r, the square of its gradient and its Laplacian at one end."""

    values: Float[Array, "p n_radial"]
    pulls: Float[Array, "p n_radial"]
    squares: Float[Array, "p n_radial"]
    laplacians: Float[Array, "p n_radial"]


class _Gates(eqx.Module):
    """First and second derivative of w tanh(u + b) in u."""

    slopes: Float[Array, "*n n_gates"]
    bends: Float[Array, "*n n_gates"]

    @classmethod
    def of(
        cls, u: Float[Array, "*n n_gates"], b: Float[Array, "*one n_gates"], w: Float[Array, "*one n_gates"]
    ) -> "_Gates":
        """At the sums u."""
        value = jnp.tanh(u + b)
        slope = w * (1 - value**2)
        return cls(slope, -2 * value * slope)


def _incidence(n: int) -> tuple[Float[np.ndarray, "n p"], Float[np.ndarray, "n p"]]:
    """Which particles a pair i < j has: 1 for both; 1 for i and −1 for j."""
    first, second = np.array(list(itertools.combinations(range(n), 2))).T
    one, other = np.eye(n)[:, first], np.eye(n)[:, second]
    return one + other, one - other
