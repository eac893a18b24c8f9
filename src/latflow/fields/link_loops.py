r"""Sums of the loops that begin with a link, for all links at once: what forces and gradient flows are made of.

In one plane the loops above and below a link and left and right of another share their sides: five matrix products per
plane and one per link, 34 for a site in four dimensions. A rectangle is a plaquette with one side of two links.
Functions without `trailing` are for use inside an operation that has it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from latflow._typing import Links, Matrices, Tangent
from latflow.batching import trailing
from latflow.fields.transport import neighbour, total
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import conjugate_transpose, multiply


def planes(sites: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs of directions, the smaller one first."""
    return [(mu, nu) for mu in range(len(sites)) for nu in range(mu + 1, len(sites))]


def inside(sites: tuple[int, ...], plane: tuple[int, int], *, open_boundaries: bool) -> np.ndarray:
    """Where a plaquette of this plane does not reach across an edge; everywhere if there is none."""
    if not open_boundaries:
        return np.ones(sites, dtype=bool)
    grid = np.indices(sites)
    mu, nu = plane
    return (grid[mu] < sites[mu] - 1) & (grid[nu] < sites[nu] - 1)


def weigh(x: Array, plane: tuple[int, int], *, sites: tuple[int, ...], open_boundaries: bool) -> Array:
    """`x`, an array of matrices, with zero for plaquettes that are left out."""
    if not open_boundaries:
        return x
    mask = inside(sites, plane, open_boundaries=True)
    return jnp.where(mask.reshape(1, 1, *sites, *(1,) * (x.ndim - 2 - len(sites))), x, 0)


def sites_of(links: Links) -> tuple[int, ...]:
    """The shape of the lattice, without what trails."""
    return links.shape[3 : 3 + len(links)]


def around(a: Matrices, b: Matrices, mu: int, nu: int, steps: int = 1) -> tuple[Matrices, Matrices, Matrices]:
    """The loop of a, `steps` long along mu, and b, one long along nu, after both ways to its far corner."""
    one, other = multiply(a, neighbour(b, mu, steps)), multiply(b, neighbour(a, nu))
    return one, other, multiply(one, other, right_adjoint=True)


@trailing
def plaquettes_through_links(links: Links, *, open_boundaries: bool = False) -> Links:
    r"""$U_\mu(x)A_\mu(x)$ for every link: the sum of all plaquettes through it, beginning with it."""
    d, sites = len(links), sites_of(links)
    whole, rest = [[] for _ in range(d)], [[] for _ in range(d)]
    for mu, nu in planes(sites):
        loop, below, left = (
            weigh(m, (mu, nu), sites=sites, open_boundaries=open_boundaries)
            for m in _loops_of_plane(links[mu], links[nu], mu, nu)
        )
        whole[mu].append(loop)
        whole[nu].append(conjugate_transpose(loop))
        rest[mu].append(neighbour(below, nu, -1))
        rest[nu].append(neighbour(left, mu, -1))
    return jnp.stack([total(whole[mu]) + multiply(links[mu], total(rest[mu])) for mu in range(d)])


def _loops_of_plane(a: Matrices, b: Matrices, mu: int, nu: int, steps: int = 1) -> tuple[Matrices, Matrices, Matrices]:
    """The loop of `around`, and from its far sides back to them: what closes a on the far side, and b on the other."""
    one, other, loop = around(a, b, mu, nu, steps)
    return loop, multiply(one, b, left_adjoint=True), multiply(other, a, left_adjoint=True)


@trailing
def loops_with_rectangles(links: Links, *, c1: float) -> Links:
    """The same for plaquettes and rectangles with their coefficients."""
    plaquettes = plaquettes_through_links(links)
    return (1 - 8 * c1) * plaquettes + c1 * rectangles_through_links(links)


@trailing
def rectangles_through_links(links: Links) -> Links:
    """The same for rectangles of 2×1 plaquettes, both ways round: plaquettes of a double link."""
    d = len(links)
    double = [multiply(u, neighbour(u, mu)) for mu, u in enumerate(links)]
    long, long_rest = [[] for _ in range(d)], [[] for _ in range(d)]
    short, short_rest = [[] for _ in range(d)], [[] for _ in range(d)]
    for mu in range(d):
        for nu in (nu for nu in range(d) if nu != mu):
            loop, below, left = _loops_of_plane(double[mu], links[nu], mu, nu, 2)
            long[mu].append(loop)
            short[nu].append(conjugate_transpose(loop))
            long_rest[mu].append(neighbour(below, nu, -1))
            short_rest[nu].append(neighbour(left, mu, -2))
    out = []
    for mu, u in enumerate(links):
        begun = total(long[mu]) + multiply(double[mu], total(long_rest[mu]))
        # the same loops, beginning with the second link of the double one
        carried = neighbour(multiply(multiply(u, begun, left_adjoint=True), u), mu, -1)
        out.append(begun + carried + total(short[mu]) + multiply(u, total(short_rest[mu])))
    return jnp.stack(out)


@trailing
def coefficients_of_loops(loops: Links, *, group: AbstractGroup) -> Tangent:
    """Projections of the matrices of all links on the algebra."""
    return jax.lax.map(group.coefficients, loops)
