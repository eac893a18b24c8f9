r"""Eigenvalues and eigenvectors of SU(3) matrices, as a frame for what is equivariant under conjugation.

The eigenvalue that is farthest from the two others is split off with a projector, the rest is a 2×2 matrix with a
closed form. Frames are orthonormal to rounding for every matrix. Where eigenvalues coincide any frame is one of the
matrix, and the result is some fixed choice.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from latflow._typing import Matrices
from latflow.groups.matrices import conjugate_transpose, diagonal_sum, multiply

_TINY = 1e-30
_TURN = 2 * np.pi

Vector = Complex[Array, "3 *sites"]


class Eigenframe(NamedTuple):
    """Angles and eigenvectors, for use inside an operation that is `latflow.batching.trailing`.

    Attributes:
        angles: The middle, the largest and the smallest; their sum is zero, none is 2π above another.
        frame: Eigenvectors as columns, in that order.
    """

    angles: Float[Array, "3 *sites"]
    frame: Matrices


def eigenframe(p: Matrices) -> Eigenframe:
    """Of every matrix.

    Args:
        p: Elements of SU(3), matrix indices first.
    """
    vector = _isolated(p, _others(_eigenvalues(diagonal_sum(p))))
    vector = _isolated(p, _others_of(p, vector))
    first, second = _complement(vector)
    value = _between(vector, p, vector)
    block = [[_between(a, p, b) for b in (first, second)] for a in (first, second)]
    (upper, lower), (above, below) = _diagonal(block)
    columns = [vector, _combined(above, first, second), _combined(below, first, second)]
    return _sorted([jnp.angle(value), jnp.angle(upper), jnp.angle(lower)], columns)


def _eigenvalues(trace: Complex[Array, "*sites"]) -> Vector:
    """Roots of x³ − tx² + t*x − 1 by Cardano's formula; about eight digits where two of them coincide."""
    t = trace
    p = jnp.conj(t) - t * t / 3
    q = -1 + t * jnp.conj(t) / 3 - 2 * t**3 / 27
    root = jnp.sqrt(q * q / 4 + p**3 / 27 + 1e-18)
    plus, minus = -q / 2 + root, -q / 2 - root
    big = jnp.where(jnp.abs(plus) > jnp.abs(minus), plus, minus)
    c = jnp.exp(jnp.log(big + 1e-18) / 3)
    thirds = np.exp(1j * _TURN / 3 * np.arange(3))
    return jnp.stack([t / 3 + c * w - p / (3 * c * w) for w in thirds])


def _others(values: Vector) -> tuple[Array, Array]:
    """The two eigenvalues beside the one that is farthest from its nearest neighbour."""
    x, y, z = values
    xy, yz, zx = jnp.abs(x - y), jnp.abs(y - z), jnp.abs(z - x)
    # the closest pair stays together
    first = (yz <= xy) & (yz <= zx)
    second = ~first & (zx <= xy)
    return jnp.where(first, y, jnp.where(second, z, x)), jnp.where(first, z, jnp.where(second, x, y))


def _others_of(p: Matrices, vector: Vector) -> tuple[Array, Array]:
    """The two other eigenvalues, from the sum and the product that remain."""
    value = _between(vector, p, vector)
    total, product = diagonal_sum(p) - value, jnp.conj(value)
    root = jnp.sqrt(total * total / 4 - product + 1e-18)
    return total / 2 + root, total / 2 - root


def _isolated(p: Matrices, others: tuple[Array, Array]) -> Vector:
    """The eigenvector of the remaining eigenvalue: a column of (P − λ')(P − λ'')."""
    one = jnp.eye(3).reshape(3, 3, *(1,) * (p.ndim - 2))
    projector = multiply(p - others[0][None, None] * one, p - others[1][None, None] * one)
    lengths = jnp.sum(_squared(projector), axis=0)
    zeroth = (lengths[0] >= lengths[1]) & (lengths[0] >= lengths[2])
    first = ~zeroth & (lengths[1] >= lengths[2])
    column = jnp.where(zeroth[None], projector[:, 0], jnp.where(first[None], projector[:, 1], projector[:, 2]))
    return _unit(column)


def _complement(vector: Vector) -> tuple[Vector, Vector]:
    """Two more vectors of an orthonormal frame; the first one from the axis in which the vector is smallest."""
    sizes = _squared(vector)
    zeroth = (sizes[0] <= sizes[1]) & (sizes[0] <= sizes[2])
    first = ~zeroth & (sizes[1] <= sizes[2])
    axis = jnp.stack([zeroth, first, ~(zeroth | first)]).astype(vector.dtype)
    beside = _unit(axis - vector * jnp.sum(jnp.conj(vector) * axis, axis=0, keepdims=True))
    return beside, jnp.conj(jnp.cross(vector, beside, axis=0))


def _diagonal(block: list[list[Array]]) -> tuple[tuple[Array, Array], tuple[tuple[Array, Array], tuple[Array, Array]]]:
    """Eigenvalues and eigenvectors of a unitary 2×2 matrix, a phase times an element of SU(2)."""
    (a, b), (c, d) = block
    phase = jnp.sqrt(a * d - b * c)
    a, b, c, d = (jnp.conj(phase) * part for part in (a, b, c, d))
    x, y, z = jnp.imag(b + c) / 2, jnp.real(b - c) / 2, jnp.imag(a - d) / 2
    square = x**2 + y**2 + z**2
    regular = square > _TINY
    length = jnp.sqrt(jnp.where(regular, square, 1.0))
    x, y, z = (jnp.where(regular, part / length, fallback) for part, fallback in ((x, 0.0), (y, 0.0), (z, 1.0)))
    angle = jnp.arctan2(jnp.where(regular, length, 0.0), jnp.real(a + d) / 2)
    up, side = z >= 0, x + 1j * y
    norm = jnp.sqrt(2 * (1 + jnp.abs(z)))
    one, other = jnp.where(up, 1 + z, jnp.conj(side)) / norm, jnp.where(up, side, 1 - z) / norm
    turn = jnp.cos(angle) + 1j * jnp.sin(angle)
    return (phase * turn, phase * jnp.conj(turn)), ((one, other), (-jnp.conj(other), jnp.conj(one)))


def _sorted(angles: list[Array], columns: list[Vector]) -> Eigenframe:
    """In descending order in the cell of zero sum, then the middle one first."""
    angles, columns = _descending(angles, columns)
    turns = jnp.round((angles[0] + angles[1] + angles[2]) / _TURN)
    angles = [angles[0] - _TURN * (turns > 0), angles[1], angles[2] + _TURN * (turns < 0)]
    angles, columns = _descending(angles, columns)
    return Eigenframe(jnp.stack([angles[i] for i in (1, 0, 2)]), jnp.stack([columns[i] for i in (1, 0, 2)], axis=1))


def _descending(angles: list[Array], columns: list[Vector]) -> tuple[list[Array], list[Vector]]:
    angles, columns = list(angles), list(columns)
    for i, j in ((0, 1), (1, 2), (0, 1)):
        swap = angles[i] < angles[j]
        angles[i], angles[j] = jnp.where(swap, angles[j], angles[i]), jnp.where(swap, angles[i], angles[j])
        first, second = columns[i], columns[j]
        columns[i], columns[j] = jnp.where(swap[None], second, first), jnp.where(swap[None], first, second)
    return angles, columns


def _between(a: Vector, p: Matrices, b: Vector) -> Complex[Array, "*sites"]:
    """a†Pb."""
    return jnp.sum(jnp.conj(a)[:, None] * p * b[None], axis=(0, 1))


def _combined(parts: tuple[Array, Array], first: Vector, second: Vector) -> Vector:
    return parts[0][None] * first + parts[1][None] * second


def _unit(vector: Vector) -> Vector:
    square = jnp.sum(_squared(vector), axis=0, keepdims=True)
    regular = square > _TINY
    axis = jnp.zeros_like(vector).at[0].set(1.0)
    return jnp.where(regular, vector / jnp.sqrt(jnp.where(regular, square, 1.0)), axis)


def _squared(z: Complex[Array, "..."]) -> Float[Array, "..."]:
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2


def in_frame(frame: Matrices, a: Matrices) -> Matrices:
    """V†aV."""
    return multiply(multiply(frame, a, left_adjoint=True), frame)


def from_frame(frame: Matrices, a: Matrices) -> Matrices:
    """VaV†."""
    return multiply(multiply(frame, a), conjugate_transpose(frame))
