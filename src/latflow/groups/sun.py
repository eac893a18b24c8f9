r"""SU(N): special unitary matrices, indices before sites.

Generators are half the generalised Gell-Mann matrices, in the usual order for N = 2 (Pauli) and 3 (Gell-Mann):
$\mathrm{tr}\,T_aT_b=\tfrac12\delta_{ab}$.
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from typing_extensions import override

from latflow._typing import Field, Matrices, PRNGKey, Scalar, Tangent
from latflow.arguments import require_type
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.groups.exponential import exponential
from latflow.groups.matrices import (
    adjoint,
    conjugate_transpose,
    determinant,
    deviation_from_unitarity,
    inverse,
    product,
)
from latflow.randomness import standard_normal

_LARGEST = 8
_PASSES = 2
_ANGLE_STEPS = 6
_SPARE = (0.71, -1.3, 0.37, 1.9, -0.53, 1.1, -0.83, 0.29)
"""Entries of a column that is none of the others'."""
_NEWTON_STEPS = 10  # enough for condition numbers up to 1e8


@functools.cache
def generators(n: int) -> Complex[np.ndarray, "generator row column"]:
    r"""$T_a$, $a=1\dots N^2-1$: for every column the two generators of each earlier row, then the diagonal one."""
    out = []
    for k in range(1, n):
        for j in range(k):
            for off in (0.5, -0.5j):
                t = np.zeros((n, n), dtype=complex)
                t[j, k], t[k, j] = off, np.conj(off)
                out.append(t)
        out.append(np.diag([1.0] * k + [-k] + [0.0] * (n - k - 1)) / math.sqrt(2 * k * (k + 1)))
    return np.stack(out)


class SU(AbstractGroup):
    """The special unitary group.

    Args:
        n: Size of the matrices, 2 to 8.

    Raises:
        TypeError: If `n` is no whole number.
        ConfigError: If `n` is out of range; SU(1) has a single element.
    """

    name: str = eqx.field(static=True)
    n: int = eqx.field(static=True)
    element_shape: tuple[int, ...] = eqx.field(static=True)
    algebra_shape: tuple[int, ...] = eqx.field(static=True)
    trace_norm: float = eqx.field(static=True)

    def __init__(self, n: int) -> None:
        require_type("group: N of SU(N)", n, (int, np.integer), f"a whole number from 2 to {_LARGEST}")
        if not 2 <= n <= _LARGEST:
            raise ConfigError([f"group: SU({n}); allowed: SU(2) to SU({_LARGEST})"])
        self.name = f"SU({n})"
        self.n = n
        self.element_shape = (n, n)
        self.algebra_shape = (n * n - 1,)
        self.trace_norm = 0.5

    @override
    def identity(self, sites: tuple[int, ...]) -> Field:
        one = jnp.eye(self.n, dtype=complex).reshape(self.n, self.n, *(1,) * len(sites))
        return jnp.broadcast_to(one, (self.n, self.n, *sites))

    @override
    def haar(self, key: PRNGKey, sites: tuple[int, ...]) -> Field:
        return _unitary_of(standard_normal(key, (2, self.n, self.n, *sites)))

    @property
    @override
    def n_uniforms(self) -> int:
        return 3 if self.n == 2 else 2 * self.n * (self.n - 1)

    @override
    def haar_of_uniforms(self, u: Float[Array, "n_uniforms *sites"]) -> Field:
        return _of_angle_and_axis(u) if self.n == 2 else _of_columns(u, n=self.n)

    @override
    def compose(self, g: Field, h: Field) -> Field:
        return product(g, h)

    @override
    def adjoint(self, g: Field) -> Field:
        return adjoint(g)

    @override
    def conjugate(self, g: Field) -> Field:
        return jnp.conj(g)

    @override
    def exp(self, p: Tangent) -> Field:
        return _exp(p, n=self.n)

    @override
    def move(self, g: Field, p: Tangent) -> Field:
        return product(_exp(p, n=self.n), g)

    @override
    def displace(self, g: Field, p: Tangent) -> Field:
        return product(_algebra(p, n=self.n), g)

    @override
    def displacement(self, g: Field, dg: Field) -> Tangent:
        return _coefficients(product(dg, g, right_adjoint=True))

    @override
    def matrices(self, g: Field) -> Matrices:
        return g

    @override
    def algebra(self, p: Tangent) -> Matrices:
        return _algebra(p, n=self.n)

    @override
    def coefficients(self, m: Matrices) -> Tangent:
        return _coefficients(m)

    @override
    def project(self, m: Matrices) -> Field:
        return _project(m)

    @override
    def defect(self, g: Field) -> Scalar:
        return deviation_from_unitarity(g)


def _hermitian(p: Float[Array, "generator *sites"], *, n: int) -> tuple[Array, Array]:
    """Real and imaginary part of p_a T_a."""
    t = np.moveaxis(generators(n), 0, -1)
    re, im = (jnp.tensordot(part.astype(p.dtype), p, 1) for part in (np.real(t), np.imag(t)))
    return re, im


@trailing
def _algebra(p: Float[Array, "generator *sites"], *, n: int) -> Matrices:
    re, im = _hermitian(p, n=n)
    return jax.lax.complex(-im, re)


@trailing
def _exp(p: Float[Array, "generator *sites"], *, n: int) -> Matrices:
    return exponential(jax.lax.optimization_barrier(jax.lax.complex(*_hermitian(p, n=n))))


@trailing
def _coefficients(m: Matrices) -> Float[Array, "generator *sites"]:
    r"""$2\,\mathrm{Im\,tr}(T_am)$."""
    t = 2 * np.swapaxes(generators(len(m)), 1, 2)
    re, im = jnp.real(m), jnp.imag(m)
    return jnp.tensordot(np.real(t).astype(re.dtype), im, 2) + jnp.tensordot(np.imag(t).astype(re.dtype), re, 2)


@trailing
def _of_angle_and_axis(u: Float[Array, "3 *sites"]) -> Matrices:
    r"""Of SU(2): the class angle ψ of density $2\sin^2\psi/\pi$, then the cosine and the azimuth of the axis."""
    area = jnp.pi * u[0]
    # the root of ψ - sin ψ cos ψ, which grows like ψ³ at both ends: Newton's steps from there never leave (0, π)
    side = jnp.minimum(area, jnp.pi - area)
    psi = jnp.minimum(jnp.cbrt(1.5 * side), jnp.pi / 2)
    for _ in range(_ANGLE_STEPS):
        sine = jnp.sin(psi)
        psi = psi - (psi - sine * jnp.cos(psi) - side) / (2 * sine**2)
    psi = jnp.where(u[0] < 0.5, psi, jnp.pi - psi)
    g = 1 - 2 * u[1]
    across = jnp.sin(psi) * jnp.sqrt((1 - g) * (1 + g))
    turn = 2 * jnp.pi * u[2]
    real, x, y, z = jnp.cos(psi), across * jnp.cos(turn), across * jnp.sin(turn), jnp.sin(psi) * g
    a, b = jax.lax.complex(real, z), jax.lax.complex(y, x)
    return jnp.stack([jnp.stack([a, b]), jnp.stack([-jnp.conj(b), jnp.conj(a)])])


@trailing
def _of_columns(u: Float[Array, "n_uniforms *sites"], *, n: int) -> Matrices:
    """All columns but the last from normal numbers, two for every entry; the last one makes the matrix unitary."""
    z = jax.scipy.special.ndtri(u).reshape(n - 1, n, 2, *u.shape[1:])
    known = jnp.moveaxis(z, (0, 1, 2), (2, 1, 0))
    # any column that is not in the span of the others: with alternating normal numbers that never happens
    rest = jnp.broadcast_to(jnp.asarray(_SPARE[:n]).reshape(1, n, 1, *(1,) * (u.ndim - 1)), (2, n, 1, *u.shape[1:]))
    return _unitary_of(jnp.concatenate([known, rest], axis=2))


@trailing
def _unitary_of(z: Float[Array, "2 row column *sites"]) -> Matrices:
    r"""Haar matrices of normal numbers: the Q of a QR decomposition whose R has a positive diagonal.

    Gram–Schmidt gives this choice of phases. The last column is multiplied by the phase that makes the determinant 1,
    which leaves the distribution invariant under multiplication from the left, hence Haar. Columns are orthogonalised
    twice, because one pass loses digits when the matrix is nearly singular.
    """
    columns = [jax.lax.complex(z[0, :, j], z[1, :, j]) for j in range(z.shape[2])]
    for _ in range(_PASSES):
        columns = _orthonormal(columns)
    u = jnp.stack(columns, axis=1)
    last = columns[-1] * jnp.conj(determinant(u))[None]
    return jnp.stack([*columns[:-1], last], axis=1)


def _orthonormal(columns: list[Array]) -> list[Array]:
    out: list[Array] = []
    for column in columns:
        for earlier in out:
            column = column - earlier * jnp.sum(jnp.conj(earlier) * column, axis=0, keepdims=True)
        length = jnp.sqrt(jnp.sum(jnp.real(column) ** 2 + jnp.imag(column) ** 2, axis=0, keepdims=True))
        out.append(jax.lax.optimization_barrier(column / length))
    return out


@trailing
def _project(m: Matrices) -> Matrices:
    u = jax.lax.fori_loop(0, _NEWTON_STEPS, lambda _, x: _newton_step(x), m)
    phase = jnp.angle(determinant(u)) / len(m)
    return u * jnp.exp(-1j * phase)[None, None]


def _newton_step(x: Matrices) -> Matrices:
    r"""$x\to\tfrac12(sx+(sx)^{-\dagger})$, which converges to the unitary polar factor; s balances both norms.

    Unlike a singular value decomposition it is differentiable at equal singular values, which every group element has.
    N. J. Higham, Functions of Matrices (2008), section 8.6.
    """
    opposite = conjugate_transpose(inverse(x))
    scale = jax.lax.optimization_barrier(jnp.sqrt(_length(opposite) / _length(x)))[None, None]
    return jax.lax.optimization_barrier(0.5 * (scale * x + opposite / scale))


def _length(a: Matrices) -> Float[Array, "*sites"]:
    return jnp.sqrt(jnp.sum(jnp.real(a) ** 2 + jnp.imag(a) ** 2, axis=(0, 1)))
