r"""Layers of links in any dimension: active links move given the frozen ones, all layers as one program.

A layer moves the links of its stripes (`latflow.bijections.stripes`) one by one: each is mapped by a bijection of one
group element that reads its staples and traces of frozen loops around it. So the Jacobian has one block per active
link, the layer commutes with gauge transformations, and with translations that keep its stripes. Tables of all layers
have equal sizes, so a loop runs through them, and a flow compiles as fast for any number of layers.
"""

import abc
import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.stripes import STAPLES, AbstractActiveLinks, loop_table
from latflow.errors import PhysicsStop
from latflow.groups.base import AbstractGroup, wrap
from latflow.groups.matrices import product, trace

Elements: TypeAlias = Inexact[Array, "..."]
"""Group elements with the axis of the links, or of what they surround, behind the indices of the element."""


class Tables(NamedTuple):
    """Flat numbers of links and loops, the first axis for layers.

    Attributes:
        links: Active links.
        staples: The three links of every staple.
        read: Frozen loops around every active link.
    """

    links: Array | np.ndarray
    staples: Array | np.ndarray
    read: Array | np.ndarray


class Surroundings(NamedTuple):
    """What a layer may read; nothing of it changes.

    Attributes:
        staples: Of every active link, the one of its active plaquette first: staples, then links.
        even: Real parts of the traces over N of frozen loops.
        odd: Imaginary parts.
    """

    staples: Elements
    even: Float[Array, "n_loops n_active"]
    odd: Float[Array, "n_loops n_active"]


class AbstractLinkLayer(eqx.Module):
    """A bijection of every active link, given its surroundings; conjugate elements for conjugate links."""

    @abc.abstractmethod
    def forward_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        """New links, and the log-det of every block with respect to the Haar measure."""

    @abc.abstractmethod
    def inverse_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        """Old links, and the log-dets of the inverse; NaN where an iteration has not converged."""


class LinkLayers(AbstractBijection):
    """Layers one after another.

    Args:
        layers: Those of all stripes: their arrays have a leading axis more.
        group: Of the links.
        stripes: Active links of every layer.
        reach: Largest displacement of loops that are read, see `Stripes.read`.
    """

    layers: AbstractLinkLayer
    group: AbstractGroup
    stripes: tuple[AbstractActiveLinks, ...] = eqx.field(static=True)
    reach: int = eqx.field(static=True)

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        return self._through(x, inverse=False)

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        return self._through(y, inverse=True)

    def _through(self, x: Field, *, inverse: bool) -> tuple[Field, Scalar]:
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def one(flat: Elements, inputs: tuple[AbstractLinkLayer, Tables]) -> tuple[Elements, Scalar]:
            return self._layer(eqx.combine(inputs[0], static), flat, inputs[1], inverse=inverse)

        tables = Tables(*map(jnp.asarray, _tables(self.stripes, self.reach)))
        flat, log_dets = jax.lax.scan(one, self._flat(x), (arrays, tables), reverse=inverse)
        return self._shaped(flat), jnp.sum(log_dets)

    def _layer(
        self, layer: AbstractLinkLayer, flat: Elements, tables: Tables, *, inverse: bool
    ) -> tuple[Elements, Scalar]:
        active = _taken(flat, tables.links)
        around = self._surroundings(flat, tables)
        image, log_det = (layer.inverse_and_log_det if inverse else layer.forward_and_log_det)(
            active, around, self.group
        )
        moved = flat.at[..., tables.links].set(image, unique_indices=True, mode="promise_in_bounds")
        return moved, jnp.sum(log_det)

    def _surroundings(self, flat: Elements, tables: Tables) -> Surroundings:
        lattice = self.stripes[0].lattice
        sides = [_taken(flat, tables.staples[:, i]) for i in range(3)]
        loops = [_loop([flat[..., row] for row in links], signs_) for links, signs_ in loop_table(lattice)]
        if self.group.element_shape:
            traces = jnp.concatenate([trace(loop) for loop in loops]) / self.group.n
            even, odd = jnp.real(traces), jnp.imag(traces)
        else:
            angles = jnp.concatenate(loops)
            even, odd = jnp.cos(angles), jnp.sin(angles)
        return Surroundings(_staples(sides), even[tables.read], odd[tables.read])

    def require_inverse(self, y: Field) -> Field:
        """The pre-image of one configuration, layer by layer, each checked by running it forwards again.

        Raises:
            PhysicsStop: If the inverse of a layer has not converged; says layer, residual and link.
        """
        tables, flat = _tables(self.stripes, self.reach), self._flat(y)
        for i in reversed(range(len(self.stripes))):
            layer = jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_array(leaf) else leaf, self.layers)
            here = Tables(*(jnp.asarray(table[i]) for table in tables))
            before, log_det = self._layer(layer, flat, here, inverse=True)
            again, _ = self._layer(layer, before, here, inverse=False)
            apart = jnp.abs(again - flat if self.group.element_shape else wrap(again - flat))
            apart = jnp.max(apart.reshape(-1, apart.shape[-1]), axis=0)
            worst = int(jnp.argmax(jnp.where(jnp.isnan(apart), jnp.inf, apart)))
            if not bool(jnp.isfinite(log_det)):
                where = f"layer {i}, residual {float(apart[worst]):.2g}, link {_named(worst, self.stripes[i])}"
                raise PhysicsStop("flow: an inverse has not converged", value=where)
            flat = before
        return self._shaped(flat)

    def _flat(self, x: Field) -> Elements:
        n = len(self.group.element_shape)
        return jnp.moveaxis(x, 0, n).reshape(*self.group.element_shape, -1)

    def _shaped(self, flat: Elements) -> Field:
        shape, lattice = self.group.element_shape, self.stripes[0].lattice
        return jnp.moveaxis(flat.reshape(*shape, lattice.ndim, *lattice.shape), len(shape), 0)


@functools.lru_cache
def _tables(stripes: tuple[AbstractActiveLinks, ...], reach: int) -> Tables:
    columns = zip(*((each.links, each.staples, each.read(reach)) for each in stripes), strict=True)
    return Tables(*(np.stack(column) for column in columns))


def _named(number: int, stripes: AbstractActiveLinks) -> str:
    mu, site = divmod(number, stripes.lattice.volume)
    return f"{mu} at {[int(i) for i in np.unravel_index(site, stripes.lattice.shape)]}"


def _taken(flat: Elements, numbers: Array | np.ndarray) -> Elements:
    return flat.at[..., numbers].get(mode="promise_in_bounds")


def _loop(sides: list[Elements], signs: Sequence[int]) -> Elements:
    """Product of elements or their adjoints; for angles a sum, not wrapped."""
    if not jnp.iscomplexobj(sides[0]):
        return functools.reduce(jnp.add, (side * float(sign) for side, sign in zip(sides, signs, strict=True)))
    out = sides[0] if signs[0] > 0 else jnp.conj(jnp.swapaxes(sides[0], 0, 1))
    for side, sign in zip(sides[1:], signs[1:], strict=True):
        out = product(out, side, right_adjoint=sign < 0)
    return out


def _staples(sides: list[Elements]) -> Elements:
    """All staples: those over the links and those under them, by turns."""
    axis = sides[0].ndim - 2
    over, under = (_loop([jax.lax.slice_in_dim(side, k, None, 2, axis) for side in sides], STAPLES[k]) for k in (0, 1))
    return jnp.stack([over, under], axis=axis + 1).reshape(*sides[0].shape)
