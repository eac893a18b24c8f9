r"""Sums of the paths that close a link to loops (staples and longer ones), for links of one direction at chosen sites.

An action made of loops is linear in every link, $S=-\frac\beta N\mathrm{Re\,tr}\,U_\mu(x)A_\mu(x)+\ldots$, and links
that share no loop can be updated at once. `Surroundings` holds these paths and a colouring of the links: those of one
colour may be updated together. Sites are numbered in one row and paths are followed through tables of neighbours, so
that direction and sites can be loop variables of a compiled program, which is then the same for all of them.
"""

import dataclasses
import functools
import operator
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Int

from latflow.errors import ConfigError
from latflow.groups.matrices import conjugate_transpose, multiply

Sites: TypeAlias = Int[Array, " chosen"]
Row: TypeAlias = Complex[Array, "row column links *batch"]
"""The matrices of all links in one row, link (mu, x) at position mu · V + x."""


class Closing(NamedTuple):
    """A path from the end of a link back to its beginning.

    Attributes:
        weight: Its coefficient in the sum.
        steps: Directions step by step: 1 is that of the link, 2 the other one of the plane; a minus sign is backwards.
    """

    weight: float
    steps: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Surroundings:
    r"""The paths that close the links of an action, and the colouring of links that share no loop.

    Attributes:
        closings: Paths in every plane that contains the link.
        n_colours: Links (mu, x) of one mu and of one colour $(kx_\mu+\sum_{\nu\ne\mu}x_\nu)\bmod n$ share no loop.
        along: The coefficient k in that colour.
        open_boundaries: Whether loops that reach across an edge of the lattice are left out.
    """

    closings: tuple[Closing, ...]
    n_colours: int
    along: int
    open_boundaries: bool = False

    def require(self, shape: tuple[int, ...]) -> None:
        """Refuse a lattice whose extents do not fit the colouring.

        Raises:
            ConfigError: If an extent is not a multiple of the number of colours.
        """
        if any(extent % self.n_colours for extent in shape):
            allowed = {2: "even extents"}.get(self.n_colours, f"multiples of {self.n_colours}")
            raise ConfigError([f"lattice.shape: {list(shape)}; allowed: {allowed}, for link updates of this action"])


def around_plaquettes(*, open_boundaries: bool = False) -> Surroundings:
    """Both staples of every plane."""
    staples = (Closing(1.0, (2, -1, -2)), Closing(1.0, (-2, -1, 2)))
    return Surroundings(staples, n_colours=2, along=1, open_boundaries=open_boundaries)


def around_rectangles(c1: float) -> Surroundings:
    """Staples, and the six paths that close rectangles, with coefficients 1 − 8c₁ and c₁."""
    turned = ((2, 2, -1, -2, -2), (1, 2, -1, -1, -2), (2, -1, -1, -2, 1))
    long = [tuple(sign * step if abs(step) == 2 else step for step in path) for path in turned for sign in (1, -1)]
    staples = [Closing((1 - 8 * c1) * weight, steps) for weight, steps in around_plaquettes().closings]
    return Surroundings((*staples, *(Closing(c1, steps) for steps in long)), n_colours=4, along=2)


class Tables(NamedTuple):
    """Sites by number.

    Attributes:
        forward: The site after x in direction mu, at mu · V + x.
        backward: The one before.
        inside: Whether link (mu, x) stays inside the lattice, likewise.
        sites: The sites of a colour, for every direction.
        colour: The colour of a site, for every direction.
        place: Position of the site among those of its colour.
    """

    forward: Int[np.ndarray, " links"]
    backward: Int[np.ndarray, " links"]
    inside: Bool[np.ndarray, " links"]
    sites: Int[np.ndarray, "mu colour chosen"]
    colour: Int[np.ndarray, "mu all"]
    place: Int[np.ndarray, "mu all"]


@functools.cache
def tables(shape: tuple[int, ...], surroundings: Surroundings) -> Tables:
    """Neighbours and colours of a lattice that fits (`Surroundings.require`)."""
    d, grid = len(shape), np.indices(shape)
    number = np.arange(grid[0].size).reshape(shape)
    forward, backward = (
        np.stack([np.roll(number, s, axis=mu).reshape(-1) for mu in range(d)]).astype(np.int32) for s in (-1, 1)
    )
    inside = np.stack([grid[mu] < shape[mu] - 1 for mu in range(d)])
    weights = 1 + (surroundings.along - 1) * np.eye(d, dtype=int)
    colour = (np.tensordot(weights, grid, 1) % surroundings.n_colours).reshape(d, -1)
    order = np.argsort(colour, axis=1, kind="stable")
    sites = order.reshape(d, surroundings.n_colours, -1)
    place = np.argsort(order, axis=1) % sites.shape[2]
    return Tables(
        forward.reshape(-1),
        backward.reshape(-1),
        inside.reshape(-1),
        sites.astype(np.int32),
        colour.astype(np.int32),
        place.astype(np.int32),
    )


def closed_by(
    row: Row, mu: Int[Array, ""], sites: Sites, *, shape: tuple[int, ...], surroundings: Surroundings
) -> Complex[Array, "row column chosen *batch"]:
    """The sum of all paths that close the links of direction mu at `sites`, with their weights.

    For use inside an operation that is already `trailing`.
    """

    def plane(j: Int[Array, ""], total: Array) -> Array:
        nu = j + (j >= mu)
        for closing in surroundings.closings:
            total = total + _path(row, (mu, nu), sites, closing, shape=shape, surroundings=surroundings)
        return total

    zero = jnp.zeros((*row.shape[:2], len(sites), *row.shape[3:]), row.dtype)
    return jax.lax.fori_loop(0, len(shape) - 1, plane, zero)


def taken(row: Row, numbers: Int[Array, " chosen"]) -> Complex[Array, "row column chosen *batch"]:
    """The matrices at some positions of a row."""
    return jax.lax.optimization_barrier(row.at[:, :, numbers].get(mode="promise_in_bounds"))


def _path(
    row: Row,
    plane: tuple[Int[Array, ""], Int[Array, ""]],
    sites: Sites,
    closing: Closing,
    *,
    shape: tuple[int, ...],
    surroundings: Surroundings,
) -> Array:
    table = tables(shape, surroundings)
    forward, backward, inside = (jnp.asarray(t) for t in table[:3])
    volume = len(table.place[0])
    passed = [plane[0] * volume + sites]
    here = forward[passed[0]]
    for step in closing.steps:
        start = plane[abs(step) - 1] * volume
        passed.append(start + (here if step > 0 else backward[start + here]))
        here = forward[passed[-1]] if step > 0 else passed[-1] - start
    out = taken(row, passed[1])
    out = out if closing.steps[0] > 0 else conjugate_transpose(out)
    for step, link in zip(closing.steps[1:], passed[2:], strict=True):
        out = multiply(out, taken(row, link), right_adjoint=step < 0)
    if not surroundings.open_boundaries:
        return closing.weight * out
    counts = functools.reduce(operator.and_, (inside[link] for link in passed))
    return jnp.where(counts.reshape(1, 1, -1, *(1,) * (out.ndim - 3)), closing.weight * out, 0)
