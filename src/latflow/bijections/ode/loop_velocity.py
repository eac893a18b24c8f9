r"""Velocities of links along loops: $v=\sum_kc_k(t)\,v_k$ over the kinds of `latflow.fields.loop_velocities`.

The divergence of every kind is known in closed form, in any dimension and for any group.

References:
    Flows along loops that trivialise an action: arXiv:0907.5491; learned arXiv:2212.08469 and arXiv:2410.13161.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Momentum, Scalar
from latflow.batching import trailing
from latflow.bijections.ode.continuous import AbstractVelocity
from latflow.bijections.ode.velocities import time_basis
from latflow.fields.loop_velocities import path_names, paths, power_of_beta, staples_of, subtraction
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice


class LoopVelocity(AbstractVelocity):
    r"""A sum of the velocities of `latflow.fields.loop_velocities` with coefficients that depend on time.

    Coefficients are weights in units of $(4N\kappa)^{-k}$, k the power of β in which the trivialising map first has the
    kind of paths: weights of order $\beta^k$, one learning rate for all. The plaquette's is −β to first order.

    It is equivariant under gauge transformations, translations, rotations and reflections of the lattice, and under
    charge conjugation. Its weights are a velocity on every lattice of the same kinds of paths.

    Args:
        weights: Of every function of the time basis and every kind of paths.
        space: Space of the links.
        order: Which kinds of paths there are, see `latflow.fields.loop_velocities.path_names`.
    """

    weights: Float[Array, "n_times n_kinds"]
    space: GaugeSpace
    order: int = eqx.field(static=True, default=3)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of paths."""
        return path_names(self.space.group, self.space.lattice.shape, order=self.order)

    @classmethod
    def trivialising(cls, space: GaugeSpace, *, beta: float | Scalar, n_times: int, order: int = 3) -> "LoopVelocity":
        r"""To first order in β the flow from Haar links to $e^{-S}$ of Wilson's action.

        Its divergence is S up to a constant: each of four links of a plaquette contributes κ Re tr P.

        Args:
            space: Space of the links.
            beta: Coupling of Wilson's action.
            n_times: Functions of the time basis.
            order: Which kinds of paths there are.
        """
        names = path_names(space.group, space.lattice.shape, order=order)
        first = jnp.zeros((n_times, len(names))).at[:, names.index("plaquette")].set(-beta)
        return cls(first, space, order)

    def on(self, lattice: Lattice) -> "LoopVelocity":
        """The same weights on another lattice: loops that fit there alone begin with zero, lost ones are left out."""
        found = LoopVelocity.trivialising(
            GaugeSpace(lattice, self.space.group), beta=0.0, n_times=len(self.weights), order=self.order
        )
        kept = [name for name in found.names if name in self.names]
        places, of = (jnp.asarray([each.names.index(name) for name in kept]) for each in (found, self))
        weights = found.weights.astype(self.weights.dtype).at[:, places].set(self.weights[:, of])
        return LoopVelocity(weights, found.space, self.order)

    @override
    def __call__(self, t: Scalar, x: Field) -> tuple[Momentum, Scalar]:
        space = self.space
        group = space.group
        kappa = group.n - subtraction(group)
        units = jnp.asarray([(4 * group.n * kappa) ** -power_of_beta(name) for name in self.names])
        coefficients = time_basis(t, len(self.weights)) @ self.weights * units
        v, divergence = _of_paths(space.links(x), coefficients, names=self.names, group=group)
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
