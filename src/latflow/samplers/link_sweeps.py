r"""Sweeps over links, direction by direction and colour by colour, given the sum of the paths that close each link.

All links of one direction and colour are updated at once, see `latflow.fields.closings`; the next ones use their new
values. Directions and colours are variables of one compiled loop. Nothing is computed for links that are not being
updated, so that a sweep computes every link once.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from latflow._typing import Field, Links, Scalar
from latflow.batching import trailing
from latflow.fields.closings import Surroundings, closed_by, tables, taken
from latflow.fields.spaces import GaugeSpace

Update: TypeAlias = Callable[[Array, Array, Array], tuple[Array, Array]]
r"""Maps links U, the A of their weights $e^{\mathrm{Re\,tr}\,UA}$ and random numbers to new links and numbers."""


def n_turns(space: GaugeSpace, surroundings: Surroundings) -> tuple[int, int]:
    """Number of groups of links that a sweep updates one after another, and of links in each group."""
    count = space.ndim * surroundings.n_colours
    return count, space.ndim * space.lattice.volume // count


def sweep(
    links: Links,
    numbers: Float[Array, "turn number chosen"],
    beta: Scalar,
    *,
    space: GaugeSpace,
    surroundings: Surroundings,
    update: Update,
) -> tuple[Links, Float[Array, "turn chosen"]]:
    r"""One sweep over all links of $S=-\frac\beta N\sum\mathrm{Re\,tr}$.

    Args:
        links: Matrices, `GaugeSpace.links`.
        numbers: Random numbers for every group and link.
        beta: Coupling.
        space: Space of the links.
        surroundings: Paths that close the links.
        update: The update; the same function object in every call, since each one compiles a program.

    Returns:
        The links, and the number that `update` returns for each of them, group by group.
    """
    coupling = beta / space.group.n
    return _sweep(links, numbers, coupling, shape=space.lattice.shape, surroundings=surroundings, update=update)


@trailing
def _sweep(
    links: Links,
    numbers: Float[Array, "turn number chosen *batch"],
    coupling: Float[Array, "*batch"],
    *,
    shape: tuple[int, ...],
    surroundings: Surroundings,
    update: Update,
) -> tuple[Links, Float[Array, "turn chosen *batch"]]:
    d, n = links.shape[:2]
    table = tables(shape, surroundings)
    sites, colour, place = (jnp.asarray(t) for t in table[3:])
    volume, batch = place.shape[1], links.shape[3 + d :]
    strength = coupling.reshape(1, 1, 1, *coupling.shape)

    def turn(i: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        row, told = carry
        mu, now = i // surroundings.n_colours, i % surroundings.n_colours
        here = sites[mu, now]
        around = strength * closed_by(row, mu, here, shape=shape, surroundings=surroundings)
        new, number = update(taken(row, mu * volume + here), around, numbers[i])
        old = jax.lax.dynamic_slice_in_dim(row, mu * volume, volume, axis=2)
        chosen = (colour[mu] == now).reshape(1, 1, -1, *(1,) * len(batch))
        merged = jnp.where(chosen, taken(new, place[mu]), old)
        row = jax.lax.dynamic_update_slice_in_dim(row, merged, mu * volume, axis=2)
        return row, jax.lax.dynamic_update_index_in_dim(told, number, i, axis=0)

    row = jnp.moveaxis(links, 0, 2).reshape(n, n, d * volume, *batch)
    told = jnp.zeros((len(numbers), numbers.shape[2], *batch))
    row, told = jax.lax.fori_loop(0, len(numbers), turn, (row, told))
    return jnp.moveaxis(row.reshape(n, n, d, *shape, *batch), 2, 0), told


def updated(space: GaugeSpace, x: Field, *, before: Links, after: Links) -> Field:
    """The configuration whose matrices are `after`; angles of unchanged links keep every bit."""
    return after if space.group.element_shape else _angles(x, before, after)


@trailing
def _angles(x: Field, before: Links, after: Links) -> Field:
    return jnp.where(before[:, 0, 0] == after[:, 0, 0], x, jnp.angle(after[:, 0, 0]))
