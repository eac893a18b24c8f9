r"""Closed forms of gauge theories with Wilson's action: characters on the two-dimensional torus, strong coupling.

On a torus of V plaquettes $Z=\sum_rF_r^V$ over irreducible representations, $F_r=f_r/d_r$ with
$f_r=\int dU\,\chi_r^*(U)\,e^{-\beta(1-\mathrm{Re\,tr}\,U/N)}$: the house action with its constant, normalised Haar
measure. `log_z` without the constant, $S=-\frac\beta N\sum\mathrm{Re\,tr}\,P$, is βV more. Plain numpy and scipy.

References:
    A. A. Migdal, Sov. Phys. JETP 42 (1975) 413; B. E. Rusakov, Mod. Phys. Lett. A 5 (1990) 693.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy.special import ive

from latflow.arguments import count, number
from latflow.errors import ConfigError

_NEGLIGIBLE = 1e-18
_LEFT_OUT = 1e-13
_NODES = 400
_ANGLES = 256

Weight = tuple[int, ...]


# U(1) -----------------------------------------------------------------------------------------------------------------


def u1_log_z(beta: float, *, volume: int) -> float:
    """Log Z of U(1) on the torus of `volume` plaquettes, normalised Haar measure.

    Args:
        beta: β of Wilson's action, at least 0.
        volume: Plaquettes of the torus, the number of sites.

    >>> round(u1_log_z(2.0, volume=64) + 2.0 * 64, 6)
    52.735587
    """
    _require_torus(beta, volume)
    q = _charges(beta, volume)
    return float(volume * np.log(ive(0, beta)) + np.log(np.sum(_u1(beta, q) ** volume)))


def u1_wilson_loop(beta: float, *, volume: int, area: int = 1) -> float:
    """Expectation value of a contractible loop around `area` plaquettes; of the plaquette for 1.

    Args:
        beta: β of Wilson's action, at least 0.
        volume: Plaquettes of the torus, the number of sites.
        area: Plaquettes inside the loop.

    Raises:
        ConfigError: If β is negative or the torus has fewer plaquettes than the loop.

    >>> round(u1_wilson_loop(4.0, volume=256), 8)
    0.86352261
    """
    _require_loop(beta, volume, area)
    q = _charges(beta, volume)
    inside = _u1(beta, q + 1) ** area
    return float(np.sum(_u1(beta, q) ** (volume - area) * inside) / np.sum(_u1(beta, q) ** volume))


def u1_polyakov_squared(beta: float, *, space: int, time: int) -> float:
    r"""$\langle|L|^2\rangle$ of the Polyakov loop averaged over space, on the torus of `space` × `time` plaquettes.

    Two lines a distance r apart cut the torus into annuli of rT and (S − r)T plaquettes, whose representations differ
    by the one of the line; $\langle L\rangle=0$ and S times this is the susceptibility.

    >>> round(u1_polyakov_squared(1e-9, space=8, time=8), 6)
    0.125
    """
    q = _charges(beta, space * time)
    here, there = _u1(beta, q), _u1(beta, q + 1)
    z = np.sum(here ** (space * time))
    return float(sum(np.sum(here ** ((space - r) * time) * there ** (r * time)) for r in range(space)) / (space * z))


def u1_charge_squared(beta: float, *, volume: int) -> float:
    r"""$\langle Q^2\rangle$ of $Q=\frac1{2\pi}\sum\theta_P$ with angles in (−π, π].

    Args:
        beta: β of Wilson's action, at least 0.
        volume: Plaquettes of the torus, the number of sites.

    >>> round(u1_charge_squared(7.0, volume=64), 6)
    0.217111
    """
    _require_torus(beta, volume)
    q = _charges(beta, volume)
    phi, weight = _quadrature(beta)
    turns = phi / (2 * np.pi)
    # c_q as a function of the vacuum angle, with its first two derivatives at zero
    c = np.cos(np.outer(q, phi)) @ weight
    first = -np.sin(np.outer(q, phi)) @ (weight * turns)
    second = -np.cos(np.outer(q, phi)) @ (weight * turns**2)
    curvature = volume * (volume - 1) * c ** (volume - 2) * first**2 + volume * c ** (volume - 1) * second
    # where the result is exponentially small, rounding errors of the cancelling terms may make the sum negative
    return max(0.0, float(-np.sum(curvature) / np.sum(c**volume)))


def u1_charge_distribution(beta: float, *, volume: int, largest: int) -> Float[np.ndarray, " charges"]:
    """Probability of Q = −largest … largest."""
    q = _charges(beta, volume)
    phi, weight = _quadrature(beta)
    theta = 2 * np.pi * np.arange(_ANGLES) / _ANGLES - np.pi
    z = np.asarray([np.sum((np.cos(np.outer(q + t / (2 * np.pi), phi)) @ weight) ** volume) for t in theta])
    charges = np.arange(-largest, largest + 1)
    return np.cos(np.outer(charges, theta)) @ z / (_ANGLES * np.sum(_u1(beta, q) ** volume))


def u1_open_log_z(beta: float, *, plaquettes: int) -> float:
    """Log Z of U(1) on a rectangle with open boundaries, whose plaquettes are independent.

    >>> round(u1_open_log_z(2.0, plaquettes=9), 6)
    -10.584058
    """
    return float(plaquettes * np.log(ive(0, beta)))


def _require_torus(beta: float, volume: int) -> None:
    """Refuse what is no coupling, and a torus without plaquettes."""
    number("beta", beta)
    if not 0 <= beta < math.inf:
        raise ConfigError([f"beta: {beta}; allowed: a number ≥ 0"])
    count("volume", volume)


def _require_loop(beta: float, volume: int, area: int) -> None:
    _require_torus(beta, volume)
    count("area", area, least=0)
    if not 0 <= area <= volume:
        raise ConfigError([f"area: {area}; allowed: 0 to the {volume} plaquettes of the torus"])


def _u1(beta: float, q: Int[np.ndarray, " charges"]) -> Float[np.ndarray, " charges"]:
    """Character coefficients relative to that of q = 0, so that their V-th powers do not underflow."""
    return ive(np.abs(q), beta) / ive(0, beta)


def _charges(beta: float, volume: int) -> Int[np.ndarray, " charges"]:
    """Representations that are not negligible, and a few more: the vacuum angle shifts q by at most a half."""
    q = 1
    while (ive(q, beta) / ive(0, beta)) ** max(1, volume - 1) > _NEGLIGIBLE:
        q += 1
    return np.arange(-q - 1, q + 2)


def _quadrature(beta: float) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Nodes on (−π, π) and weights that contain e^{β cos φ} dφ/2π, relative to q = 0 like `_u1`."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    phi = np.pi * x
    return phi, w / 2 * np.exp(beta * (np.cos(phi) - 1)) / ive(0, beta)


# SU(N) ----------------------------------------------------------------------------------------------------------------


def sun_log_z(n: int, beta: float, *, volume: int) -> float:
    """Log Z of SU(n) on the torus of `volume` plaquettes, normalised Haar measure.

    Args:
        n: Colours.
        beta: β of Wilson's action, at least 0.
        volume: Plaquettes of the torus, the number of sites.

    >>> round(sun_log_z(3, 6.0, volume=64) + 6.0 * 64, 6)
    79.096966
    """
    _require_torus(beta, volume)
    count("n", n, least=2)
    trivial = _ratio((0,) * n, beta)
    rest = math.fsum((_ratio(r, beta) / trivial) ** volume for r in _representations(n, beta, volume))
    return volume * math.log(trivial) + math.log(rest)


def sun_wilson_loop(n: int, beta: float, *, volume: int, area: int = 1) -> float:
    r"""$\frac1N\langle\mathrm{Re\,tr}\,W\rangle$ of a contractible loop around `area` plaquettes of the torus.

    The disc inside carries r', the torus with a hole outside r, and the loop itself joins them:
    $\sum_{r,\,r'\in r\otimes\square}\frac{d_{r'}}{N d_r}F_{r'}^{A}F_r^{V-A}/Z$.

    Args:
        n: Colours.
        beta: β of Wilson's action, at least 0.
        volume: Plaquettes of the torus, the number of sites.
        area: Plaquettes inside the loop.

    Raises:
        ConfigError: If β is negative or the torus has fewer plaquettes than the loop.

    >>> round(sun_wilson_loop(3, 6.0, volume=256), 8)
    0.42253174
    """
    _require_loop(beta, volume, area)
    count("n", n, least=2)
    total, z = [], []
    trivial = _ratio((0,) * n, beta)  # V-th powers of ratios to it do not underflow
    for r in _representations(n, beta, volume):
        outside = _ratio(r, beta) / trivial
        z.append(outside**volume)
        for i in range(n):
            inner = tuple(entry + (j == i) for j, entry in enumerate(r))
            d = _dimension(inner)
            if d:
                inside = _ratio(inner, beta) / trivial
                total.append(d / (n * _dimension(r)) * inside**area * outside ** (volume - area))
    return math.fsum(total) / math.fsum(z)


def sun_polyakov_squared(n: int, beta: float, *, space: int, time: int) -> float:
    r"""$\langle|L|^2\rangle$ of $L=\frac1N\mathrm{tr}$ averaged over space, like `u1_polyakov_squared`.

    Annuli of r and r' are joined where r' is in $r\otimes\square$:
    $\frac1{N^2S}\sum_{x=0}^{S-1}\sum_{r,\,r'}F_r^{(S-x)T}F_{r'}^{xT}/Z$.

    >>> round(sun_polyakov_squared(3, 5.0, space=8, time=8), 6)
    0.013896
    """
    total, z = [], []
    trivial = _ratio((0,) * n, beta)
    for r in _representations(n, beta, space * time):
        here = _ratio(r, beta) / trivial
        z.append(here ** (space * time))
        for i in range(n):
            joined = tuple(entry + (j == i) for j, entry in enumerate(r))
            if _dimension(joined):
                there = _ratio(joined, beta) / trivial
                total += [here ** ((space - x) * time) * there ** (x * time) for x in range(space)]
    return math.fsum(total) / (n**2 * space * math.fsum(z))


def sun_open_log_z(n: int, beta: float, *, plaquettes: int) -> float:
    """Log Z of SU(n) on a rectangle with open boundaries, whose plaquettes are independent.

    >>> round(sun_open_log_z(3, 9.0, plaquettes=1) + 9.0, 8)
    2.75839742
    """
    return plaquettes * math.log(_coefficient((0,) * n, beta))


def sun_plaquette(n: int, beta: float) -> float:
    """The plaquette in infinite volume: a single matrix with its Haar measure; a loop of area A is its A-th power.

    >>> round(sun_plaquette(2, 2.2), 8)
    0.46447903
    """
    trivial, fundamental = (0,) * n, (1,) + (0,) * (n - 1)
    return _coefficient(fundamental, beta) / (n * _coefficient(trivial, beta))


def su3_block_log_density(
    traces: Complex[np.ndarray, " n"], beta: float, *, n_plaquettes: int
) -> Float[np.ndarray, " n"]:
    r"""Log-density of the loop around a block of plaquettes of SU(3) in infinite volume, with respect to Haar.

    The convolution of the weights of its plaquettes, $\sum_rd_r(f_r/d_rf_0)^n\chi_r$. Characters are those of Jacobi
    and Trudi, of the complete homogeneous polynomials, which obey $h_k=th_{k-1}-t^*h_{k-2}+h_{k-3}$ with t the trace.

    Args:
        traces: Of the loops.
        beta: β of Wilson's action, at least 0.
        n_plaquettes: n.

    >>> identity = np.asarray([3.0 + 0j])
    >>> wilson = 5.0 - np.log(_coefficient((0, 0, 0), 5.0)) - 5.0
    >>> bool(abs(su3_block_log_density(identity, 5.0, n_plaquettes=1)[0] - wilson) < 1e-9)
    True
    """
    trivial = _ratio((0, 0, 0), beta)
    shares = {r: _ratio(r, beta) / trivial for r in _representations(3, beta, 1 + n_plaquettes)}
    h = [np.zeros_like(traces), np.ones_like(traces), traces]
    for k in range(2, max(r[0] for r in shares) + 2):
        h.append(traces * h[k] - np.conj(traces) * h[k - 1] + h[k - 2])
    # h_k stands at k + 1: the first is that of −1
    density = [
        _dimension(r) * share**n_plaquettes * np.real(h[r[0] + 1] * h[r[1] + 1] - h[r[0] + 2] * h[r[1]])
        for r, share in shares.items()
    ]
    return np.log(np.maximum(np.sum(density, axis=0), 1e-300))


def sun_block_log_density(
    eigenvalues: Complex[np.ndarray, "samples n"], beta: float, *, n_plaquettes: int
) -> Float[np.ndarray, " samples"]:
    r"""Log-density of the loop around a block of plaquettes of SU(n) in infinite volume, with respect to Haar.

    As `su3_block_log_density`, with $h_k=\sum_j(-1)^{j-1}e_jh_{k-j}$ and $\chi_r=\det h_{r_i+j-i}$. Representations
    that can change the density by 1e-13 at most are left out.

    Args:
        eigenvalues: Of the loops.
        beta: β of Wilson's action, at least 0.
        n_plaquettes: n.

    >>> one = np.ones((1, 4), complex)
    >>> wilson = -np.log(_coefficient((0, 0, 0, 0), 5.0))
    >>> bool(abs(sun_block_log_density(one, 5.0, n_plaquettes=1)[0] - wilson) < 1e-9)
    True
    """
    n = eigenvalues.shape[1]
    trivial = _ratio((0,) * n, beta)
    kept = {r: (_ratio(r, beta) / trivial) ** n_plaquettes for r in _representations(n, beta, 1 + n_plaquettes)}
    kept = {r: share for r, share in kept.items() if _dimension(r) ** 2 * share > _LEFT_OUT}
    e = np.zeros((n + 1, len(eigenvalues)), complex)
    e[0] = 1.0
    for value in eigenvalues.T:
        e[1:] = e[1:] + value * e[:-1]
    # h_k stands at k + n: those below zero vanish
    h = [np.zeros(len(eigenvalues), complex)] * n + [np.ones(len(eigenvalues), complex)]
    for _ in range(max(r[0] for r in kept) + n):
        h.append(sum((-1) ** (j - 1) * e[j] * h[-j] for j in range(1, n + 1)))
    complete, places = np.stack(h), np.arange(n - 1)
    density = np.zeros(len(eigenvalues))
    for r, share in kept.items():
        rows = complete[n + np.asarray(r[:-1])[:, None] + places - places[:, None]]
        density += _dimension(r) * share * np.real(np.linalg.det(np.moveaxis(rows, -1, 0)))
    return np.log(np.maximum(density, 1e-300))


def strong_coupling_plaquette(u: float, *, dimensions: int) -> float:
    r"""$u+2(d-2)u^5$: leading terms in $u$, the plaquette of two dimensions at the same β, with the cubes on one side.

    For β so small that $u^5$ is a small correction; the next terms depend on the group.
    """
    return u + 2 * (dimensions - 2) * u**5


def _representations(n: int, beta: float, volume: int) -> Iterator[Weight]:
    """Young diagrams of fewer than n rows, by the length of the first row, until they are negligible."""
    trivial = _ratio((0,) * n, beta)
    for first in itertools.count():
        rows = itertools.combinations_with_replacement(range(first, -1, -1), n - 2)
        shell = [(first, *rest, 0) for rest in rows]
        yield from shell
        if first and max(_ratio(r, beta) / trivial for r in shell) ** max(1, volume - 1) < _NEGLIGIBLE:
            return


def _ratio(r: Weight, beta: float) -> float:
    return _coefficient(r, beta) / _dimension(r)


def _coefficient(r: Weight, beta: float) -> float:
    r"""$f_r=e^{-\beta}\sum_k\det_{ij}I_{r_j-j+i+k}(\beta/N)$, summed over k because matrices have determinant 1."""
    n = len(r)
    base = np.asarray(r)[None, :] - np.arange(n)[None, :] + np.arange(n)[:, None]
    reach = max(r) + n + 20 + int(2 * beta)
    orders = base[None] + np.arange(-reach, reach + 1)[:, None, None]
    return float(np.sum(np.linalg.det(ive(np.abs(orders), beta / n))))


def _dimension(r: Weight) -> int:
    """Dimension of a representation by Weyl's formula; zero if the row lengths do not descend."""
    n = len(r)
    pairs = list(itertools.combinations(range(n), 2))
    return math.prod(r[i] - r[j] + j - i for i, j in pairs) // math.prod(j - i for i, j in pairs)
