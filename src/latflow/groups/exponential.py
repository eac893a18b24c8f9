r"""$e^{iQ}$ of Hermitian, traceless matrices by Cayley–Hamilton, without eigenvalues.

The Taylor polynomial of the exponential is reduced modulo the characteristic polynomial of Q as it is built up: a
power of Q is N real numbers per site, $Q^k=\sum_{j<N}a_jQ^j$, and the next one costs N multiplications. The result is
a matrix polynomial of degree N−1 with N complex coefficients. There is no division by differences of eigenvalues, so
degenerate eigenvalues need no special case, and derivatives of every order are those of a polynomial. Matrices with
eigenvalues beyond `_RADIUS` are halved until they fit; the coefficients, not the matrices, are then squared.

References:
    The closed form for SU(3) with its arccos, which is singular at degenerate eigenvalues: Morningstar & Peardon,
    Phys. Rev. D 69 (2004) 054501, arXiv:hep-lat/0311018.
"""

import functools
import math
import operator
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from latflow._typing import Matrices
from latflow.groups.matrices import elementary, power_traces, powers

Polynomial: TypeAlias = list[Float[Array, "*sites"]]
Parts: TypeAlias = tuple[Polynomial, Polynomial]

_RADIUS = 1.0
_DEGREE = {jnp.dtype(jnp.float64): 18, jnp.dtype(jnp.float32): 10}  # the first term left out is below 1e-17 and 3e-8
_FEW = 3
_MANY = 28


def exponential(q: Matrices) -> Matrices:
    r"""$e^{iQ}$ at every site; for use inside an operation that is already `trailing`.

    Args:
        q: Hermitian and traceless, eigenvalues up to 2³¹; beyond, the result is no element of the group.
    """
    n = len(q)
    basis = powers(q, n - 1)
    characteristic = _kept(_characteristic(power_traces(basis, n)))
    re, im = _kept(_coefficients(characteristic))
    f = [jax.lax.complex(re[j], im[j])[None, None] for j in range(n)]
    out = functools.reduce(operator.add, (f[j + 1] * basis[j] for j in range(n - 1)))
    diagonal = jnp.eye(n, dtype=bool).reshape(n, n, *(1,) * (q.ndim - 2))
    return out + jnp.where(diagonal, f[0], 0)


_kept = jax.lax.optimization_barrier
"""Stored, not computed again for every entry of a matrix that reads it."""


def _characteristic(traces: list[Array]) -> Polynomial:
    r"""The c_j of $Q^N=\sum_{j<N}c_jQ^j$; all real."""
    symmetric = elementary([jnp.real(t) for t in traces])
    n = len(traces)
    return [(-1) ** (n - j - 1) * symmetric[n - j] for j in range(n)]


def _coefficients(c: Polynomial) -> Parts:
    r"""Real and imaginary parts of the f_j of $e^{iQ}=\sum_jf_jQ^j$."""
    n = len(c)
    halvings = _halvings(c)
    scale = jnp.ldexp(jnp.ones_like(c[0]), -halvings)
    scale, scaled = _kept((scale, [c[j] * scale ** (n - j) for j in range(n)]))
    re, im = _kept(_taylor(scaled))
    for first, last in ((0, _FEW), (_FEW, _FEW + _MANY)):
        squared = functools.partial(_square_from, c=scaled, halvings=halvings, first=first, last=last)
        re, im = jax.lax.cond(jnp.any(halvings > first), squared, lambda f: f, (re, im))
    return [re[j] * scale**j for j in range(n)], [im[j] * scale**j for j in range(n)]


def _halvings(c: Polynomial) -> Int[Array, "*sites"]:
    r"""How often Q is halved, from the bound $\lambda^2\le(1-1/N)\,\mathrm{tr}\,Q^2$; $\mathrm{tr}\,Q^2=2c_{N-2}$."""
    n = len(c)
    square = jax.lax.stop_gradient(2 * c[n - 2]) * (1 - 1 / n) / _RADIUS**2
    exponent = jnp.ceil(0.5 * jnp.log2(jnp.maximum(square, 1.0)))
    return jnp.where(jnp.isfinite(exponent), jnp.minimum(exponent, _FEW + _MANY), 0).astype(jnp.int32)


def _taylor(c: Polynomial) -> Parts:
    n = len(c)
    power = [jnp.ones_like(c[0]) if j == 0 else jnp.zeros_like(c[0]) for j in range(n)]
    parts = ([jnp.zeros_like(c[0]) for _ in range(n)], [jnp.zeros_like(c[0]) for _ in range(n)])
    for k in range(_DEGREE[c[0].dtype] + 1):
        sign = (1, 1, -1, -1)[k % 4] / math.factorial(k)
        parts[k % 2][:] = [f + sign * a for f, a in zip(parts[k % 2], power, strict=True)]
        power = _times_q(power, c)
    return parts


def _times_q(power: Polynomial, c: Polynomial) -> Polynomial:
    return [power[-1] * c[0], *(power[j - 1] + power[-1] * c[j] for j in range(1, len(c)))]


def _modulo_product(a: Polynomial, b: Polynomial, c: Polynomial) -> Polynomial:
    n = len(c)
    full = [
        functools.reduce(operator.add, (a[i] * b[k - i] for i in range(max(0, k - n + 1), min(k, n - 1) + 1)))
        for k in range(2 * n - 1)
    ]
    for k in range(2 * n - 2, n - 1, -1):
        for j in range(n):
            full[k - n + j] = full[k - n + j] + full[k] * c[j]
    return full[:n]


def _square(f: Parts, c: Polynomial, wanted: Bool[Array, "*sites"]) -> Parts:
    """The square of the polynomial modulo the characteristic one, only at sites where `wanted` is true."""
    re, im = f
    real = zip(_modulo_product(re, re, c), _modulo_product(im, im, c), re, strict=True)
    imaginary = zip(_modulo_product(re, im, c), im, strict=True)
    return (
        [jnp.where(wanted, a - b, old) for a, b, old in real],
        [jnp.where(wanted, 2 * a, old) for a, old in imaginary],
    )


def _square_from(f: Parts, c: Polynomial, halvings: Int[Array, "*sites"], *, first: int, last: int) -> Parts:
    """Squarings number first … last − 1, as a compiled loop: unrolled they take seconds to compile."""
    return jax.lax.fori_loop(first, last, lambda i, f: _square(f, c, halvings > i), f)
