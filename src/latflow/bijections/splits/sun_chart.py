r"""Coordinates of an SU(N) matrix X beside a plaquette, column by column: numbers of known Haar densities, and phases.

In the eigenframe of P the weight of two Wilson blocks is $\exp\lambda\,\mathrm{Re\,tr}(XD)$, $D=\mathrm{diag}(k_j)$,
$k_j=\cos\alpha_j/2$. A matrix Z of size n with the weight $\exp\lambda\,\mathrm{Re}\,e^{i\varphi}\mathrm{tr}(Z\sigma)$,
σ diagonal, is taken apart into its first column

$$(z,\ r_2e^{i\phi_2},\dots,r_ne^{i\phi_n}),\qquad z=\cos\xi+i\sin\xi\cos\upsilon,$$

with Haar density $\sin^{2n-2}\xi\,\sin^{2n-3}\upsilon$, uniform in phases and in the shares $r_j^2$, and a matrix Y of
size n − 1 in the complement, $C=1+(z^*-1)\hat r\hat r^T$ below the head. With $\theta=\arg z$, $U=C$ at $|z|=1$ and
the singular values of $\mathrm{diag}(\sigma_2\dots)\,|C|=L\sigma'R^T$, all real, the weight of
$Z'=e^{i\theta/(n-1)}R^TUYL$ is that of Z with $\sigma'$ and $\varphi'=\varphi-\theta/(n-1)$. At n − 1 = 2 the
centre of the heat bath takes the place of the singular values: Z' has the weight $\exp2\lambda k\cos\omega$, and the
last coordinates are ω and the cosine of its axis. Phases do not change under conjugation with diagonal matrices in a
way that the map could notice, and are left alone.

For N = 3 these are the coordinates of `latflow.bijections.splits.su3_chart`.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from latflow._typing import Matrices
from latflow.bijections.splits.normal_frame import singular
from latflow.groups.matrices import conjugate_transpose, multiply

_TINY = 1e-30


class Chart(NamedTuple):
    """Coordinates of X.

    Attributes:
        values: Of every column ξ/π, υ/π and n − 2 shares, then ω/π and half of one plus the cosine of the axis; all in
            [0, 1].
        phases: n − 1 of every column, and that of the transverse part of the axis.
    """

    values: Float[Array, "n_values *sites"]
    phases: Complex[Array, "n_phases *sites"]


class Weight(NamedTuple):
    r"""σ and φ of $\exp\lambda\,\mathrm{Re}\,e^{i\varphi}\mathrm{tr}(Z\sigma)$; at n = 2 one number, 2k."""

    sigma: Float[Array, "n *sites"]
    phi: Float[Array, "*sites"]


class Column(NamedTuple):
    """The first column with real lower entries, and what turns Y into Z' = before Y after."""

    head: Complex[Array, "*sites"]
    tail: Float[Array, "*sites"]
    direction: Float[Array, "m *sites"]
    before: Matrices
    after: Matrices | None
    rest: Weight


def sizes(n: int) -> range:
    """Of the matrices that are taken apart by columns."""
    return range(n, 2, -1)


def read(x: Matrices, k: Float[Array, "n *sites"]) -> Chart:
    """Coordinates of matrices in the eigenframe.

    Args:
        x: X.
        k: Cosines of half the angles of P.
    """
    values, phases, weight = [], [], Weight(k, jnp.zeros_like(k[0]))
    for n in sizes(len(x)):
        head, lower = x[0, 0], x[1:, 0]
        squares = _squared(lower)
        # tails of the sum, from the longest: shares are read without differences of nearly equal numbers
        sums = [squares[n - 2]]
        for square in squares[: n - 2][::-1]:
            sums.append(sums[-1] + square)
        sums.reverse()
        tail = jnp.sqrt(sums[0] + _TINY**2)
        xi = jnp.arctan2(jnp.sqrt(jnp.imag(head) ** 2 + tail**2), jnp.real(head)) / jnp.pi
        upsilon = jnp.arctan2(tail, jnp.imag(head)) / jnp.pi
        shares = []
        for i in range(n - 2):
            left = jnp.clip(sums[i + 1] / (sums[i] + _TINY**2), 0.0, 1.0)
            shares.append(1 - left ** (n - 2 - i))
        here = jnp.stack([xi, upsilon, *shares])
        column = taken(here, weight)
        factors = _phase(lower)
        values.append(here)
        phases.append(factors)
        x, weight = _rest(x, factors, column), column.rest
    imaginary, z12 = jnp.imag(x[0, 0]), x[0, 1]
    length = jnp.sqrt(imaginary**2 + _squared(z12) + _TINY**2)
    omega = jnp.arctan2(length, jnp.real(x[0, 0])) / jnp.pi
    tilt = jnp.clip((1 + imaginary / length) / 2, 0.0, 1.0)
    return Chart(jnp.concatenate([*values, jnp.stack([omega, tilt])]), jnp.concatenate([*phases, _phase(z12)[None]]))


def build(chart: Chart, k: Float[Array, "n *sites"]) -> Matrices:
    """The matrices of coordinates: inverse of `read`."""
    values, phases, weight, columns = chart.values, chart.phases, Weight(k, jnp.zeros_like(k[0])), []
    for n in sizes(len(k)):
        column = taken(values[:n], weight)
        columns.append((column, phases[: n - 1]))
        values, phases, weight = values[n:], phases[n - 1 :], column.rest
    omega, tilt = values
    sine = jnp.sin(jnp.pi * omega)
    z11 = jnp.cos(jnp.pi * omega) + 1j * sine * (2 * tilt - 1)
    z12 = sine * 2 * root(tilt * (1 - tilt)) * phases[0]
    x = jnp.stack([jnp.stack([z11, z12]), jnp.stack([-jnp.conj(z12), jnp.conj(z11)])])
    for column, factors in reversed(columns):
        x = _joined(x, factors, column)
    return x


def taken(values: Float[Array, "n *sites"], weight: Weight) -> Column:
    """The column of coordinates ξ/π, υ/π and shares, and the weight of the rest.

    Args:
        values: As many as there are rows.
        weight: Of the matrix whose first column it is.
    """
    n = len(values)
    xi, upsilon = values[0], values[1]
    sine = jnp.sin(jnp.pi * xi)
    head = jnp.cos(jnp.pi * xi) + 1j * sine * jnp.cos(jnp.pi * upsilon)
    direction = jnp.stack([root(s) for s in shares(list(values[2:]), n - 1)])
    tail = sine * jnp.sin(jnp.pi * upsilon)
    length = jnp.sqrt(_squared(head) + _TINY**2)
    phase = _phase(head)
    sigma, phi = weight.sigma, weight.phi
    if n == 3:
        lower = sigma[1:, None] * _complement(head, direction) * (jnp.cos(phi) + 1j * jnp.sin(phi))[None, None]
        a, c = lower[0, 0] + jnp.conj(lower[1, 1]), lower[0, 1] - jnp.conj(lower[1, 0])
        square = _squared(a) + _squared(c)
        regular = square > _TINY
        strength = jnp.sqrt(jnp.where(regular, square, 1.0))
        a, c = jnp.where(regular, a / strength, 1.0), jnp.where(regular, c / strength, 0.0)
        before = jnp.stack([jnp.stack([a, c]), jnp.stack([-jnp.conj(c), jnp.conj(a)])])
        rest = Weight(jnp.where(regular, strength, 0.0)[None], jnp.zeros_like(phi))
        return Column(head, tail, direction, before, None, rest)
    angle = jnp.arctan2(jnp.imag(phase), jnp.real(phase)) / (n - 1)
    left, values_, right = singular(sigma[1:, None] * _complement(length, direction))
    turn = (jnp.cos(angle) + 1j * jnp.sin(angle))[None, None]
    before = turn * multiply(jnp.swapaxes(right, 0, 1).astype(complex), _complement(phase, direction))
    return Column(head, tail, direction, before, left.astype(complex), Weight(values_, phi - angle))


def shares(known: list[Array], m: int) -> list[Array]:
    """Shares of m entries; those of which no coordinate is given get equal parts of the rest.

    Args:
        known: Coordinates of the first shares, uniform in [0, 1].
        m: Entries.
    """
    left, found = 1.0, []
    for i, u in enumerate(known):
        after = left * power_root(1 - u, m - 1 - i)
        found.append(left - after)
        left = after
    return found + [left / (m - len(known)) * (jnp.ones_like(known[0]) if known else 1.0)] * (m - len(known))


def power_root(x: Array, n: int) -> Array:
    """The n-th root, with a derivative of zero at zero."""
    if n == 1:
        return x
    return jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** (1 / n), 0.0)


def root(x: Array) -> Array:
    """Square root, with a derivative of zero at zero."""
    return power_root(x, 2)


def _complement(z: Array, direction: Float[Array, "m *sites"]) -> Array:
    r"""$1+(z^*-1)\hat r\hat r^T$: the lower part of the complement of a column with the head z."""
    m = len(direction)
    one = jnp.eye(m).reshape(m, m, *(1,) * (direction.ndim - 1))
    return one + (jnp.conj(z) - 1)[None, None] * direction[:, None] * direction[None]


def _rest(x: Matrices, factors: Complex[Array, "m *sites"], column: Column) -> Complex[Array, "m m *sites"]:
    """Z' of a matrix without its first column."""
    upper, lower = x[0, 1:] * factors, jnp.conj(factors)[:, None] * x[1:, 1:] * factors[None]
    # C†: rows of the complement
    along = jnp.sum(column.direction[:, None] * lower, axis=0)
    step = (column.head - 1)[None] * along - column.tail[None] * upper
    y = lower + column.direction[:, None] * step[None]
    z = multiply(column.before, y)
    return z if column.after is None else multiply(z, column.after)


def _joined(z: Complex[Array, "m m *sites"], factors: Complex[Array, "m *sites"], column: Column) -> Matrices:
    """The matrix of Z' and its first column: inverse of `_rest`."""
    y = multiply(conjugate_transpose(column.before), z)
    y = y if column.after is None else multiply(y, conjugate_transpose(column.after))
    along = jnp.sum(column.direction[:, None] * y, axis=0)
    upper = -column.tail[None] * along * jnp.conj(factors)
    lower = y + column.direction[:, None] * ((jnp.conj(column.head) - 1)[None] * along)[None]
    lower = factors[:, None] * lower * jnp.conj(factors)[None]
    first = jnp.concatenate([column.head[None], column.tail[None] * column.direction * factors])
    return jnp.concatenate([first[:, None], jnp.concatenate([upper[None], lower])], axis=1)


def _phase(z: Complex[Array, "*sites"]) -> Complex[Array, "*sites"]:
    """z/|z|, and one at zero."""
    square = _squared(z)
    regular = square > _TINY
    return jnp.where(regular, z / jnp.sqrt(jnp.where(regular, square, 1.0)), 1.0)


def _squared(z: Array) -> Float[Array, "*sites"]:
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2
