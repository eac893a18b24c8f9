r"""Velocities of spins along sums of other spins, equivariant under O(N) and the lattice, with a closed divergence.

With the sums $H_k(x)=\sum_{r\in k}n_{x+r}$ over displacements $r\ne0$ that lattice symmetries relate, $h=H_1$ the one
over nearest neighbours, z of them, and $P_x$ the projection on the tangent space at $n_x$,

$$v_x=\sum_{kij}c_{kij}(t)\,a_x^ib_x^j\,P_xH_k(x),\qquad a_x=n_x\cdot h_x/z,\quad b_x=h_x^2/z^2.$$

$H_k(x)$ does not contain $n_x$. The divergence is therefore a sum over sites of

$$\sum c_{kij}\left[-(N-1)\,a^ib^j\,n\cdot H_k+\tfrac1z\,i\,a^{i-1}b^j\,(h\cdot H_k-(n\cdot h)(n\cdot H_k))\right].$$

The kind of nearest neighbours with i = j = 0 is the trivialising map of the action to first order in β.
"""

import itertools

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow import fourier
from latflow._typing import Scalar
from latflow.bijections.ode.linear import AbstractLinearVelocity
from latflow.bijections.ode.velocities import time_basis
from latflow.fields.compact import SphereSpace, normalised
from latflow.lattice import Lattice


class SpinVelocity(AbstractLinearVelocity):
    r"""See this module. Weights mean the same on every lattice of the same dimension.

    $H_k$ is divided by the root of the number of its displacements. Arrays that have left the spheres a little, between
    the stages of an integrator, are normalised first; what comes out is tangent at the normalised spins.

    Args:
        weights: $c_{kij}$ of every function of the time basis, all k of the first (i, j) first.
        space: Unit vectors on a lattice.
        radius: Largest displacement in every direction.
        degree: Largest i + j.
    """

    weights: Float[Array, "n_times n_kinds"]
    space: SphereSpace
    radius: int = eqx.field(static=True)
    degree: int = eqx.field(static=True)

    @classmethod
    def trivialising(
        cls, space: SphereSpace, *, beta: float | Scalar, n_times: int, radius: int = 3, degree: int = 2
    ) -> "SpinVelocity":
        r"""To first order in β the flow from uniform spins to $e^{-S}$ of a spin model; at β = 0 the identity.

        Its divergence is S up to a constant: each of the two spins of a bond contributes $-(N-1)n\cdot n'$ to it.

        Args:
            space: Unit vectors on a lattice.
            beta: Coupling.
            n_times: Functions of the time basis.
            radius: Largest displacement in every direction.
            degree: Largest i + j.
        """
        ndim = len(space.sites)
        n_kernels = len(fourier.displacements(ndim, radius)) - 1
        weights = jnp.zeros((n_times, n_kernels * len(_powers(degree))))
        first = beta * (2 * ndim) ** 0.5 / (2 * space.dimension)
        return cls(weights.at[:, 0].set(first), space, radius, degree)

    def on(self, lattice: Lattice) -> "SpinVelocity":
        """The same weights on another lattice."""
        return SpinVelocity(self.weights, SphereSpace(self.space.dimension, lattice.shape), self.radius, self.degree)

    @override
    def inside(self, x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
        return normalised(x)

    @override
    def __call__(self, t: Scalar, x: Float[Array, "n *sites"]) -> tuple[Float[Array, "n *sites"], Scalar]:
        x = self.inside(x)
        here = self._local(x)
        c = (time_basis(t, len(self.weights)) @ self.weights).reshape(len(here.factors), -1)
        mixed = jnp.tensordot(c, self._kernels, 1)
        sums = fourier.from_momentum(mixed[:, None] * self._modes(x)[None], self._lattice)
        along = jnp.sum(x[None] * sums, axis=1)
        rising = jnp.sum(here.neighbours[None] * sums, axis=1) - here.own[None] * along
        pulled = jnp.sum(here.factors[:, None] * sums, axis=0)
        inward = jnp.sum(here.factors * along, axis=0)
        divergence = jnp.sum(here.slopes * rising) - self.space.dimension * jnp.sum(inward)
        return pulled - inward[None] * x, divergence

    @override
    def transport(self, force: Float[Array, "*tangent"], x: Float[Array, "n *sites"]) -> Float[Array, " n_kinds"]:
        here, slope = self._local(x), self.space.displace(x, force)
        sums = fourier.from_momentum(self._kernels[:, None] * self._modes(x)[None], self._lattice)
        along = jnp.sum(x[None] * sums, axis=1)
        rising = jnp.sum(here.neighbours[None] * sums, axis=1) - here.own[None] * along
        falling = self.space.dimension * along + jnp.sum(slope[None] * sums, axis=1)
        axes = (tuple(range(1, x.ndim)),) * 2
        return (jnp.tensordot(here.slopes, rising, axes) - jnp.tensordot(here.factors, falling, axes)).reshape(-1)

    def _local(self, x: Float[Array, "n *sites"]) -> "_Local":
        """What the factors are made of."""
        z = 2 * len(self.space.sites)
        kernel = self._kernels[0] * z**0.5
        h = fourier.from_momentum(kernel[None] * self._modes(x), self._lattice)
        own = jnp.sum(x * h, axis=0)
        a, b = own / z, jnp.sum(h**2, axis=0) / z**2
        factors = [a**i * b**j for i, j in _powers(self.degree)]
        slopes = [i * a ** max(i - 1, 0) * b**j / z for i, j in _powers(self.degree)]
        return _Local(h, own, jnp.stack(factors), jnp.stack(slopes))

    def _modes(self, x: Float[Array, "n *sites"]) -> Float[Array, "n *momenta"]:
        return fourier.to_momentum(x, self._lattice)

    @property
    def _lattice(self) -> Lattice:
        return Lattice(self.space.sites)

    @property
    def _kernels(self) -> Float[Array, "n_kernels *momenta"]:
        """Eigenvalues of the sums, without the spin itself where a displacement winds around the lattice."""
        table = fourier.kernels(self._lattice, self.radius)[1:]
        return jnp.asarray(table - table.mean(axis=tuple(range(1, table.ndim)), keepdims=True))


class _Local(eqx.Module):
    """Of every site: the sum of its neighbours, its product with the spin, the factors and their slopes in n·h."""

    neighbours: Float[Array, "n *sites"]
    own: Float[Array, "*sites"]
    factors: Float[Array, "n_powers *sites"]
    slopes: Float[Array, "n_powers *sites"]


def _powers(degree: int) -> list[tuple[int, int]]:
    """(i, j) in the order of their sum."""
    pairs = itertools.product(range(degree + 1), repeat=2)
    return sorted(((i, j) for i, j in pairs if i + j <= degree), key=lambda pair: (sum(pair), pair))
