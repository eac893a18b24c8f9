r"""The levels of a plane between a coarse lattice and a fine one, and the gauge in which all of them share their links.

Each level doubles one direction μ. Of the two halves of a link of direction μ the first is made the unit element by a
gauge transformation of the midpoint; then the second is the coarse link itself, and links of the other direction keep
their values. So a field in this gauge is a list of group elements: the links of the coarsest lattice and the new links
of every level. All coarser fields are selections of this list.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from latflow.batching import shift
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice

Elements: TypeAlias = Inexact[Array, "..."]
"""Elements of a group: matrix indices first, sites last."""

Table: TypeAlias = Mapping[str, np.ndarray | jax.Array]
"""Numbers of places in the list of links by the corner of a plaquette, see `Hierarchy.pieces`."""

_PIECE = 16
"""Plaquettes that are split at once, as long as a level has them; smaller levels are filled up."""


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """The levels of a lattice, and tables of where their links stand in the list of all.

    The list begins with the unit element and the links of the coarsest lattice. Then come the new links, in pieces.

    Args:
        lattice: Two directions.
        n_levels: How often its volume is halved.

    Raises:
        ConfigError: If the lattice has not two directions, or cannot be halved so often.
    """

    lattice: Lattice
    n_levels: int

    def __post_init__(self) -> None:
        n = len(halvings(self.lattice))
        if not 1 <= self.n_levels <= n:
            allowed = f"1 to {n}, the halvings of {list(self.lattice.shape)}" if n else "an even extent of the lattice"
            raise ConfigError([f"flow.levels: {self.n_levels}; allowed: {allowed}"])

    @property
    def directions(self) -> tuple[int, ...]:
        """Which are doubled, level by level, the coarsest first."""
        return halvings(self.lattice)[: self.n_levels][::-1]

    @property
    def coarsest(self) -> tuple[int, int]:
        """Extents of the coarsest lattice."""
        shape = list(self.lattice.shape)
        for mu in self.directions:
            shape[mu] //= 2
        return shape[0], shape[1]

    @property
    def pieces(self) -> Table:
        """Tables piece by piece: where the links of its plaquettes stand, and which plaquettes are real."""
        return _tables(self)[0]

    @property
    def level_of_pieces(self) -> np.ndarray:
        """To which level every piece belongs."""
        return _tables(self)[1]

    def order(self) -> np.ndarray:
        """Numbers of all links, direction by direction: the coarsest ones, new ones from coarse to fine, the others."""
        _, _, places, new = _tables(self)
        found = [places[1:], new[np.asarray(self.pieces["real"])]]
        chosen = np.concatenate([part.ravel() for part in found]) - 1
        every = np.arange(2 * self.lattice.volume)
        return np.concatenate([chosen, np.setdiff1d(every, chosen)])

    def gauge(self, group: AbstractGroup, field: Elements) -> Elements:
        """The transformation Ω to the gauge of this list; the unit element on the sites of the coarsest lattice."""
        firsts, axis = [], len(group.element_shape)
        for mu in reversed(self.directions):
            links = [field[nu] for nu in (0, 1)]
            first, second = (_every_second(links[mu], i, axis + mu) for i in (0, 1))
            firsts.append(first)
            links[mu] = group.compose(first, second)
            links[1 - mu] = _every_second(links[1 - mu], 0, axis + mu)
            field = jnp.stack(links)
        omega = jnp.broadcast_to(_unit(group, self.coarsest), field.shape[1:])
        for mu, first in zip(self.directions, reversed(firsts), strict=True):
            omega = _interleaved(omega, group.compose(omega, first), axis + mu)
        return omega

    def dressed(self, group: AbstractGroup, field: Elements, omega: Elements) -> Elements:
        r"""The field after a gauge transformation, $\Omega(x)U_\mu(x)\Omega^\dagger(x+\hat\mu)$."""
        axis = len(group.element_shape)
        there = [group.adjoint(shift(omega, axis=axis + mu)) for mu in (0, 1)]
        return jnp.stack([group.compose(group.compose(omega, field[mu]), there[mu]) for mu in (0, 1)])

    def taken_apart(self, group: AbstractGroup, field: Elements) -> tuple[Elements, Elements]:
        """The list of a field in this gauge, with places for new links, and these in pieces."""
        _, _, places, new = _tables(self)
        flat = _sites_last(field, len(group.element_shape))
        unit = _unit(group, (1,))
        flat = jnp.concatenate([jnp.broadcast_to(unit, (*flat.shape[:-1], 1)), flat], axis=-1)
        links = jnp.moveaxis(flat[..., new], -2, 0)
        empty = jnp.broadcast_to(unit, (*flat.shape[:-1], new.size))
        return jnp.concatenate([flat[..., places], empty], axis=-1), links

    def filled(self, store: Elements, new: Elements) -> Elements:
        """The list with new links in their places."""
        flat = jnp.moveaxis(new, 0, -2)
        flat = flat.reshape(*flat.shape[:-2], -1)
        return jnp.concatenate([store[..., : store.shape[-1] - flat.shape[-1]], flat], axis=-1)

    def put_together(self, store: Elements) -> Elements:
        """The field of a list; inverse of `taken_apart` and `filled`."""
        return jnp.stack([store[..., place] for place in _layout(self)[-1]])


def halvings(lattice: Lattice) -> tuple[int, ...]:
    """Directions in which a plane is halved one after another, the finest level first, until no even extent is left.

    The longer one of the even extents is halved, of equal ones the second.

    Raises:
        ConfigError: If the lattice has not two directions.
    """
    if lattice.ndim != 2:
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: two directions for a doubling flow"])
    shape, found = list(lattice.shape), []
    while even := [mu for mu in (1, 0) if shape[mu] % 2 == 0]:
        found.append(max(even, key=lambda mu: shape[mu]))
        shape[found[-1]] //= 2
    return tuple(found)


@functools.cache
def _layout(hierarchy: Hierarchy) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Of every level, where links stand in the list; and where all links of the fine field do."""
    shape = hierarchy.coarsest
    volume = shape[0] * shape[1]
    field = 1 + np.arange(2 * volume).reshape(2, *shape)
    levels, first = [], 1 + 2 * volume
    for mu in hierarchy.directions:
        along, across = field[mu], field[1 - mu]
        n, size = across.size, _piece(hierarchy)
        new = first + np.arange(n).reshape(across.shape)
        top, right = np.roll(along, -1, 1 - mu), np.roll(across, -1, mu)
        haar, alone = _beside_edges(across.shape, mu)
        edges = {"haar": haar, "alone": alone}
        levels.append({"corner": across, "top": top, "right": right, "bottom": along, "new": new, **edges})
        first += -(-n // size) * size
        doubled = [np.stack([np.zeros_like(along), along], mu + 1), np.stack([across, new], mu + 1)]
        fine = tuple(2 * extent if nu == mu else extent for nu, extent in enumerate(along.shape))
        field = np.stack([doubled[nu != mu].reshape(fine) for nu in (0, 1)])
    return levels, field


def _beside_edges(shape: tuple[int, ...], mu: int) -> tuple[np.ndarray, np.ndarray]:
    """Coarse plaquettes of which both halves along μ reach across an edge of the lattice, and those of which one does.

    It is the second half: blocks that cross an edge are the last ones of their direction.
    """
    last = [grid == extent - 1 for grid, extent in zip(np.indices(shape), shape, strict=True)]
    return last[1 - mu], last[mu] & ~last[1 - mu]


@functools.cache
def _tables(hierarchy: Hierarchy) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Tables of pieces, levels of pieces; sites of the coarsest links and of the new ones, 0 for none, in the field."""
    levels, field = _layout(hierarchy)
    size = _piece(hierarchy)
    where = np.zeros(1 + max(field.max(), levels[-1]["new"].max()) + size, dtype=int)
    where[field.ravel()] = 1 + np.arange(field.size)
    where[0] = 0
    rows: dict[str, list[np.ndarray]] = {}
    owners: list[int] = []
    for number, level in enumerate(levels):
        n = level["new"].size
        padding = -n % size
        for name, table in {**level, "real": np.ones(n, dtype=bool)}.items():
            rows.setdefault(name, []).extend(np.pad(table.ravel(), (0, padding)).reshape(-1, size))
        owners += [number] * ((n + padding) // size)
    tables = {name: np.stack(row) for name, row in rows.items()}
    new = tables.pop("new")
    tables["first"] = new[:, 0]
    places = where[: 1 + 2 * hierarchy.coarsest[0] * hierarchy.coarsest[1]]
    return tables, np.asarray(owners), places, where[new]


def _piece(hierarchy: Hierarchy) -> int:
    return min(_PIECE, hierarchy.lattice.volume // 2)


def _unit(group: AbstractGroup, sites: tuple[int, ...]) -> Elements:
    return group.identity(sites)


def _every_second(links: Elements, start: int, axis: int) -> Elements:
    return jax.lax.slice_in_dim(links, start, None, 2, axis)


def _interleaved(even: Elements, odd: Elements, axis: int) -> Elements:
    shape = (*even.shape[:axis], 2 * even.shape[axis], *even.shape[axis + 1 :])
    return jnp.stack([even, odd], axis=axis + 1).reshape(shape)


def _sites_last(field: Elements, n_indices: int) -> Elements:
    """All links of all directions as one axis, the last."""
    flat = field.reshape(*field.shape[: 1 + n_indices], -1)
    return jnp.moveaxis(flat, 0, -2).reshape(*flat.shape[1:-1], -1)
