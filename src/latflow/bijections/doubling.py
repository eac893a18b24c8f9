r"""Doubling: links of a coarse lattice first, then the new links of a lattice with twice as many sites, level by level.

Doubling direction μ of a plane divides every link $U_\mu=W_aW_b$ and adds a midpoint. $W_a$ is the gauge of the new
site and is not changed. Each coarse plaquette gets one new link V, from its midpoint in the other direction ν. In the
gauge with $W_a=1$ on all levels, see `latflow.bijections.levels`,

$$P(x)=U_\nu(x)U_\mu(x+\hat\nu)U_\nu^\dagger(x+\hat\mu)U_\mu^\dagger(x)=ab,\qquad a(x)=U_\nu(x)V^\dagger(x).$$

At a given coarse field $V\leftrightarrow a$ keeps the Haar measure. A split moves a given P; the new links of a level
are independent of each other, so log-dets are sums over coarse plaquettes.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.levels import Elements, Hierarchy, Table
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.groups.base import AbstractGroup


class Doubling(AbstractBijection):
    """A flow of all links of a periodic plane from coarse to fine; links of the coarsest lattice keep their values.

    It commutes with gauge transformations, and with translations by the distance of sites of the coarsest lattice. Its
    program has one split, that all levels run through in pieces of equal size: it compiles as fast for any number of
    levels.

    Args:
        splits: One of every level; its arrays have a leading axis more, the levels, the coarsest one first.
        group: Of the links.
        hierarchy: The levels.
        open_boundaries: Plaquettes that cross an edge of the lattice have no weight. Blocks with one of them are Haar,
            so a half beside such a block is drawn alone, and two such halves stay as they are.

    References:
        arXiv:2404.10819; in two dimensions all new links of a level move at once.
    """

    splits: AbstractSplit
    group: AbstractGroup
    hierarchy: Hierarchy = eqx.field(static=True)
    open_boundaries: bool = eqx.field(static=True, default=False)

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        gauge = self.hierarchy.gauge(self.group, x)
        return self._forward(self.hierarchy.dressed(self.group, x, gauge), gauge, placed=False)

    @override
    def of_uniform(self, z: Field) -> tuple[Field, Scalar]:
        """New links of z are taken for halves in the frame of their plaquettes, and its gauge for that of the image.

        Image and density have the same distribution as for the forward map; every new plaquette is a function of its
        own element and of its coarse plaquette.
        """
        return self._forward(z, self.hierarchy.gauge(self.group, z), placed=True)

    @override
    def arranged(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        """The first for links of the coarsest lattice, then for new links from coarse to fine; the gauge comes last."""
        ranks = np.argsort(self.hierarchy.order())
        return u.reshape(len(ranks), -1)[ranks].ravel()

    def _forward(self, x: Field, gauge: Elements, *, placed: bool) -> tuple[Field, Scalar]:
        levels = self.hierarchy
        store, new = levels.taken_apart(self.group, x)
        splits, static = self.by_piece()

        def piece(store: Elements, inputs: tuple[Elements, AbstractSplit, Table]) -> tuple[Elements, Scalar]:
            links, arrays, table = inputs
            split = eqx.combine(arrays, static)
            half, plaquette, corner = self.loops(store, links, table)
            half = split.placed(links, plaquette) if placed else half
            image, slopes = self._split(split, half, plaquette, table)
            moved = self._new_links(image, corner)
            store = jax.lax.dynamic_update_slice_in_dim(store, moved, table["first"], axis=-1)
            return store, jnp.sum(jnp.where(table["real"], slopes, 0.0))

        store, log_dets = jax.lax.scan(piece, store, (new, splits, levels.pieces))
        return levels.dressed(self.group, levels.put_together(store), self.group.adjoint(gauge)), jnp.sum(log_dets)

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        levels = self.hierarchy
        gauge = levels.gauge(self.group, y)
        store, new = levels.taken_apart(self.group, levels.dressed(self.group, y, gauge))
        store = levels.filled(store, new)
        splits, static = self.by_piece()

        def piece(_: None, inputs: tuple[Elements, AbstractSplit, Table]) -> tuple[None, tuple[Elements, Scalar]]:
            links, split, table = inputs
            half, plaquette, corner = self.loops(store, links, table)
            origin, slopes = self._split(eqx.combine(split, static), half, plaquette, table, inverse=True)
            return None, (self._new_links(origin, corner), jnp.sum(jnp.where(table["real"], slopes, 0.0)))

        _, (latent, log_dets) = jax.lax.scan(piece, None, (new, splits, levels.pieces))
        latent = levels.put_together(levels.filled(store, latent))
        return levels.dressed(self.group, latent, self.group.adjoint(gauge)), jnp.sum(log_dets)

    def by_piece(self) -> tuple[AbstractSplit, AbstractSplit]:
        """Arrays of the split of every piece, and the rest, which is the same in all."""
        arrays, static = eqx.partition(self.splits, eqx.is_array)
        return jax.tree.map(lambda leaf: leaf[self.hierarchy.level_of_pieces], arrays), static

    def loops(self, store: Elements, new: Elements, table: Table) -> tuple[Elements, Elements, Elements]:
        r"""Halves a and plaquettes P of one piece, and the links $U_\nu(x)$ at its corners."""
        group = self.group
        corner, top, right, bottom = (store[..., table[name]] for name in ("corner", "top", "right", "bottom"))
        plaquette = group.compose(group.compose(corner, top), group.adjoint(group.compose(bottom, right)))
        return group.compose(corner, group.adjoint(new)), plaquette, corner

    def _split(
        self, split: AbstractSplit, half: Elements, plaquette: Elements, table: Table, *, inverse: bool = False
    ) -> tuple[Elements, LogDet]:
        """Halves behind a split or its inverse, and log-dets; with open boundaries some are alone, or Haar."""

        def behind(split: AbstractSplit, plaquette: Elements) -> tuple[Elements, LogDet]:
            return (split.inverse_and_log_det if inverse else split.forward_and_log_det)(half, plaquette)

        image, slopes = behind(split, plaquette)
        if not self.open_boundaries:
            return image, slopes
        lone, lone_slopes = behind(split.alone(), self.group.identity(half.shape[-1:]))
        image, slopes = (jnp.where(table["alone"], own, both) for own, both in ((lone, image), (lone_slopes, slopes)))
        return jnp.where(table["haar"], half, image), jnp.where(table["haar"], 0.0, slopes)

    def _new_links(self, half: Elements, corner: Elements) -> Elements:
        """The links V with which halves are `half`."""
        return self.group.compose(self.group.adjoint(half), corner)


def stacked(splits: Sequence[AbstractSplit]) -> AbstractSplit:
    """Splits of equal sizes, the coarsest level first, as one with a leading axis more, the levels."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *splits)
