r"""Matrices of paths that begin with a link, with the divergence of the velocity along each in closed form.

A matrix W of paths through the link U gives the velocity $v_a=\mathrm{Im\,tr}(T_aW)/c$ of that link. Only derivatives
along the same link enter the divergence. With $\sum_a(T_a)_{ij}(T_a)_{kl}=c\,(\delta_{il}\delta_{jk}-s\,\delta_{ij}
\delta_{kl})$, s = 1/N for SU(N) and 0 for U(1), and κ = N − s, so that $C_F=c\,\kappa$, it is for matrices in which U
occurs once

$$\partial_av_a=\kappa\,\mathrm{Re\,tr}\,W;$$

each further occurrence adds a product of traces. Let A be the staples of U, M = UA the plaquettes through it, and F
the sum of the staples of another link in its place, the link "fat":

- `plaquette` M; `cubic` $MM^\dagger M$; `weighted` $M\,\mathrm{tr}MM^\dagger$: U occurs once, because $M^\dagger M$ and
  $\mathrm{tr}\,MM^\dagger$ do not contain it;
- `square` $M^2$; `trace` $M\,\mathrm{tr}M$; `conjugate` $M\,(\mathrm{tr}M)^*$: it occurs twice;
- `opposite`, `side`: a staple whose opposite link or one of whose sides is fat, loops of six links. Where F runs back
  over U the path is trivial: it moves nothing and its trace does not count;
- `sides`, `corner`: both sides, or a side and the opposite link, are fat. A path that runs back over U over one fat
  link has lost U or has it beside $U^\dagger$, and no divergence; over both it is $P^\dagger$ and has −κ Re tr P;
- `far`: the opposite link is replaced by staples of its own whose opposite link is fat: rectangles of 1×3 and their
  bent forms.

Where two kinds are the same for a group, one is left out; on lattices with an extent below 3 or 4 the larger ones.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Links, Matrices
from latflow.fields.transport import neighbour, total
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import conjugate_transpose, diagonal_sum, multiply

_LEAST_EXTENT = {
    "plaquette": 2,
    "square": 2,
    "trace": 2,
    "conjugate": 2,
    "cubic": 2,
    "weighted": 2,
    "opposite": 3,
    "side": 3,
    "sides": 3,
    "corner": 3,
    "far": 4,
}
_THE_SAME = {1: ("trace", "conjugate", "weighted"), 2: ("trace", "conjugate", "weighted")}
"""By N: kinds that are multiples of others, or move nothing."""


_ORDER = {"plaquette": 1, "square": 2, "trace": 2, "conjugate": 2, "opposite": 2, "side": 2}
"""Of the trivialising map of Wilson's action in powers of β: where it first contains loops of this kind; else 3."""


def path_names(group: AbstractGroup, sites: tuple[int, ...], *, order: int = 3) -> tuple[str, ...]:
    """The kinds of paths of a group that fit on a lattice and differ from each other.

    Args:
        group: Of the links.
        sites: Extents of the lattice.
        order: 1: plaquettes alone; 2: also products of two of them and loops of six links; 3: all.
    """
    same = _THE_SAME.get(group.n, ())
    fitting = [name for name, least in _LEAST_EXTENT.items() if min(sites) >= least and name not in same]
    return tuple(name for name in fitting if power_of_beta(name) <= order)


def power_of_beta(name: str) -> int:
    """In which order of β the trivialising map of Wilson's action first contains paths of this kind, at most 3."""
    return _ORDER.get(name, 3)


class Paths(NamedTuple):
    """Of all links of one direction: the matrices of a kind of paths, and the divergence of their velocity."""

    matrices: Matrices
    divergence: Float[Array, "*sites"]


class Staples(NamedTuple):
    """Paths that close every link of a lattice, by direction mu and nu: over the side x + nu, and over x − nu."""

    above: Mapping[tuple[int, int], Matrices]
    below: Mapping[tuple[int, int], Matrices]

    def around(self, mu: int, others: Sequence[int]) -> Matrices:
        """The sum over some directions nu."""
        return total(part[mu, nu] for nu in others for part in self)


def subtraction(group: AbstractGroup) -> float:
    """The number s of this module."""
    return 1 / group.n if group.element_shape else 0.0


def projected(m: Matrices, group: AbstractGroup) -> Matrices:
    """The part of matrices in the algebra: anti-Hermitian, without trace for SU(N)."""
    half = (m - conjugate_transpose(m)) / 2
    one = jnp.eye(len(m)).reshape(len(m), len(m), *(1,) * (m.ndim - 2))
    return half - subtraction(group) * diagonal_sum(half)[None, None] * one


def trace_of_product(algebra: Matrices, w: Matrices) -> Float[Array, "*sites"]:
    """Re tr of both; for elements of the algebra minus c times the product of both as velocities."""
    return jnp.real(jnp.sum(algebra * jnp.swapaxes(w, 0, 1), axis=(0, 1)))


def staples_of(links: Links) -> Staples:
    """All staples; for use inside an operation that is already `trailing`."""
    above, below = {}, {}
    for mu, u in enumerate(links):
        for nu, v in enumerate(links):
            if mu != nu:
                above[mu, nu], below[mu, nu] = _Sides(mu, nu).closed(v, u, v)
    return Staples(above, below)


def paths(links: Links, staples: Staples, *, names: Sequence[str], group: AbstractGroup) -> list[dict[str, Paths]]:
    """Of every direction, all kinds of paths by name; for use inside an operation that is already `trailing`."""
    d, s = len(links), subtraction(group)
    others = [[nu for nu in range(d) if nu != mu] for mu in range(d)]
    closing = [staples.around(mu, others[mu]) for mu in range(d)]
    loops = [multiply(u, a) for u, a in zip(links, closing, strict=True)]
    out = [_powers(loop, s) for loop in loops]
    if "side" in names:
        fat = [conjugate_transpose(a) for a in closing]
        traces = [jnp.real(diagonal_sum(loop)) for loop in loops]
        for mu in range(d):
            out[mu] |= _fattened(links, fat, mu, s)
            if "sides" in names:
                out[mu] |= _doubly_fattened(links, fat, traces, mu, s)
    if "far" in names:
        _add_far(links, out, [conjugate_transpose(a) for a in closing], s)
    return [{name: found[name] for name in names} for found in out]


def _powers(m: Matrices, s: float) -> dict[str, Paths]:
    """Products of the plaquettes through a link with each other."""
    kappa = len(m) - s
    square, gram = multiply(m, m), multiply(m, m, right_adjoint=True)
    z, z2, size = diagonal_sum(m), diagonal_sum(square), jnp.real(diagonal_sum(gram))
    cubic, length = multiply(gram, m), jnp.real(z) ** 2 + jnp.imag(z) ** 2
    return {
        "plaquette": Paths(m, kappa * jnp.real(z)),
        "square": Paths(square, jnp.real((kappa - s) * z2 + z * z)),
        "trace": Paths(m * z[None, None], jnp.real((kappa - s) * z * z + z2)),
        "conjugate": Paths(m * jnp.conj(z)[None, None], (kappa + s) * length - size),
        "cubic": Paths(cubic, kappa * jnp.real(diagonal_sum(cubic))),
        "weighted": Paths(m * size[None, None], kappa * size * jnp.real(z)),
    }


class _Sides(NamedTuple):
    """The plane of a staple of links along mu."""

    mu: int
    nu: int

    def closed(self, right: Matrices, opposite: Matrices, left: Matrices) -> tuple[Matrices, Matrices]:
        """The path over x + nu and the one over x − nu, of sides along nu and the opposite link along mu."""
        over = multiply(neighbour(right, self.mu), neighbour(opposite, self.nu), right_adjoint=True)
        under = multiply(opposite, neighbour(right, self.mu))
        back = multiply(under, left, left_adjoint=True)
        return multiply(over, left, right_adjoint=True), neighbour(back, self.nu, -1)

    def both(self, right: Matrices, opposite: Matrices, left: Matrices) -> Matrices:
        """The sum of both."""
        return total(self.closed(right, opposite, left))


def _fattened(links: Links, fat: Sequence[Matrices], mu: int, s: float) -> dict[str, Paths]:
    """Staples of one direction with one fat link."""
    u, n = links[mu], len(links[mu])
    sums = {"opposite": [], "side": []}
    for nu in range(len(links)):
        if nu == mu:
            continue
        v, f, plane = links[nu], fat[nu], _Sides(mu, nu)
        sums["opposite"].append(plane.both(v, fat[mu], v))
        sums["side"] += [plane.both(f, u, v), plane.both(v, u, f)]
    staples = 2 * (len(links) - 1)
    return _closed_by(u, sums, {"opposite": n * staples, "side": 2 * n * staples}, s)


def _doubly_fattened(
    links: Links, fat: Sequence[Matrices], traces: Sequence[Float[Array, "*sites"]], mu: int, s: float
) -> dict[str, Paths]:
    """Staples of one direction with two fat links."""
    sums, lost = {"sides": [], "corner": []}, {"sides": [], "corner": []}
    for nu in range(len(links)):
        if nu == mu:
            continue
        v, f, plane = links[nu], fat[nu], _Sides(mu, nu)
        sums["sides"].append(plane.both(f, links[mu], f))
        sums["corner"] += [plane.both(f, fat[mu], v), plane.both(v, fat[mu], f)]
        along, across = traces[mu], traces[nu]
        sides = _either(across, nu) + _either(jnp.roll(across, -1, axis=mu), nu)
        lost["sides"].append(sides)
        lost["corner"].append(2 * (jnp.roll(along, -1, axis=nu) + jnp.roll(along, 1, axis=nu)) + sides)
    return _closed_by(links[mu], sums, {name: total(parts) for name, parts in lost.items()}, s)


def _closed_by(
    u: Matrices, sums: Mapping[str, Sequence[Matrices]], trivial: Mapping[str, float | Array], s: float
) -> dict[str, Paths]:
    """The paths that begin with u, without the traces of those that run back over it."""
    kappa = len(u) - s
    found = {name: multiply(u, total(parts)) for name, parts in sums.items()}
    return {name: Paths(w, kappa * (jnp.real(diagonal_sum(w)) - trivial[name])) for name, w in found.items()}


def _either(x: Float[Array, "*sites"], nu: int) -> Float[Array, "*sites"]:
    """Of the side that leaves x along nu, and of the one that arrives."""
    return x + jnp.roll(x, 1, axis=nu)


def _add_far(links: Links, out: Sequence[dict[str, Paths]], fat: Sequence[Matrices], s: float) -> None:
    """Staples whose opposite link is fat twice."""
    for mu, u in enumerate(links):
        planes = [(links[nu], _Sides(mu, nu)) for nu in range(len(links)) if nu != mu]
        twice = conjugate_transpose(total(plane.both(v, fat[mu], v) for v, plane in planes))
        w = multiply(u, total(plane.both(v, twice, v) for v, plane in planes))
        out[mu]["far"] = Paths(w, (len(u) - s) * jnp.real(diagonal_sum(w)))
