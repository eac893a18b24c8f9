r"""Doubling one direction of a lattice: halves of old links, and the new links beside them, a few at a time.

Doubling direction α divides every link $U_\alpha=W_aW_b$. New links are those of other directions that begin at the
new sites. Given the coarse field, each has two staples in planes with α; those in other planes hold new links. So new
links are filled in direction by direction, from even to odd sites of the other directions: a staple is known if it
holds none that comes later or with the active one.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int
from typing_extensions import override

from latflow.bijections.link_layers import Elements
from latflow.bijections.stripes import AbstractActiveLinks, loop_table
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice


@dataclasses.dataclass(frozen=True)
class NewLinks(AbstractActiveLinks):
    """The new links that one layer fills in.

    Args:
        lattice: After doubling; all extents even.
        mu: Direction of the links.
        nu: The direction α that was doubled.
        odd: Whether they begin on odd or on even sites of the other directions; in a plane there are no others.

    Raises:
        ConfigError: If an extent is odd, or directions are not two different ones.
    """

    lattice: Lattice
    mu: int
    nu: int
    odd: bool

    def __post_init__(self) -> None:
        shape = list(self.lattice.shape)
        if any(extent % 2 for extent in shape):
            raise ConfigError([f"lattice.shape: {shape}; allowed: even extents, for new links"])
        if self.mu == self.nu or not {self.mu, self.nu} <= set(range(len(shape))):
            allowed = f"two different ones of 0 to {len(shape) - 1}"
            raise ConfigError([f"new links: directions {self.mu} and {self.nu}; allowed: {allowed}"])

    @override
    def active(self) -> Bool[np.ndarray, "*sites"]:
        return self._order[self.mu] == self._number(self.mu, int(self.odd))

    def known_staples(self) -> Bool[np.ndarray, " n_staples"]:
        """Which staples of an active link hold no link that is filled in later, the same for all active links."""
        return np.logical_not(self._later[self.staples].any(axis=(1, 2)))

    def known_loops(self, reach: int) -> Bool[np.ndarray, " n_loops"]:
        """Which loops of `read` hold no such link."""
        later = np.concatenate([self._later[links].any(axis=0) for links, _ in loop_table(self.lattice)])
        return np.logical_not(later[self.read(reach)].any(axis=1))

    def _number(self, mu: int, odd: Int[np.ndarray, "*sites"] | int) -> Int[np.ndarray, "*sites"] | int:
        """Of the layer that fills in a link: direction by direction, even sites before odd ones."""
        return 2 * (mu - (mu > self.nu)) + odd

    @functools.cached_property
    def _order(self) -> Int[np.ndarray, "mu *sites"]:
        """Numbers of all new links; −1 for links that are there before."""
        d, grid = self.lattice.ndim, np.indices(self.lattice.shape)
        out = np.full((d, *self.lattice.shape), -1)
        for mu in set(range(d)) - {self.nu}:
            odd = (grid.sum(axis=0) - grid[mu] - grid[self.nu]) % 2
            out[mu] = np.where(grid[self.nu] % 2 == 1, self._number(mu, odd), -1)
        return out

    @functools.cached_property
    def _later(self) -> Bool[np.ndarray, " n_links"]:
        return self._order.reshape(-1) > self._number(self.mu, int(self.odd))


def fillings(lattice: Lattice, nu: int) -> tuple[NewLinks, ...]:
    """All layers that fill in the new links of one doubling; in a plane there is one, for they are independent.

    Args:
        lattice: After doubling.
        nu: The direction that was doubled.
    """
    halves = (False, True) if lattice.ndim > 2 else (False,)
    return tuple(NewLinks(lattice, mu, nu, odd) for mu in range(lattice.ndim) if mu != nu for odd in halves)


def halved(group: AbstractGroup, links: Elements, *, direction: int) -> tuple[Elements, tuple[Elements, Elements]]:
    """The links of the coarse lattice; first halves, and new links of all directions, as they are.

    Args:
        group: Of the links.
        links: On the fine lattice.
        direction: The one whose extent is halved.
    """
    axis = len(group.element_shape) + direction
    old, new = (jax.lax.slice_in_dim(links, i, None, 2, axis + 1) for i in (0, 1))
    coarse = old.at[direction].set(group.compose(old[direction], new[direction]))
    return coarse, (old[direction], new)


def doubled(group: AbstractGroup, coarse: Elements, kept: tuple[Elements, Elements], *, direction: int) -> Elements:
    """Inverse of `halved`: second halves are what is left of coarse links behind the first halves.

    At given first halves and new links it keeps the Haar measure.

    Args:
        group: Of the links.
        coarse: Links of the coarse lattice.
        kept: What `halved` gave beside them.
        direction: The one whose extent is doubled.
    """
    first, new = kept
    axis = len(group.element_shape) + direction + 1
    second = group.compose(group.adjoint(first), coarse[direction])
    pair = [coarse.at[direction].set(first), new.at[direction].set(second)]
    shape = (*coarse.shape[:axis], 2 * coarse.shape[axis], *coarse.shape[axis + 1 :])
    return jnp.stack(pair, axis=axis + 1).reshape(shape)
