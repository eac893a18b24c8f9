r"""Parallel transport: plaquettes, loops, staples and lines of link matrices, in any dimension.

All functions take matrices `[mu, row, column, *sites]` (`GaugeSpace.links`; 1×1 for U(1)) and return one matrix
per site, whose loop begins at that site. Periodic boundaries. Each is one operation under `vmap`
(`latflow.batching.trailing`).
"""

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from latflow._typing import Links, Matrices
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.given import require_type, require_whole
from latflow.groups.matrices import multiply

Loop = TypeVar("Loop", bound=Callable[..., Any])


def _checked(loop: Loop) -> Loop:
    """Refuse what is no configuration as matrices before it is traced."""

    @functools.wraps(loop)
    def called(links: Any, **directions: int) -> Any:
        require_type("links", links, jax.Array | np.ndarray, "matrices [mu, row, column, *sites] of space.links(x)")
        if links.ndim < 4:
            shape = f"links: shape {links.shape}"
            raise ConfigError([f"{shape}; allowed: matrices [mu, row, column, *sites] of space.links(x)"])
        for name, value in directions.items():
            require_whole(name, value)
        return loop(links, **directions)

    return called  # pyright: ignore[reportReturnType] (the same arguments)


def neighbour(m: Matrices, mu: int, steps: int = 1) -> Matrices:
    r"""The matrices at $x+s\hat\mu$, seen from x; for use inside an operation that is already `trailing`."""
    return jnp.roll(m, -steps, axis=2 + mu)


@trailing
def shifted(m: Matrices, *, mu: int, steps: int = 1) -> Matrices:
    r"""The matrices at $x+s\hat\mu$, seen from x."""
    return neighbour(m, mu, steps)


@_checked
@trailing
def plaquette(links: Links, *, mu: int, nu: int) -> Matrices:
    r"""$P_{\mu\nu}(x)=U_\mu(x)U_\nu(x+\hat\mu)U_\mu^\dagger(x+\hat\nu)U_\nu^\dagger(x)$.

    Args:
        links: One gauge configuration as matrices.
        mu: First direction.
        nu: Second direction, another one.
    """
    return _loop(links[mu], links[nu], mu, nu, 1, 1)


@_checked
@trailing
def wilson_loop(links: Links, *, mu: int, nu: int, steps_mu: int, steps_nu: int) -> Matrices:
    r"""The rectangle of `steps_mu` × `steps_nu` plaquettes that leaves x in direction `mu`.

    Args:
        links: One gauge configuration as matrices.
        mu: First direction.
        nu: Second direction, another one.
        steps_mu: Extent along `mu`, at least 1.
        steps_nu: Extent along `nu`, at least 1.
    """
    return _loop(_line(links[mu], mu, steps_mu), _line(links[nu], nu, steps_nu), mu, nu, steps_mu, steps_nu)


@trailing
def line(links: Links, *, mu: int, steps: int) -> Matrices:
    r"""$U_\mu(x)U_\mu(x+\hat\mu)\cdots$, `steps` links long."""
    return _line(links[mu], mu, steps)


@_checked
@trailing
def polyakov_line(links: Links, *, mu: int) -> Inexact[Array, "row column *others"]:
    r"""The product of all links along `mu`, from $x_\mu=0$ around the lattice: `[row, column, *other sites]`."""
    along = [jnp.take(links[mu], i, axis=2 + mu) for i in range(links.shape[3 + mu])]
    return functools.reduce(multiply, along)


@trailing
def staples(links: Links, *, mu: int, others: tuple[int, ...] | None = None) -> Matrices:
    r"""Sum of the three-link paths closing every link in direction `mu`.

    Summed so that $\sum_{P\ni U}\mathrm{Re\,tr}\,P=\mathrm{Re\,tr}\,U_\mu(x)A_\mu(x)$; see docs/conventions.md,
    "links". In general not in the group.

    Args:
        links: One gauge configuration as matrices.
        mu: Direction, ``0 <= mu < d``.
        others: Directions of the planes to sum over; all but `mu` by default.

    References:
        Gattringer & Lang, Quantum Chromodynamics on the Lattice (2010), section 4.1.
    """
    others = tuple(range(len(links))) if others is None else others
    return total(part for nu in others if nu != mu for part in _two_staples(links[mu], links[nu], mu, nu))


@trailing
def staples_of_plane(u: Matrices, v: Matrices, *, mu: int, nu: int) -> Matrices:
    """As `staples`, for one plane with links u along `mu` and v along `nu`, which may be smeared differently."""
    return total(_two_staples(u, v, mu, nu))


def total(parts: Iterable[Inexact[Array, "*shape"]]) -> Inexact[Array, "*shape"]:
    """Sum of at least one array."""
    return functools.reduce(operator.add, parts)


def _two_staples(u: Matrices, v: Matrices, mu: int, nu: int) -> tuple[Matrices, Matrices]:
    """The path over the side x + nu, and the one over x − nu."""
    end = neighbour(v, mu)
    above = multiply(multiply(end, neighbour(u, nu), right_adjoint=True), v, right_adjoint=True)
    below = multiply(multiply(u, end), v, left_adjoint=True)
    return above, neighbour(below, nu, -1)


def _line(u: Matrices, mu: int, steps: int) -> Matrices:
    return functools.reduce(multiply, (neighbour(u, mu, i) for i in range(steps)))


def _loop(u: Matrices, v: Matrices, mu: int, nu: int, steps_mu: int, steps_nu: int) -> Matrices:
    """The rectangle with sides u, `steps_mu` links along mu, and v, `steps_nu` links along nu."""
    there = multiply(u, neighbour(v, mu, steps_mu))
    return multiply(there, multiply(v, neighbour(u, nu, steps_nu)), right_adjoint=True)
