r"""Velocities along loops, weighted link by link with functions of the plaquettes through the link.

Let M be the sum of the plaquettes through a link, $T=\mathrm{Re\,tr}\,M$ and $L=\mathrm{tr}\,MM^\dagger$ less its mean
over Haar links. L does not contain the link and $\partial_aT=-c\,v_a(M)$, so that for every matrix W of
`latflow.fields.loop_velocities`

$$\partial_a(\varphi(T,L)\,v_a(W))=\varphi\,\partial_av_a(W)-c\,\frac{\partial\varphi}{\partial T}\,v_a(M)\,v_a(W).$$

The factors φ are T, T² and L: no further product of matrices is needed.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Matrices
from latflow.fields.loop_velocities import path_names, power_of_beta, projected, trace_of_product
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import diagonal_sum, multiply

_POWERS = {"T": 1, "TT": 2, "L": 1}
"""The factors, and the powers of β that they add."""

_THE_SAME = ("T·plaquette", "L·plaquette")
_THE_SAME_UP_TO_SU2 = ("T·square", "L·square")
"""Products that are combinations of other kinds."""


class Factor(NamedTuple):
    """A function of T and L, and its derivative with respect to T."""

    value: Float[Array, "*sites"]
    slope: Float[Array, "*sites"]


def product_names(group: AbstractGroup, sites: tuple[int, ...]) -> tuple[str, ...]:
    """The kinds of paths of a group on a lattice, followed by their products with the factors.

    Args:
        group: Of the links.
        sites: Extents of the lattice.
    """
    plain = path_names(group, sites)
    same = (*_THE_SAME, *(_THE_SAME_UP_TO_SU2 if group.n <= 2 else ()))
    products = [joined(factor, name) for factor in _POWERS for name in plain]
    return (*plain, *(name for name in products if name not in same))


def joined(factor: str, path: str) -> str:
    """The name of a product; of paths alone where the factor is empty."""
    return f"{factor}·{path}" if factor else path


def split_name(name: str) -> tuple[str, str]:
    """Factor and kind of paths; the factor of paths alone is empty."""
    factor, _, path = name.rpartition("·")
    return factor, path


def product_power(name: str) -> int:
    """As `power_of_beta`, for products as well."""
    factor, path = split_name(name)
    return power_of_beta(path) + _POWERS.get(factor, 0)


def factors_of(loops: Matrices, *, n_staples: int) -> dict[str, Factor]:
    """Of the links of one direction every factor by name; that of paths alone is 1 and has no name.

    Args:
        loops: The sum of the plaquettes through each link.
        n_staples: How many plaquettes that are.
    """
    trace = jnp.real(diagonal_sum(loops))
    length = jnp.real(diagonal_sum(multiply(loops, loops, right_adjoint=True))) - n_staples * len(loops)
    one, zero = jnp.ones_like(trace), jnp.zeros_like(trace)
    return {
        "": Factor(one, zero),
        "T": Factor(trace, one),
        "TT": Factor(trace**2, 2 * trace),
        "L": Factor(length, zero),
    }


def along(loops: Matrices, w: Matrices, *, group: AbstractGroup) -> Float[Array, "*sites"]:
    r"""$v_a(W)\,\partial_aT$: how T rises along the velocity of W.

    Args:
        loops: The sum of the plaquettes through each link.
        w: Other paths that begin with the links.
        group: Of the links.
    """
    return trace_of_product(projected(loops, group), w)
