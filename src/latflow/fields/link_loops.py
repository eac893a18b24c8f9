r"""Sums of the loops that begin with a link, for all links at once: the matrices of forces and gradient flows.

The loops on both sides of the two links of a plane share products of their sides: five matrix products per plane and
one per link, 34 for a site in four dimensions. A rectangle is treated as a plaquette with one side of two links.
Functions without `trailing` are for use inside an operation that is already `trailing`.
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
    """Sites whose plaquette of this plane does not cross an open boundary; all sites if boundaries are periodic."""
    if not open_boundaries:
        return np.ones(sites, dtype=bool)
    grid = np.indices(sites)
    mu, nu = plane
    return (grid[mu] < sites[mu] - 1) & (grid[nu] < sites[nu] - 1)


def weigh(x: Array, plane: tuple[int, int], *, sites: tuple[int, ...], open_boundaries: bool) -> Array:
    """Set the matrices of plaquettes that cross an open boundary to zero."""
    if not open_boundaries:
        return x
    mask = inside(sites, plane, open_boundaries=True)
    return jnp.where(mask.reshape(1, 1, *sites, *(1,) * (x.ndim - 2 - len(sites))), x, 0)


def sites_of(links: Links) -> tuple[int, ...]:
    """The shape of the lattice, without trailing batch axes."""
    return links.shape[3 : 3 + len(links)]


def around(a: Matrices, b: Matrices, mu: int, nu: int, steps: int = 1) -> tuple[Matrices, Matrices, Matrices]:
    """Both paths to the far corner, and the loop, of a rectangle with sides a (`steps` links along mu) and b (one)."""
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
    """The loop of `around`, and the paths that close its far sides: that along mu, then that along nu."""
    one, other, loop = around(a, b, mu, nu, steps)
    return loop, multiply(one, b, left_adjoint=True), multiply(other, a, left_adjoint=True)


@trailing
def loops_with_rectangles(links: Links, *, c1: float) -> Links:
    """As `plaquettes_through_links`, for (1 − 8c₁) times plaquettes plus c₁ times rectangles."""
    plaquettes = plaquettes_through_links(links)
    return (1 - 8 * c1) * plaquettes + c1 * rectangles_through_links(links)


@trailing
def rectangles_through_links(links: Links) -> Links:
    """As `plaquettes_through_links`, for 2×1 rectangles in both orientations: plaquettes with one double link."""
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
    """Algebra coefficients of the loop matrices of all links (`AbstractGroup.coefficients`)."""
    return jax.lax.map(group.coefficients, loops)
