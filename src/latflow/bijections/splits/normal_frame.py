r"""Eigenvectors of normal matrices of any size by Jacobi's rotations, and the frame of elements of SU(N).

Every rotation diagonalises a 2×2 block of a Hermitian combination $\cos\psi\,A+\sin\psi\,B$ of the matrix $A+iB$, with
the ψ for which that block has the largest difference of eigenvalues (J.-F. Cardoso and A. Souloumiac, SIAM J. Matrix
Anal. Appl. 17 (1996) 161). Frames are orthonormal to rounding for every matrix. Blocks whose eigenvalues differ by less
than 2e-8 are not rotated: rounding errors of the matrix do not turn such a frame, and it has no derivative there.
Derivatives are those of perturbation theory, as in `latflow.bijections.splits.eigenframe`.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from latflow._typing import Matrices
from latflow.bijections.splits.eigenframe import Eigenframe
from latflow.groups.matrices import elementary, multiply, power_traces, powers

_SAME = 1e-8
_SWEEPS = 7
_TINY = 1e-24
_SPARE = (0.71, -1.3, 0.37, 1.9, -0.53, 1.1, -0.83, 0.29)
"""Entries of a column that is none of the others', in another order for each of them."""
_TURN = 2 * np.pi

Values = Complex[Array, "n *sites"]


def sun_frame(p: Matrices) -> Eigenframe:
    """Angles of elements of SU(N) in the cell of zero sum, smallest absolute values first, and their eigenvectors.

    No angle is 2π above another. Angles that differ by less than 1e-8 keep the order of the rotations. For use inside
    an operation that is `latflow.batching.trailing`.

    Args:
        p: Matrix indices first.
    """
    values, frame = diagonalised(p)
    angles = jnp.angle(values)
    turns = jnp.round(jnp.sum(angles, axis=0) / _TURN)[None]
    rank = _ranks(-angles)
    angles = angles - _TURN * ((rank < turns).astype(float) - (rank >= len(p) + turns))
    order = _ranks(jnp.abs(angles))
    return Eigenframe(arranged(angles, order), arranged(frame, order, axis=1))


def arranged(x: Array, ranks: Int[Array, "n *sites"], *, axis: int = 0) -> Array:
    """The entries along an axis in the order of their ranks."""
    n = len(ranks)
    chosen = jnp.moveaxis(x, axis, 0)
    masks = [(ranks == i).reshape(n, *(1,) * axis, *ranks.shape[1:]) for i in range(n)]
    return jnp.stack([jnp.sum(jnp.where(mask, chosen, 0.0), axis=0) for mask in masks], axis=axis)


def _ranks(keys: Float[Array, "n *sites"]) -> Int[Array, "n *sites"]:
    """How many keys are smaller; of those that are the same to 1e-8, those that stand earlier."""
    steps = jnp.round(jax.lax.stop_gradient(keys) / _SAME)
    earlier = np.tri(len(keys), k=-1, dtype=bool).T.reshape(len(keys), len(keys), *(1,) * (keys.ndim - 1))
    before = (steps[:, None] < steps[None]) | ((steps[:, None] == steps[None]) & earlier)
    return jnp.sum(before, axis=0)


@jax.custom_jvp
def diagonalised(a: Matrices) -> tuple[Values, Matrices]:
    """Eigenvalues and eigenvectors, as columns, of normal matrices, in no order; real for real symmetric matrices."""
    n = len(a)
    pairs = jnp.asarray(list(itertools.combinations(range(n), 2)) * _SWEEPS)
    one = jnp.eye(n, dtype=a.dtype).reshape(n, n, *(1,) * (a.ndim - 2))
    start = (a, jnp.broadcast_to(one, a.shape))
    a, frame = jax.lax.fori_loop(0, len(pairs), functools.partial(_rotated, pairs), start)
    return jnp.stack([a[i, i] for i in range(n)]), frame


def _rotated(pairs: Int[Array, "n_pairs 2"], i: Array, state: tuple[Matrices, Matrices]) -> tuple[Matrices, Matrices]:
    """After one rotation, of the eigenvector of a 2×2 block that is nearest to the first axis."""
    a, frame = state
    p, q = pairs[i]
    upper, lower = a[p], a[q]
    difference, above, below = (upper[p] - lower[q]) / 2, upper[q], jnp.conj(lower[p])
    hermitian, other = (above + below) / 2, (above - below) / 2j
    first = [jnp.real(difference), jnp.real(hermitian), jnp.imag(hermitian)]
    second = [jnp.imag(difference), jnp.real(other), jnp.imag(other)]
    squares = [sum(x * y for x, y in zip(*pair, strict=True)) for pair in ((first, first), (second, second))]
    product = sum(x * y for x, y in zip(first, second, strict=True))
    psi = jnp.arctan2(2 * product, squares[0] - squares[1]) / 2
    x, y, z = (jnp.cos(psi) * u + jnp.sin(psi) * v for u, v in zip(first, second, strict=True))
    length = jnp.sqrt(x**2 + y**2 + z**2)
    apart = length > _SAME
    length = jnp.where(apart, length, 1.0) * jnp.where(x < 0, -1.0, 1.0)
    c = jnp.where(apart, jnp.sqrt((1 + x / length) / 2), 1.0)
    s = jnp.where(apart, (y - 1j * z) / (2 * c * length), 0.0)
    c, s = jax.lax.optimization_barrier((c[None], s[None]))
    a = a.at[p].set(c * upper + jnp.conj(s) * lower).at[q].set(c * lower - s * upper)
    return _columns(a, p, q, c, s), _columns(frame, p, q, c, s)


def _columns(a: Matrices, p: Array, q: Array, c: Array, s: Array) -> Matrices:
    left, right = a[:, p], a[:, q]
    return a.at[:, p].set(c * left + s * right).at[:, q].set(c * right - jnp.conj(s) * left)


@diagonalised.defjvp
def _perturbed(
    primals: tuple[Matrices], tangents: tuple[Matrices]
) -> tuple[tuple[Values, Matrices], tuple[Values, Matrices]]:
    r"""$\dot\lambda_i=N_{ii}$ and $\dot V=VK$, $K_{ij}=N_{ij}/(\lambda_j-\lambda_i)$, with $N=V^\dagger\dot AV$."""
    values, frame = diagonalised(*primals)
    change = multiply(multiply(frame, tangents[0], left_adjoint=True), frame)
    gaps = values[None] - values[:, None]
    square = jnp.real(gaps) ** 2 + jnp.imag(gaps) ** 2
    apart = square > _SAME**2
    turn = jnp.where(apart, change * jnp.conj(gaps) / jnp.where(apart, square, 1.0), 0.0)
    diagonal = jnp.stack([change[i, i] for i in range(len(values))])
    return (values, frame), (diagonal, multiply(frame, turn))


def singular(b: Float[Array, "n n *sites"]) -> tuple[Float[Array, "n n *sites"], Float[Array, "n *sites"], Array]:
    r"""$L$, σ, $R$ of $B=L\,\mathrm{diag}(\sigma)R^T$ with rotations L and R; the last σ has the sign of det B.

    Args:
        b: Real matrices, of any rank.
    """
    n = len(b)
    square = jnp.sum(b[:, :, None] * b[:, None], axis=0)
    values, frame = diagonalised(square.astype(complex))
    order = _ranks(-jnp.real(values))
    right = _turned(arranged(jnp.real(frame), order, axis=1))
    image = jnp.sum(b[:, :, None] * right[None], axis=1)
    columns: list[Array] = []
    for i in range(n):
        spare = jnp.asarray(np.roll(_SPARE[:n], i)).reshape(n, *(1,) * (b.ndim - 2))
        column = image[:, i]
        for _ in range(3):
            for earlier in columns:
                column = column - earlier * jnp.sum(earlier * column, axis=0, keepdims=True)
            size = jnp.sum(column**2, axis=0, keepdims=True)
            # where the rank is smaller, any column that is none of the others'
            regular = size > _TINY
            column = jnp.where(regular, column / jnp.sqrt(jnp.where(regular, size, 1.0)), spare)
        columns.append(jax.lax.optimization_barrier(column))
    left = _turned(jnp.stack(columns, axis=1))
    return left, jnp.stack([jnp.sum(left[:, i] * image[:, i], axis=0) for i in range(n)]), right


def _turned(frame: Float[Array, "n n *sites"]) -> Float[Array, "n n *sites"]:
    """A rotation: with the other sign of the last column where the determinant is −1."""
    n = len(frame)
    determinant = elementary(power_traces(powers(frame.astype(complex), n - 1), n))[n]
    sign = jnp.where(jnp.real(determinant) < 0, -1.0, 1.0)
    return jnp.concatenate([frame[:, :-1], frame[:, -1:] * sign[None, None]], axis=1)
