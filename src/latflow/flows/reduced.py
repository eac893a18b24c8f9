r"""Doubling flows in reduced form: the same weights from the halves of plaquettes, without links.

A split is equivariant under conjugation, and Wilson's action needs traces of plaquettes only. So every coarse plaquette
P may be taken in a frame of its own, with the Haar half a and its image; the other half is $b=a^\dagger P$. Level by
level a and b are the plaquettes of the next one. Weights have the distribution that they have for links, and the
splits, which are all that is trained, are the same; what is left out are gauge transformations and tables of links.

A draw is one array: halves, and plaquettes beside them, of all levels in pieces, as `latflow.bijections.doubling` takes
them. Plaquettes are functions of coarser halves, but densities read them from the array: gradients along draws are
those of the links, whatever happens away from draws.
"""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar, Tangent
from latflow.actions.base import AbstractAction
from latflow.actions.gauge import WilsonAction
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import Elements, Hierarchy, Table
from latflow.bijections.splits.base import AbstractSplit
from latflow.distributions import AbstractDistribution, HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import diagonal_sum
from latflow.randomness import split


def reduced(flow: AbstractDistribution, action: AbstractAction) -> tuple[AbstractDistribution, AbstractAction]:
    """A pair with the same weights and parameters in which a step of the training costs less, if there is one.

    Args:
        flow: What is trained.
        action: The target theory.

    Returns:
        The reduced form of a periodic doubling flow of Haar links and Wilson's action; of all others themselves.
    """
    if not isinstance(flow, Flow) or not isinstance(action, WilsonAction) or action.open_boundaries:
        return flow, action
    doubling = flow.bijection
    if not isinstance(doubling, Doubling) or doubling.open_boundaries or not isinstance(flow.prior, HaarPrior):
        return flow, action
    return ReducedFlow(action.space, doubling), ReducedAction(action.space, action.beta, doubling.hierarchy)


class ReducedFlow(AbstractDistribution):
    """Halves and plaquettes of all levels of a doubling flow.

    Args:
        space: That of the links whose weights these are; draws are other arrays.
        doubling: The bijection whose splits act.
    """

    space: GaugeSpace  # pyright: ignore[reportIncompatibleVariableOverride]
    doubling: Doubling

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Field, Scalar]:
        levels, group = self.doubling.hierarchy, self.doubling.group
        keys = split(key, 2)
        tables = _tables(levels)
        shape = tables.real.shape
        halves = _pieces(group.haar(keys[1], (shape[0] * shape[1],)), shape)
        return self.of_halves(group.haar(keys[0], (2, *levels.coarsest)), halves)

    def of_halves(self, coarsest: Elements, halves: Elements) -> tuple[Field, Scalar]:
        """The draw of Haar elements, and its log-density.

        Args:
            coarsest: Links of the coarsest lattice, the direction last but two axes.
            halves: Piece by piece, the pieces as the first axis.
        """
        levels, group = self.doubling.hierarchy, self.doubling.group
        tables = _tables(levels)
        splits, static = self.doubling.by_piece()
        store = _started(group, levels, coarsest, tables.n_places)

        def piece(store: Elements, inputs: tuple[Elements, AbstractSplit, Table]) -> tuple[Elements, tuple[Array, ...]]:
            half, arrays, table = inputs
            moving = eqx.combine(arrays, static).of_representatives()
            plaquette = jax.lax.dynamic_slice_in_dim(store, table["parent"], half.shape[-1], -1)
            # a plaquette runs the other way round where the direction that is doubled changes
            plaquette = jnp.where(table["turned"], group.adjoint(plaquette), plaquette)
            plaquette = moving.representative(plaquette)
            half, slopes = moving.forward_and_log_det(half, plaquette)
            rest = group.compose(group.adjoint(half), plaquette)
            store = jax.lax.dynamic_update_slice_in_dim(store, half, table["first"], -1)
            store = jax.lax.dynamic_update_slice_in_dim(store, rest, table["second"], -1)
            return store, (half, plaquette, jnp.sum(jnp.where(table["real"], slopes, 0.0)))

        _, (halves, plaquettes, log_dets) = jax.lax.scan(piece, store, (halves, splits, tables.by_piece()))
        return jnp.stack([halves, plaquettes]), -jnp.sum(log_dets)

    @override
    def log_prob(self, x: Field) -> Scalar:
        splits, static = self.doubling.by_piece()

        def piece(carry: None, inputs: tuple[Elements, Elements, AbstractSplit, Array]) -> tuple[None, Scalar]:
            half, plaquette, arrays, real = inputs
            moving = eqx.combine(arrays, static).of_representatives()
            latent, slopes = moving.inverse_and_log_det(half, plaquette)
            del latent
            return carry, jnp.sum(jnp.where(real, slopes, 0.0))

        _, log_dets = jax.lax.scan(
            piece, None, (x[0], x[1], splits, jnp.asarray(_tables(self.doubling.hierarchy).real))
        )
        return jnp.sum(log_dets)


class ReducedAction(AbstractAction):
    """Wilson's action of the fine plaquettes of a draw of `ReducedFlow`.

    Args:
        space: That of the links.
        beta: Coupling.
        hierarchy: The levels.
    """

    space: GaugeSpace  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: Scalar
    hierarchy: Hierarchy = eqx.field(static=True)

    @override
    def __call__(self, x: Field) -> Scalar:
        group, real = self.space.group, _tables(self.hierarchy).real
        finest = self.hierarchy.level_of_pieces == self.hierarchy.n_levels - 1
        first = int(np.argmax(finest))
        halves, plaquettes = (jnp.moveaxis(part[first:], 0, -2) for part in x)
        rest = group.compose(group.adjoint(halves), plaquettes)
        traces = sum(jnp.real(diagonal_sum(group.matrices(part))) for part in (halves, rest))
        total = jnp.sum(jnp.where(real[first:], traces, 0.0))
        return self.beta * (self.space.lattice.volume - total / group.n)

    @override
    def force(self, x: Field) -> Tangent:
        raise ConfigError(["force: none of an action in reduced form; allowed: that of the links, action.force(x)"])


@dataclasses.dataclass(frozen=True)
class _Tables:
    """Where the plaquettes of every piece stand in a list of all levels, and where their halves go.

    Args:
        parent: Of every piece, the place of its first plaquette.
        first: That of its first half a.
        second: That of its first half b.
        turned: Whether its direction is another one than that of the level before.
        real: Which plaquettes of every piece are no padding.
        n_places: Length of the list.
    """

    parent: np.ndarray
    first: np.ndarray
    second: np.ndarray
    turned: np.ndarray
    real: np.ndarray
    n_places: int

    def by_piece(self) -> Table:
        """All tables, whose first axis are the pieces."""
        names = ("parent", "first", "second", "turned", "real")
        return {name: getattr(self, name) for name in names}


@functools.cache
def _tables(hierarchy: Hierarchy) -> _Tables:
    real, levels = np.asarray(hierarchy.pieces["real"]), hierarchy.level_of_pieces
    volume = hierarchy.coarsest[0] * hierarchy.coarsest[1]
    counts = real.sum(axis=1)
    turns = np.append(False, np.diff(hierarchy.directions) != 0)
    before = np.cumsum(counts) - counts
    # the list begins with the plaquettes of the coarsest lattice, in the order of the pieces, and every piece adds two
    first = volume + 2 * before
    return _Tables(before, first, first + counts, turns[levels], real, 2 * hierarchy.lattice.volume + 2 * real.shape[1])


def _started(group: AbstractGroup, levels: Hierarchy, coarsest: Elements, n_places: int) -> Elements:
    """The list with the plaquettes of the coarsest lattice."""
    mu, axis = levels.directions[0], len(group.element_shape)
    along, across = (jnp.take(coarsest, nu, axis=axis) for nu in (mu, 1 - mu))
    top, right = jnp.roll(along, -1, axis + 1 - mu), jnp.roll(across, -1, axis + mu)
    plaquettes = group.compose(group.compose(across, top), group.adjoint(group.compose(along, right)))
    plaquettes = plaquettes.reshape(*plaquettes.shape[:axis], -1)
    return jnp.concatenate([plaquettes, group.identity((n_places - plaquettes.shape[-1],))], axis=-1)


def _pieces(elements: Elements, shape: tuple[int, int]) -> Elements:
    """Elements in pieces, which become the first axis."""
    return jnp.moveaxis(elements.reshape(*elements.shape[:-1], *shape), -2, 0)
