r"""Polyakov loop, clover energy and charge of links in plain numpy, for looking at one file.

$E=\tfrac14F^a_{\mu\nu}F^a_{\mu\nu}$ per site and $Q=\frac1{64\pi^2}\sum_x\epsilon_{\mu\nu\rho\sigma}F^a_{\mu\nu}
F^a_{\rho\sigma}$ with the traceless clover, as in `latflow.fields.field_strength`, of which this is independent. No
flow: on rough links Q is far from an integer.
"""

import itertools
import math

import numpy as np
from jaxtyping import Complex

from latflow.store.gauge_files.measure import Links

LARGEST_VOLUME = 1 << 17
"""Sites up to which `clover` is worth waiting for: it takes 40 µs a site, and memory for some 20 matrices."""


def polyakov_loop(links: Links) -> complex:
    """Average over space of tr/N of the product of the links in time; 1 for the unit field."""
    line = links[-1, ..., 0].astype(np.complex128)
    for t in range(1, links.shape[-1]):
        line = np.einsum("ab...,bc...->ac...", line, links[-1, ..., t])
    return complex(np.einsum("aa...->...", line).mean() / links.shape[1])


def clover(links: Links, *, open_in_time: bool = False) -> tuple[float | None, float | None]:
    """E per site, and Q in four dimensions, None in others.

    Args:
        links: The field.
        open_in_time: Leave out the first and the last slice, on which the clovers lack leaves; None if there are no
            others. E is then per site of the slices that are left.
    """
    wide = links.astype(np.complex128, copy=False)
    d, pairs = len(links), itertools.combinations(range(len(links)), 2)
    kept = slice(1, -1) if open_in_time else slice(None)
    strengths = {pair: np.ascontiguousarray(_strength(wide, *pair)[..., kept]) for pair in pairs}
    volume = math.prod(next(iter(strengths.values())).shape[2:])
    if not volume:
        return None, None
    # tr F F = ½ F^a F^a, and every plane stands twice in the sum over μ and ν
    energy = sum(_trace(f, f) for f in strengths.values()) / volume
    if d != 4:
        return float(energy), None
    pairs = (((0, 1), (2, 3), 1), ((0, 2), (1, 3), -1), ((0, 3), (1, 2), 1))
    total = sum(sign * _trace(strengths[one], strengths[other]) for one, other, sign in pairs)
    return float(energy), float(total / (4 * math.pi**2))


def _trace(one: Complex[np.ndarray, "n n *sites"], other: Complex[np.ndarray, "n n *sites"]) -> float:
    """Sum over all sites of tr of the product of Hermitian matrices."""
    return float(np.vdot(one, other).real)


def _strength(links: Links, mu: int, nu: int) -> Complex[np.ndarray, "n n *sites"]:
    """The traceless Hermitian part of the average of the four plaquettes around a site."""
    u, v = links[mu], links[nu]
    v_ahead, u_ahead = _ahead(v, mu), _ahead(u, nu)
    # leaves start at x; the others are moved to it from the lower left corner of their plaquette
    total = _times(_times(u, v_ahead), _dagger(_times(v, u_ahead)))
    total += _behind(_times(v_ahead, _times(_dagger(_times(v, u_ahead)), u)), mu)
    total += _behind(_times(_dagger(v), _times(_times(u, v_ahead), _dagger(u_ahead))), nu)
    total += _behind(_behind(_times(_dagger(_times(v, u_ahead)), _times(u, v_ahead)), mu), nu)
    hermitian = (total - _dagger(total)) / 8j
    n = len(hermitian)
    trace = np.einsum("aa...->...", hermitian) / n
    for a in range(n):
        hermitian[a, a] -= trace
    return hermitian


def _times(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum("ab...,bc...->ac...", one, other)


def _dagger(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, 0, 1).conj()


def _ahead(matrices: np.ndarray, mu: int) -> np.ndarray:
    return np.roll(matrices, -1, axis=2 + mu)


def _behind(matrices: np.ndarray, mu: int) -> np.ndarray:
    return np.roll(matrices, 1, axis=2 + mu)
