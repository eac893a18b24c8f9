"""Small complex matrices at every site, indices before sites: products, traces, characteristic polynomials.

A product is one broadcast multiplication and one sum over flattened sites. An optimisation barrier follows it, because
XLA would otherwise recompute a factor for every element that reads it. Every operation accepts any number of axes
behind the matrix indices, so that a batch of configurations is one more axis (`latflow.batching.trailing`).
"""

import functools
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from latflow._typing import Matrices
from latflow.batching import trailing


@trailing
def product(a: Matrices, b: Matrices, *, left_adjoint: bool = False, right_adjoint: bool = False) -> Matrices:
    r"""$ab$ at every site, or with $a^\dagger$ or $b^\dagger$ in place of a factor."""
    return multiply(a, b, left_adjoint=left_adjoint, right_adjoint=right_adjoint)


@trailing
def adjoint(a: Matrices) -> Matrices:
    """Hermitian conjugate at every site."""
    return conjugate_transpose(a)


@trailing
def trace(a: Matrices) -> Inexact[Array, "*sites"]:
    """Trace at every site."""
    return diagonal_sum(a)


@trailing
def determinant(a: Matrices) -> Inexact[Array, "*sites"]:
    """Determinant at every site, from traces of powers; accurate for matrices with eigenvalues of order one."""
    n = len(a)
    return elementary(power_traces(powers(a, n - 1), n))[n]


# For use inside an operation that is already `trailing` ---------------------------------------------------------------


def multiply(a: Matrices, b: Matrices, *, left_adjoint: bool = False, right_adjoint: bool = False) -> Matrices:
    """The body of `product`."""
    shape = a.shape
    a = conjugate_transpose(a) if left_adjoint else a
    b = conjugate_transpose(b) if right_adjoint else b
    a, b = a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1)
    return jax.lax.optimization_barrier(jnp.sum(a[:, :, None] * b[None], axis=1)).reshape(shape)


def conjugate_transpose(a: Matrices) -> Matrices:
    """The body of `adjoint`."""
    return jnp.conj(jnp.swapaxes(a, 0, 1))


def diagonal_sum(a: Matrices) -> Inexact[Array, "*sites"]:
    """The body of `trace`."""
    return functools.reduce(operator.add, (a[i, i] for i in range(len(a))))


def powers(a: Matrices, n: int) -> list[Matrices]:
    """The first n powers, from a itself on."""
    out = [a]
    while len(out) < n:
        out.append(multiply(out[-1], a))
    return out[:n]


def power_traces(a: list[Matrices], n: int) -> list[Inexact[Array, "*sites"]]:
    """Traces of the first n powers, computed from at least the first n/2 powers themselves."""
    traces = [diagonal_sum(power) for power in a[:n]]
    for k in range(len(traces) + 1, n + 1):
        half = k // 2
        traces.append(jnp.sum(a[half - 1] * jnp.swapaxes(a[k - half - 1], 0, 1), axis=(0, 1)))
    return traces


def elementary(traces: list[Inexact[Array, "*sites"]]) -> list[Inexact[Array, "*sites"]]:
    """Elementary symmetric polynomials of the eigenvalues, from the zeroth on, by Newton's identities."""
    out = [jnp.ones_like(traces[0])]
    for k in range(1, len(traces) + 1):
        terms = ((-1) ** (i - 1) * out[k - i] * traces[i - 1] for i in range(1, k + 1))
        out.append(functools.reduce(operator.add, terms) / k)
    return out


def inverse(a: Matrices) -> Matrices:
    r"""$a^{-1}=\frac1{\det a}\sum_{k<N}(-1)^{N-1-k}e_ka^{N-1-k}$, by Cayley–Hamilton; for eigenvalues of order one."""
    n = len(a)
    basis = powers(a, n - 1)
    e = jax.lax.optimization_barrier(elementary(power_traces(basis, n)))
    one = jnp.eye(n, dtype=a.dtype).reshape(n, n, *(1,) * (a.ndim - 2))
    terms = ((-1) ** (n - 1 - k) * e[k][None, None] * (basis[n - 2 - k] if k < n - 1 else one) for k in range(n))
    return jax.lax.optimization_barrier(functools.reduce(operator.add, terms) / e[n][None, None])


def deviation_from_unitarity(a: Matrices) -> Float[Array, ""]:
    r"""Largest entry of $|a^\dagger a-1|$, or $|\det a-1|$."""
    one = jnp.eye(len(a)).reshape(len(a), len(a), *(1,) * (a.ndim - 2))
    gram = jnp.max(jnp.abs(product(a, a, left_adjoint=True) - one))
    return jnp.maximum(gram, jnp.max(jnp.abs(determinant(a) - 1)))
