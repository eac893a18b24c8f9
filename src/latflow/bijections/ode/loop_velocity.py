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
from latflow.bijections.ode.linear import AbstractLinearVelocity
from latflow.bijections.ode.velocities import time_basis
from latflow.fields.loop_products import Factor, along, factors_of, joined, product_names, product_power, split_name
from latflow.fields.loop_velocities import Paths, path_names, paths, staples_of, subtraction, trace_of_product
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice

_PLAIN = 3
"""The largest order without products."""


class LoopVelocity(AbstractLinearVelocity):
    r"""A sum of the velocities of `latflow.fields.loop_velocities` with coefficients that depend on time.

    Coefficients are weights in units of $(4N\kappa)^{-k}$, k the power of β in which the trivialising map first has the
    kind of paths: weights of order $\beta^k$, one learning rate for all. The plaquette's is −β to first order.

    It is equivariant under gauge transformations, translations, rotations and reflections of the lattice, and under
    charge conjugation. Its weights are a velocity on every lattice of the same kinds of paths.

    Args:
        weights: Of every function of the time basis and every kind of paths.
        space: Space of the links.
        order: Which kinds of paths there are, see `latflow.fields.loop_velocities.path_names`; 4: also their products
            with functions of the plaquettes through the link, see `latflow.fields.loop_products`.
    """

    weights: Float[Array, "n_times n_kinds"]
    space: GaugeSpace
    order: int = eqx.field(static=True, default=3)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of paths, and of their products."""
        return _names(self.space, self.order)

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
        names = _names(space, order)
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

    @property
    def units(self) -> Float[Array, " n_kinds"]:
        """Coefficient of a weight of 1, by kind."""
        group = self.space.group
        kappa = group.n - subtraction(group)
        return jnp.asarray([(4 * group.n * kappa) ** -product_power(name) for name in self.names])

    @override
    def __call__(self, t: Scalar, x: Field) -> tuple[Momentum, Scalar]:
        space = self.space
        coefficients = time_basis(t, len(self.weights)) @ self.weights * self.units
        of = _of_products if self.order > _PLAIN else _of_paths
        v, divergence = of(space.links(x), coefficients, names=self.names, group=space.group)
        return v.reshape(space.tangent_shape), divergence

    @override
    def transport(self, force: Momentum, x: Field) -> Float[Array, " n_kinds"]:
        group = self.space.group
        slope = jnp.stack([group.algebra(p) for p in force])
        return self.units * _transports(self.space.links(x), slope, names=self.names, group=group)


def _names(space: GaugeSpace, order: int) -> tuple[str, ...]:
    shape = space.lattice.shape
    return product_names(space.group, shape) if order > _PLAIN else path_names(space.group, shape, order=order)


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
def _of_products(
    links: Array, coefficients: Array, *, names: tuple[str, ...], group: AbstractGroup
) -> tuple[Array, Array]:
    """As `_of_paths`, with products."""
    weight = dict(zip(names, coefficients, strict=True))
    found = _with_factors(links, names, group)
    velocities, divergence = [], jnp.zeros(())
    for each, factors in found:
        loops = each["plaquette"].matrices
        pulled = jnp.zeros_like(loops)
        for name, (matrices, own) in each.items():
            factor = _weighed(factors, weight, name)
            pulled = pulled + factor.value[None, None] * matrices
            local = factor.value * own + factor.slope * along(loops, matrices, group=group)
            divergence = divergence + jnp.sum(local, axis=tuple(range(len(links))))
        velocities.append(group.coefficients(pulled))
    return jnp.stack(velocities), divergence


def _weighed(factors: dict[str, Factor], weight: dict[str, Array], path: str) -> Factor:
    """The sum of the factors of one kind of paths with their coefficients."""
    terms = [(weight[name], each) for key, each in factors.items() if (name := joined(key, path)) in weight]
    value, slope = (sum(_beside(c, each[i], 0) * each[i] for c, each in terms) for i in range(2))
    return Factor(jnp.asarray(value), jnp.asarray(slope))


@trailing
def _transports(links: Array, slope: Array, *, names: tuple[str, ...], group: AbstractGroup) -> Array:
    r"""Of every kind; `slope` is $iT_a\partial_aS$ of every link."""
    sites, out = tuple(range(len(links))), dict.fromkeys(names, jnp.zeros(()))
    for (each, factors), rise in zip(_with_factors(links, names, group), slope, strict=True):
        loops = each["plaquette"].matrices
        for path, (matrices, own) in each.items():
            own = own + trace_of_product(rise, matrices) / group.trace_norm
            rising = along(loops, matrices, group=group)
            for key, factor in factors.items():
                if (name := joined(key, path)) in out:
                    out[name] = out[name] + jnp.sum(factor.value * own + factor.slope * rising, axis=sites)
    return jnp.stack([out[name] for name in names])


def _with_factors(
    links: Array, names: tuple[str, ...], group: AbstractGroup
) -> list[tuple[dict[str, Paths], dict[str, Factor]]]:
    """Of every direction the paths that occur in products or alone, and the factors."""
    plain = tuple(name for name in names if not split_name(name)[0])
    found = paths(links, staples_of(links), names=plain, group=group)
    n_staples = 2 * (len(links) - 1)
    return [(each, factors_of(each["plaquette"].matrices, n_staples=n_staples)) for each in found]
