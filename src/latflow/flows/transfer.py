r"""A trained flow on another lattice.

Weights that are stored by displacement or act on every site alike mean the same on every lattice. The spectrum of a
free-field prior is read as a function of $\hat k^2$ and evaluated at the new momenta, with the mass of its lowest mode
scaled so that mL stays what it was. Whatever has weights per site cannot be carried over and is refused.
"""

import dataclasses
import functools
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from latflow.arguments import require_type
from latflow.bijections.compose import Chain
from latflow.bijections.doubling import Doubling
from latflow.bijections.elementwise import Scale
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.loop_velocity import LoopVelocity
from latflow.bijections.ode.on_links import ContinuousLinkFlow
from latflow.bijections.ode.plaquette_velocity import PlaquetteVelocity
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.distributions import FreeFieldPrior, HaarPrior, Normal, free_log_widths
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace
from latflow.flows.conditional import ConditionalFlow, FlowModel, interpolated
from latflow.flows.flow import Flow
from latflow.flows.mixture import Z2Mixture
from latflow.flows.villain import VillainPrior
from latflow.fourier import displacements, orbit_momentum_squared
from latflow.lattice import Lattice

FlowT = TypeVar("FlowT")


class TransferError(ConfigError):
    """A model cannot be carried to this lattice."""


def transferred(part: Any, lattice: Lattice) -> Any:
    """A flow, or a part of one, on another lattice of the same dimension; the start of a training there.

    On the lattice that it has already, any flow is itself.

    Args:
        part: The trained flow, or a part of it.
        lattice: The new lattice.

    Raises:
        TypeError: If an argument is of another type.
        TransferError: If its weights belong to its own lattice, or the dimension differs.
    """
    require_type("flow", part, eqx.Module, "a trained flow")
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    space = getattr(part, "space", None)
    if isinstance(space, AbstractFieldSpace) and extents_of(space) == lattice.shape:
        return part
    return _transferred(part, lattice)


def extents_of(space: AbstractFieldSpace) -> tuple[int, ...]:
    """Extents of the lattice whose fields a space holds; fields of links have an axis of directions more."""
    return space.lattice.shape if isinstance(space, GaugeSpace) else space.shape


@functools.singledispatch
def _transferred(part: Any, lattice: Lattice) -> Any:
    raise TransferError(
        [f"{type(part).__name__} on {list(lattice.shape)}: its weights belong to the lattice it was trained on"]
    )


@_transferred.register
def _(part: Flow, lattice: Lattice) -> Flow:
    return Flow(transferred(part.prior, lattice), transferred(part.bijection, lattice))


@_transferred.register
def _(part: Z2Mixture, lattice: Lattice) -> Z2Mixture:
    return Z2Mixture(transferred(part.flow, lattice))


@_transferred.register
def _(part: ConditionalFlow, lattice: Lattice) -> ConditionalFlow:
    return interpolated(
        lambda value: transferred(part.at(value), lattice),
        lower=part.lower,
        upper=part.upper,
        order=part.order,
        parameter=part.parameter,
    )


@_transferred.register
def _(part: Normal, lattice: Lattice) -> Normal:
    return Normal(lattice.shape)


@_transferred.register
def _(part: Scale, lattice: Lattice) -> Scale:
    return part


@_transferred.register
def _(part: Chain, lattice: Lattice) -> Chain:
    return Chain(tuple(transferred(bijection, lattice) for bijection in part.bijections))


@_transferred.register
def _(part: ContinuousFlow, lattice: Lattice) -> ContinuousFlow:
    return dataclasses.replace(part, velocity=transferred(part.velocity, lattice))


@_transferred.register
def _(part: LatticeVelocity, lattice: Lattice) -> LatticeVelocity:
    _require_dimension(part.lattice, lattice)
    return dataclasses.replace(part, lattice=lattice)


@_transferred.register
def _(part: ContinuousLinkFlow, lattice: Lattice) -> ContinuousLinkFlow:
    velocity = transferred(part.velocity, lattice)
    return dataclasses.replace(part, velocity=velocity, space=GaugeSpace(lattice, part.space.group))


@_transferred.register
def _(part: LoopVelocity, lattice: Lattice) -> LoopVelocity:
    _require_dimension(part.space.lattice, lattice)
    return part.on(lattice)


@_transferred.register
def _(part: PlaquetteVelocity, lattice: Lattice) -> PlaquetteVelocity:
    _require_dimension(part.space.lattice, lattice)
    return part.on(lattice)


@_transferred.register
def _(part: VillainPrior, lattice: Lattice) -> VillainPrior:
    return VillainPrior(part.log_variance, GaugeSpace(lattice, part.space.group))


@_transferred.register
def _(part: Doubling, lattice: Lattice) -> Doubling:
    way = "training.start_from of a study starts the coarse levels that are missing at its β"
    raise TransferError([f"doubling flow of {list(part.hierarchy.lattice.shape)} to {list(lattice.shape)}: {way}"])


@_transferred.register
def _(part: HaarPrior, lattice: Lattice) -> HaarPrior:
    if not isinstance(part.space, GaugeSpace):
        raise TransferError([f"HaarPrior on {part.space}: only that of links is carried to another lattice"])
    return HaarPrior(GaugeSpace(lattice, part.space.group))


@_transferred.register
def _(part: FreeFieldPrior, lattice: Lattice) -> FreeFieldPrior:
    _require_dimension(part.lattice, lattice)
    log_widths = np.asarray(part.log_widths)
    mass_squared = 0.5 * float(np.exp(-2 * log_widths[0]))
    momenta = orbit_momentum_squared(part.lattice)
    # The ratio of the spectrum to that of a free field of this mass is smooth in the momentum.
    beyond = log_widths - free_log_widths(part.lattice, mass_squared=mass_squared)
    known, where = np.unique(np.round(momenta, 12), return_inverse=True)
    mean = np.bincount(where, weights=beyond) / np.bincount(where)
    scaled = mass_squared * (max(part.lattice.shape) / max(lattice.shape)) ** 2
    free = free_log_widths(lattice, mass_squared=scaled)
    return FreeFieldPrior(jnp.asarray(free + np.interp(orbit_momentum_squared(lattice), known, mean)), lattice)


def with_finest_levels(fresh: FlowModel, trained: FlowModel) -> Any:
    """A doubling flow whose levels are those of another one, as far as both have them, counted from the finest.

    A level acts on blocks of a number of plaquettes that depends on its distance from the finest one alone. Coarser
    levels that the trained flow does not have stay as they are.

    Args:
        fresh: The flow on the new lattice, at its start; or the flows of a range.
        trained: The flow whose weights are taken; a range of flows where `fresh` is one, of the same parameter.

    Raises:
        TransferError: If one is no doubling flow, or their splits have other sizes.
    """
    if isinstance(fresh, ConditionalFlow) and isinstance(trained, ConditionalFlow):
        ends = {"lower": fresh.lower, "upper": fresh.upper, "order": fresh.order, "parameter": fresh.parameter}
        return interpolated(lambda value: with_finest_levels(fresh.at(value), trained.at(value)), **ends)
    if not isinstance(fresh, Flow) or not isinstance(trained, Flow):
        raise TransferError([f"{type(trained).__name__} → {type(fresh).__name__}; allowed: levels of doubling flows"])
    new, old = fresh.bijection, trained.bijection
    if not isinstance(new, Doubling) or not isinstance(old, Doubling):
        raise TransferError([f"{type(old).__name__} → {type(new).__name__}; allowed: levels of doubling flows"])
    (into, rest), given = eqx.partition(new.splits, eqx.is_array), eqx.filter(old.splits, eqx.is_array)
    n = min(new.hierarchy.n_levels, old.hierarchy.n_levels)
    if [leaf.shape[1:] for leaf in jax.tree.leaves(into)] != [leaf.shape[1:] for leaf in jax.tree.leaves(given)]:
        raise TransferError(["splits of other groups or sizes; allowed: those of equal doubling flows"])
    leaves = [
        jnp.concatenate([start[: start.shape[0] - n], leaf[leaf.shape[0] - n :].astype(start.dtype)])
        for start, leaf in zip(jax.tree.leaves(into), jax.tree.leaves(given), strict=True)
    ]
    splits = eqx.combine(jax.tree.unflatten(jax.tree.structure(into), leaves), rest)
    return Flow(fresh.prior, dataclasses.replace(new, splits=splits))


def widened(flow: FlowT, radius: int) -> FlowT:
    """The same flow with room for kernels of a larger radius, whose new weights are zero; the start of a training.

    Args:
        flow: Any flow; velocities on lattices are widened wherever they are in it.
        radius: Largest displacement of a kernel in every direction from now on.

    Raises:
        TransferError: If a kernel reaches further than that.
    """
    if isinstance(flow, ConditionalFlow):
        # room is made for every coefficient of its polynomials, which changes none of them
        over_weights = eqx.filter_vmap(in_axes=_leading_axis, out_axes=_leading_axis)
        wide = over_weights(lambda part: widened(part, radius))(flow.coefficients)
        return dataclasses.replace(flow, coefficients=wide)
    return jax.tree.map(
        lambda part: _widened_velocity(part, radius) if isinstance(part, LatticeVelocity) else part,
        flow,
        is_leaf=lambda part: isinstance(part, LatticeVelocity),
    )


def _leading_axis(leaf: Any) -> int | None:
    return 0 if eqx.is_inexact_array(leaf) else None


def _widened_velocity(velocity: LatticeVelocity, radius: int) -> LatticeVelocity:
    if radius < velocity.radius:
        raise TransferError([f"flow.radius: {radius}; the model's kernels reach {velocity.radius}"])
    n_dim = velocity.lattice.ndim
    wide, narrow = displacements(n_dim, radius), displacements(n_dim, velocity.radius)
    places = np.array([wide.index(displacement) for displacement in narrow])

    def embedded(weights: Array, places: np.ndarray, size: int) -> Array:
        return jnp.zeros((*weights.shape[:-1], size), weights.dtype).at[..., places].set(weights)

    # The zero displacement comes first, and hollow kernels have none.
    return dataclasses.replace(
        velocity,
        linear=embedded(velocity.linear, places, len(wide)),
        kernel=embedded(velocity.kernel, places[1:] - 1, len(wide) - 1),
        radius=radius,
    )


def _require_dimension(old: Lattice, new: Lattice) -> None:
    if old.ndim != new.ndim:
        raise TransferError([f"lattice.shape: {list(new.shape)}; the model was trained in {old.ndim} dimensions"])
