r"""Sums over time slices of links, and products of the plaquettes of one slice with velocities of another.

$h(t)$ is the sum of $\frac1N\mathrm{Re\,tr}\,P$ over the plaquettes within slice t and half of that over those between
it and its two neighbours, less a constant each, so that $\sum_th(t)$ is the sum over the lattice. Links within a slice
belong to it, those between two slices with one half to each; $f(t)$ and $v(t)$ of a velocity are divided alike. The
velocity of distance r is $\frac12\sum_t[h(t+r)+h(t-r)]\,v(t)$.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

BySlice = Float[Array, "time *batch"]


class OfVelocity(NamedTuple):
    r"""Of one velocity, sums over the links of every slice; `between` of those from it to the next one.

    Attributes:
        within: $\partial\cdot v-v\cdot\partial S$ of links within the slice.
        between: The same of links between.
        level: $v\cdot\partial$ of the plaquettes within the slice, of links within.
        ahead: Of the plaquettes to the next slice, of links within.
        behind: Of those to the previous one.
        crossing: Of the plaquettes to the next slice, of links between.
    """

    within: BySlice
    between: BySlice
    level: BySlice
    ahead: BySlice
    behind: BySlice
    crossing: BySlice


def distances(time: int) -> range:
    """Distances of slices on a periodic lattice, up to half of it."""
    return range(time // 2 + 1)


def of_slices(within: BySlice, between: BySlice) -> BySlice:
    """Sums of slices from those within and those between: half of these belongs to either side."""
    return within + (between + jnp.roll(between, 1, axis=0)) / 2


def symmetric(h: BySlice, r: int) -> BySlice:
    """The mean of h at t + r and t − r."""
    return (jnp.roll(h, -r, axis=0) + jnp.roll(h, r, axis=0)) / 2


def products_of_slices(h: BySlice, v: OfVelocity) -> list[Float[Array, "*batch"]]:
    r"""$\partial\cdot v-v\cdot\partial S$ of the velocity of every distance.

    Args:
        h: Of every slice.
        v: Of the velocity.
    """
    time, f = len(h), of_slices(v.within, v.between)
    ahead, behind, crossing = (jnp.sum(x, axis=0) for x in (v.ahead, v.behind, v.crossing))
    near = jnp.sum(v.level, axis=0) + (ahead + behind + crossing) / 2
    found = []
    for r in distances(time):
        slope = near * _share(0, r, time)
        slope = (
            slope + (ahead / 2 + crossing / 4) * _share(1, r, time) + (behind / 2 + crossing / 4) * _share(-1, r, time)
        )
        found.append(jnp.sum(symmetric(h, r) * f, axis=0) + slope)
    return found


def _share(step: int, r: int, time: int) -> float:
    """Half for each of ±r that leads as many slices on as `step`."""
    return sum((step - sign * r) % time == 0 for sign in (1, -1)) / 2


def profile(h: Float[Array, " time"], r: int, *, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """What multiplies the velocities of every link, of the shape of a momentum.

    Args:
        h: Of every slice.
        r: Distance.
        shape: Directions first, time last in both senses.
    """
    here = symmetric(h, r)
    halfway = (here + jnp.roll(here, -1)) / 2
    by_direction = [jnp.broadcast_to(here, shape[1:])] * (shape[0] - 1) + [jnp.broadcast_to(halfway, shape[1:])]
    return jnp.stack(by_direction)


def counts(shape: tuple[int, ...]) -> tuple[int, int]:
    """Plaquettes within a slice, and between one and the next."""
    space, volume = len(shape) - 1, math.prod(shape[:-1])
    return volume * space * (space - 1) // 2, volume * space


def slices_of_plaquettes(within: BySlice, between: BySlice, *, shape: tuple[int, ...], centre: float) -> BySlice:
    """The function h from sums of traces.

    Args:
        within: Of the plaquettes within every slice.
        between: Of those to the next one.
        shape: Of the lattice.
        centre: What is subtracted of every trace.
    """
    inside, outside = counts(shape)
    return of_slices(within, between) - centre * (inside + outside)
