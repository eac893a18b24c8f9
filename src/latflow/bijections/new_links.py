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

from latflow._typing import Field
from latflow.bijections.stripes import AbstractActiveLinks, loop_table
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice


@dataclasses.dataclass(frozen=True)
class NewLinks(AbstractActiveLinks):
    """The new links that one layer fills in.

    Args:
        lattice: After doubling; all extents even.
        nu: The direction α that was doubled.
        number: Of the layer, from 0 to `n_fillings` − 1.

    Raises:
        ConfigError: If an extent is odd, or there is no such direction or layer.
    """

    lattice: Lattice
    nu: int
    number: int

    def __post_init__(self) -> None:
        shape = list(self.lattice.shape)
        if any(extent % 2 for extent in shape):
            raise ConfigError([f"lattice.shape: {shape}; allowed: even extents, for new links"])
        if not (0 <= self.nu < len(shape) and 0 <= self.number < n_fillings(len(shape))):
            raise ConfigError([f"new links: layer {self.number} of direction {self.nu}; allowed: those of {shape}"])

    @property
    @override
    def mu(self) -> int:
        return int(np.nonzero(self.mask.reshape(self.lattice.ndim, -1).any(axis=1))[0][0])

    @functools.cached_property
    @override
    def mask(self) -> Bool[np.ndarray, "mu *sites"]:
        return self._layers == self.number

    def known_staples(self) -> Bool[np.ndarray, " n_staples"]:
        """Which staples of an active link hold no link that is filled in later, the same for all active links."""
        return np.logical_not(self._later[self.staples].any(axis=(1, 2)))

    def known_loops(self, reach: int) -> Bool[np.ndarray, " n_loops"]:
        """Which loops of `read` hold no such link."""
        later = np.concatenate([self._later[links].any(axis=0) for links, _ in loop_table(self.lattice)])
        return np.logical_not(later[self.read(reach)].any(axis=1))

    @functools.cached_property
    def _layers(self) -> Int[np.ndarray, "mu *sites"]:
        """The number of the layer that fills in a link; −1 for links that are there before."""
        d, grid = self.lattice.ndim, np.indices(self.lattice.shape)
        out = np.full((d, *self.lattice.shape), -1)
        for i, mu in enumerate(rho for rho in range(d) if rho != self.nu):
            odd = (grid.sum(axis=0) - grid[mu] - grid[self.nu]) % 2
            out[mu] = np.where(grid[self.nu] % 2 == 1, 2 * i + odd if d > 2 else i, -1)
        return out

    @functools.cached_property
    def _later(self) -> Bool[np.ndarray, " n_links"]:
        return self._layers.reshape(-1) > self.number


def n_fillings(ndim: int) -> int:
    """Layers that fill in the new links of one doubling; in a plane all of them are independent."""
    return 1 if ndim == 2 else 2 * (ndim - 1)


def halved(group: AbstractGroup, links: Field, *, direction: int) -> tuple[Field, tuple[Field, Field]]:
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


def doubled(group: AbstractGroup, coarse: Field, kept: tuple[Field, Field], *, direction: int) -> Field:
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
