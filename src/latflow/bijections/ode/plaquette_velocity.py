r"""Velocities of U(1) links in two dimensions that move every plaquette by functions of its own angle, or nearly so.

The velocity of links is $v=\mathrm{curl}^T\Delta^{-1}g$ of a function g on plaquettes, with the lattice Laplacian
$\Delta=\mathrm{curl}\,\mathrm{curl}^T$: a plaquette moves by g less its mean over the lattice. The sum of all of them
stays, and with it the charge. Here $g=\sum_{mn}c_{mn}(t)\,(\Delta/8)^m\sin n\theta_P$: for m = 0 each plaquette for
itself, for m = 1, 2 in contrast to its neighbours. With $p_m=\frac1V\sum_{k\ne0}(\hat k^2/8)^m$ the divergence is
$\sum_{mn}c_{mn}\,p_m\sum_Pn\cos n\theta_P$.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Momentum, Scalar
from latflow.bijections.ode.linear import AbstractLinearVelocity
from latflow.bijections.ode.velocities import time_basis
from latflow.fields.plaquette_angles import curl, curl_transposed, require_plane_of_angles
from latflow.fields.spaces import GaugeSpace
from latflow.fourier import from_momentum, momentum_squared, to_momentum
from latflow.lattice import Lattice


class PlaquetteVelocity(AbstractLinearVelocity):
    r"""See this module. Weights mean the same on every lattice.

    It is equivariant under gauge transformations, translations, rotations and reflections of the lattice, and under
    charge conjugation.

    Args:
        weights: $c_{mn}$ of every function of the time basis, all n of m = 0 first.
        space: Links of U(1) in two dimensions.
        n_harmonics: Largest n.
    """

    weights: Float[Array, "n_times n_kinds"]
    space: GaugeSpace
    n_harmonics: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        require_plane_of_angles("flow.space", self.space)

    @classmethod
    def resting(
        cls, space: GaugeSpace, *, n_times: int, n_harmonics: int = 6, n_powers: int = 3
    ) -> "PlaquetteVelocity":
        """Zero: the flow along it is the identity.

        Args:
            space: Links of U(1) in two dimensions.
            n_times: Functions of the time basis.
            n_harmonics: Largest n.
            n_powers: How many m there are, from 0 on.
        """
        return cls(jnp.zeros((n_times, n_powers * n_harmonics)), space, n_harmonics)

    def on(self, lattice: Lattice) -> "PlaquetteVelocity":
        """The same weights on another lattice."""
        return PlaquetteVelocity(self.weights, GaugeSpace(lattice, self.space.group), self.n_harmonics)

    @override
    def __call__(self, t: Scalar, x: Field) -> tuple[Momentum, Scalar]:
        sines, cosines = self._harmonics(x)
        c = (time_basis(t, len(self.weights)) @ self.weights).reshape(-1, self.n_harmonics)
        sources = to_momentum(jnp.tensordot(c, sines, 1), self.space.lattice)
        potential = from_momentum(jnp.sum(self._over_laplacian * sources, axis=0), self.space.lattice)
        return curl_transposed(potential), jnp.sum(self._shares[:, None] * c * cosines[None])

    @override
    def transport(self, force: Momentum, x: Field) -> Float[Array, " n_kinds"]:
        lattice = self.space.lattice
        sines, cosines = self._harmonics(x)
        # curl and the inverse of the Laplacian are moved from the velocity to the force
        there = from_momentum(self._over_laplacian * to_momentum(curl(force), lattice)[None], lattice)
        along = jnp.tensordot(there, sines, ((-2, -1), (-2, -1)))
        return (self._shares[:, None] * cosines[None] - along).reshape(-1)

    def _harmonics(self, x: Field) -> tuple[Float[Array, "n *sites"], Float[Array, " n"]]:
        r"""$\sin n\theta_P$, and $\sum_Pn\cos n\theta_P$."""
        n = jnp.arange(1, self.n_harmonics + 1)[:, None, None]
        angles = n * curl(x)[None]
        return jnp.sin(angles), jnp.sum(n * jnp.cos(angles), axis=(1, 2))

    @property
    def _over_laplacian(self) -> Float[Array, "n_powers *momenta"]:
        r"""$(\hat k^2/8)^m/\hat k^2$ without k = 0."""
        squared = momentum_squared(self.space.lattice)
        powers = np.arange(self.weights.shape[1] // self.n_harmonics)[:, None, None]
        safe = np.where(squared > 0, squared, 1.0)
        return jnp.asarray(np.where(squared > 0, (safe / 8) ** powers / safe, 0.0))

    @property
    def _shares(self) -> Float[Array, " n_powers"]:
        """p_m of this module."""
        return jnp.mean(self._over_laplacian * momentum_squared(self.space.lattice)[None], axis=(1, 2))
