r"""Coordinates of an SU(3) matrix X beside a plaquette: five numbers with known Haar densities, and three phases.

In the eigenframe of P the weight of two Wilson blocks is $\exp\lambda\,\mathrm{Re\,tr}(XD)$, $D=\mathrm{diag}(k_j)$,
$k_j=\cos\alpha_j/2$. The first column of X is

$$(\cos\xi+i\sin\xi\cos\upsilon,\ \sqrt s\,re^{i\phi_2},\ \sqrt{1-s}\,re^{i\phi_3}),\qquad r=\sin\xi\sin\upsilon,$$

with Haar density $\sin^4\xi\,\sin^3\upsilon$, uniform in s and phases. What remains is an element Y of SU(2) in the
orthogonal complement. The weight of Y is $\exp 2\lambda k\cos\omega$, with ω the angle of $Z=\hat KY$ and
$k\hat K$ a matrix that depends on the column: the centre of the heat bath. The last coordinate is the cosine of the
axis of Z. Phases do not change under conjugation with diagonal matrices in a way that the map could notice, and are
left alone.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from latflow._typing import Matrices

_TINY = 1e-30

Phases = Complex[Array, "3 *sites"]


class Chart(NamedTuple):
    """Coordinates of X.

    Attributes:
        values: ξ/π, υ/π, s, ω/π and half of one plus the cosine of the axis of Z; all in [0, 1].
        phases: Of the second and third entry of the first column, and of the transverse part of the axis.
    """

    values: Float[Array, "5 *sites"]
    phases: Phases


class Column(NamedTuple):
    """First column with real lower entries, and the centre of the heat bath of the rest."""

    head: Complex[Array, "*sites"]
    tail: Float[Array, "*sites"]
    upper: Float[Array, "*sites"]
    lower: Float[Array, "*sites"]
    centre: tuple[Complex[Array, "*sites"], Complex[Array, "*sites"]]


def read(x: Matrices, k: Float[Array, "3 *sites"]) -> Chart:
    """Coordinates of matrices in the eigenframe.

    Args:
        x: X.
        k: Cosines of half the angles of P.
    """
    head, second, third = x[0, 0], x[1, 0], x[2, 0]
    tail = jnp.sqrt(_squared(second) + _squared(third) + _TINY**2)
    xi = jnp.arctan2(jnp.sqrt(jnp.imag(head) ** 2 + tail**2), jnp.real(head)) / jnp.pi
    upsilon = jnp.arctan2(tail, jnp.imag(head)) / jnp.pi
    share = jnp.clip(_squared(second) / tail**2, 0.0, 1.0)
    first, other = _phase(second), _phase(third)
    column = _column(xi, upsilon, share, k)
    # entries of the second and third column, in the frame where the first one is real below its head
    b = [[x[0, 1] * first, x[0, 2] * other]]
    b += [[x[1, 1], x[1, 2] * other * jnp.conj(first)], [x[2, 1] * first * jnp.conj(other), x[2, 2]]]
    y = [_overlap(column, [row[i] for row in b]) for i in (0, 1)]
    (a, c), ((y11, y21), (y12, _)) = column.centre, y
    z11, z12 = a * y11 + c * y21, a * y12 + c * jnp.conj(y11)
    length = jnp.sqrt(jnp.imag(z11) ** 2 + _squared(z12) + _TINY**2)
    omega = jnp.arctan2(length, jnp.real(z11)) / jnp.pi
    tilt = jnp.clip((1 + jnp.imag(z11) / length) / 2, 0.0, 1.0)
    return Chart(jnp.stack([xi, upsilon, share, omega, tilt]), jnp.stack([first, other, _phase(z12)]))


def build(chart: Chart, k: Float[Array, "3 *sites"]) -> Matrices:
    """The matrices of coordinates: inverse of `read`."""
    xi, upsilon, share, omega, tilt = chart.values
    first, other, across = chart.phases
    column = _column(xi, upsilon, share, k)
    sine = jnp.sin(jnp.pi * omega)
    z11 = jnp.cos(jnp.pi * omega) + 1j * sine * (2 * tilt - 1)
    z12 = sine * 2 * _root(tilt * (1 - tilt)) * across
    a, c = column.centre
    y11, y12 = jnp.conj(a) * z11 + c * jnp.conj(z12), jnp.conj(a) * z12 - c * jnp.conj(z11)
    second = _spanned(column, y11, -jnp.conj(y12))
    third = _spanned(column, y12, jnp.conj(y11))
    columns = [[column.head, column.tail * column.upper * first, column.tail * column.lower * other]]
    columns.append([second[0] * jnp.conj(first), second[1], second[2] * other * jnp.conj(first)])
    columns.append([third[0] * jnp.conj(other), third[1] * first * jnp.conj(other), third[2]])
    return jnp.stack([jnp.stack(entries) for entries in columns], axis=1)


def strength(k: Float[Array, "3 *sites"], cosine: Array, square: Array) -> tuple[Array, Array]:
    """(2k)² of the heat bath of the block at s = 1 and s = 0, between which it is linear in s.

    Args:
        k: Cosines of half the angles of P.
        cosine: Real part of the head of the column.
        square: Its absolute square.
    """
    _, k2, k3 = k
    cross = 2 * k2 * k3 * cosine
    return k2**2 * square + k3**2 + cross, k2**2 + k3**2 * square + cross


def _column(xi: Array, upsilon: Array, share: Array, k: Float[Array, "3 *sites"]) -> Column:
    sine = jnp.sin(jnp.pi * xi)
    head = jnp.cos(jnp.pi * xi) + 1j * sine * jnp.cos(jnp.pi * upsilon)
    upper, lower = _root(share), _root(1 - share)
    a = upper * (k[1] * jnp.conj(head) + k[2])
    c = -lower * (k[1] + k[2] * head)
    square = _squared(a) + _squared(c)
    regular = square > _TINY
    length = jnp.sqrt(jnp.where(regular, square, 1.0))
    centre = (jnp.where(regular, a / length, 1.0), jnp.where(regular, c / length, 0.0))
    return Column(head, sine * jnp.sin(jnp.pi * upsilon), upper, lower, centre)


def _spanned(column: Column, one: Array, two: Array) -> list[Array]:
    """A vector with two components in the complement of the first column."""
    head = jnp.conj(column.head)
    return [
        -column.tail * one,
        head * column.upper * one - column.lower * two,
        head * column.lower * one + column.upper * two,
    ]


def _overlap(column: Column, vector: list[Array]) -> tuple[Array, Array]:
    """Components of a vector in the complement: adjoint of `_spanned`."""
    within = column.upper * vector[1] + column.lower * vector[2]
    return column.head * within - column.tail * vector[0], column.upper * vector[2] - column.lower * vector[1]


def _phase(z: Complex[Array, "*sites"]) -> Complex[Array, "*sites"]:
    """z/|z|, and one at zero."""
    square = _squared(z)
    regular = square > _TINY
    return jnp.where(regular, z / jnp.sqrt(jnp.where(regular, square, 1.0)), 1.0)


def _root(x: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """Square root, with a derivative of zero at zero."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def _squared(z: Complex[Array, "*sites"]) -> Float[Array, "*sites"]:
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2
