r"""Eigenvalues and eigenvectors of SU(3) matrices, as a frame for what is equivariant under conjugation.

The eigenvalue that is farthest from the two others is split off with a projector, the rest is a 2×2 matrix with a
closed form. Frames are orthonormal to rounding for every matrix. Their error is that of the matrix over the gap between
eigenvalues. Eigenvalues that differ by less than 1e-8 count as one: their frame is a fixed function of the rest, so
that rounding errors of the matrix do not turn it, and it has no derivative. Derivatives are those of perturbation
theory, not of the way the frame was found.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from latflow._typing import Matrices
from latflow.groups.matrices import conjugate_transpose, diagonal_sum, multiply

_SAME = 1e-8
"""Distance below which eigenvalues count as one."""
_TURN = 2 * np.pi
_THIRDS = np.exp(1j * _TURN / 3 * np.arange(3))

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
    return Eigenframe(*_framed(p))


@jax.custom_jvp
def _framed(p: Matrices) -> tuple[Float[Array, "3 *sites"], Matrices]:
    apart = _spread(p)
    vector = _isolated(apart, _others(_eigenvalues(apart)))
    vector = _isolated(apart, _others_of(apart, vector))
    first, second = _complement(vector)
    value = _between(vector, p, vector)
    block = [[_between(a, p, b) for b in (first, second)] for a in (first, second)]
    (upper, lower), (above, below) = _diagonal(block)
    columns = [vector, _combined(above, first, second), _combined(below, first, second)]
    return _sorted([jnp.angle(value), jnp.angle(upper), jnp.angle(lower)], columns)


@_framed.defjvp
def _perturbed(
    primals: tuple[Matrices], tangents: tuple[Matrices]
) -> tuple[tuple[Array, Matrices], tuple[Array, Matrices]]:
    r"""First order.

    With $N=V^\dagger\dot PV$ the angles change by $\mathrm{Im}\,\lambda_i^*N_{ii}$, and $\dot V=VK$ with
    $K_{ij}=N_{ij}/(\lambda_j-\lambda_i)$.
    """
    angles, frame = _framed(*primals)
    change = in_frame(frame, tangents[0])
    values = jnp.cos(angles) + 1j * jnp.sin(angles)
    gaps = values[None] - values[:, None]
    square = _squared(gaps)
    apart = square > _SAME**2
    turn = jnp.where(apart, change * jnp.conj(gaps) / jnp.where(apart, square, 1.0), 0.0)
    diagonal = jnp.stack([change[i, i] for i in range(3)])
    return (angles, frame), (jnp.imag(jnp.conj(values) * diagonal), multiply(frame, turn))


def _spread(p: Matrices) -> Matrices:
    """The same eigenvectors, trace zero, eigenvalues of order one; a fixed matrix where all are the same."""
    one = _padded(np.eye(3), p)
    a = p - (diagonal_sum(p) / 3)[None, None] * one
    length = jnp.sqrt(jnp.sum(_squared(a), axis=(0, 1)) / 3)
    several = length > _SAME
    a = a / jnp.where(several, length, 1.0)[None, None]
    return jnp.where(several[None, None], a, _padded(np.diag(_THIRDS), p))


def _eigenvalues(a: Matrices) -> Vector:
    """Roots of x³ + px + q by Cardano's formula; about eight digits where two of them coincide."""
    p = -diagonal_sum(multiply(a, a)) / 2
    rows = [[a[i, j] for j in range(3)] for i in range(3)]
    minors = [rows[1][i] * rows[2][j] - rows[1][j] * rows[2][i] for i, j in ((1, 2), (2, 0), (0, 1))]
    q = -(rows[0][0] * minors[0] + rows[0][1] * minors[1] + rows[0][2] * minors[2])
    root = jnp.sqrt(q * q / 4 + p**3 / 27)
    plus, minus = -q / 2 + root, -q / 2 - root
    big = jnp.where(jnp.abs(plus) > jnp.abs(minus), plus, minus)
    c = jnp.exp(jnp.log(big) / 3)
    return jnp.stack([c * complex(w) - p / (3 * c * complex(w)) for w in _THIRDS])


def _others(values: Vector) -> tuple[Array, Array]:
    """The two eigenvalues beside the one that is farthest from its nearest neighbour."""
    x, y, z = values
    xy, yz, zx = jnp.abs(x - y), jnp.abs(y - z), jnp.abs(z - x)
    # the closest pair stays together
    first = (yz <= xy) & (yz <= zx)
    second = ~first & (zx <= xy)
    return jnp.where(first, y, jnp.where(second, z, x)), jnp.where(first, z, jnp.where(second, x, y))


def _others_of(a: Matrices, vector: Vector) -> tuple[Array, Array]:
    """The two other eigenvalues, from the sum and the product that remain."""
    value = _between(vector, a, vector)
    product = value * value - diagonal_sum(multiply(a, a)) / 2
    root = jnp.sqrt(value * value / 4 - product)
    return root - value / 2, -root - value / 2


def _isolated(a: Matrices, others: tuple[Array, Array]) -> Vector:
    """The eigenvector of the remaining eigenvalue: a column of (A − λ')(A − λ'')."""
    one = _padded(np.eye(3), a)
    projector = multiply(a - others[0][None, None] * one, a - others[1][None, None] * one)
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
    regular = square > (_SAME / 2) ** 2
    length = jnp.sqrt(jnp.where(regular, square, 1.0))
    x, y, z = (jnp.where(regular, part / length, fallback) for part, fallback in ((x, 0.0), (y, 0.0), (z, 1.0)))
    angle = jnp.arctan2(jnp.where(regular, length, 0.0), jnp.real(a + d) / 2)
    up, side = z >= 0, x + 1j * y
    norm = jnp.sqrt(2 * (1 + jnp.abs(z)))
    one, other = jnp.where(up, 1 + z, jnp.conj(side)) / norm, jnp.where(up, side, 1 - z) / norm
    # the sine of a rounded π would put two equal eigenvalues on both sides of the cut at −1
    turn = jnp.cos(angle) + 1j * jnp.where(regular, jnp.sin(angle), 0.0)
    return (phase * turn, phase * jnp.conj(turn)), ((one, other), (-jnp.conj(other), jnp.conj(one)))


def _sorted(angles: list[Array], columns: list[Vector]) -> tuple[Float[Array, "3 *sites"], Matrices]:
    """In descending order in the cell of zero sum, then the middle one first."""
    angles, columns = _descending(angles, columns)
    turns = jnp.round((angles[0] + angles[1] + angles[2]) / _TURN)
    angles = [angles[0] - _TURN * (turns > 0), angles[1], angles[2] + _TURN * (turns < 0)]
    angles, columns = _descending(angles, columns)
    return jnp.stack([angles[i] for i in (1, 0, 2)]), jnp.stack([columns[i] for i in (1, 0, 2)], axis=1)


def _descending(angles: list[Array], columns: list[Vector]) -> tuple[list[Array], list[Vector]]:
    """From the largest angle to the smallest; those that count as one keep their order."""
    angles, columns = list(angles), list(columns)
    for i, j in ((0, 1), (1, 2), (0, 1)):
        swap = angles[i] < angles[j] - _SAME
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
    return vector / jnp.sqrt(jnp.sum(_squared(vector), axis=0, keepdims=True))


def _padded(matrix: np.ndarray, like: Matrices) -> Complex[Array, "3 3 *ones"]:
    return jnp.asarray(matrix, like.dtype).reshape(3, 3, *(1,) * (like.ndim - 2))


def _squared(z: Complex[Array, "..."]) -> Float[Array, "..."]:
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2


def in_frame(frame: Matrices, a: Matrices) -> Matrices:
    """V†aV."""
    return multiply(multiply(frame, a, left_adjoint=True), frame)


def from_frame(frame: Matrices, a: Matrices) -> Matrices:
    """VaV†."""
    return multiply(multiply(frame, a), conjugate_transpose(frame))
