"""Plaquettes, link trace, defect and projection of gauge links in plain numpy.

A few lines of physics of the annex's own: an independent check on files, which needs no accelerator. Sites are worked
on in pieces along the first axis, so that temporaries stay small whatever the lattice.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from jaxtyping import Complex, Float

Links: TypeAlias = Complex[np.ndarray, "d n n *sites"]

_PIECE = 1 << 13  # sites worked on together: 27 products of this size stay in cache


def plaquettes(links: Links) -> Float[np.ndarray, "d d"]:
    """Average of Re tr P / N for each plane, 1 for the unit field; symmetric, NaN on the diagonal."""
    d, n = links.shape[:2]
    sums = np.full((d, d), np.nan)
    sums[~np.eye(d, dtype=bool)] = 0.0
    for start, stop in _pieces(links):
        here = _take(links, start, stop)
        ahead = [_shifted(links, mu, start, stop) for mu in range(d)]
        for mu in range(d):
            for nu in range(mu):
                one = _product(here[mu], ahead[mu][nu])
                other = _product(here[nu], ahead[nu][mu])
                sums[mu, nu] += np.vdot(other, one).real
    sites = int(np.prod(links.shape[3:]))
    lower = np.tril(sums, -1) / (n * sites)
    return np.where(np.eye(d, dtype=bool), np.nan, lower + lower.T)


def mean_plaquette(planes: Float[np.ndarray, "d d"]) -> float:
    """Average over all planes; NaN in one dimension."""
    return _mean([planes[mu, nu] for mu in range(len(planes)) for nu in range(mu)])


def spatial_plaquette(planes: Float[np.ndarray, "d d"]) -> float:
    """Average over the planes without the time direction, the last one."""
    return mean_plaquette(planes[:-1, :-1])


def temporal_plaquette(planes: Float[np.ndarray, "d d"]) -> float:
    """Average over the planes with the time direction."""
    return _mean(list(planes[-1, :-1]))


def link_trace(links: Links) -> complex:
    """Average of tr U / N over all links."""
    diagonal = sum((links[:, a, a].sum(dtype=np.complex128) for a in range(links.shape[1])), start=0j)
    return complex(diagonal) / (links[:, 0, 0].size * links.shape[1])


def defect(links: Links) -> float:
    """Largest entry of U U† − 1 and largest |det U − 1| over all links; NaN if any entry is not finite."""
    worst = 0.0
    for start, stop in _pieces(links):
        for here in _take(links, start, stop):
            unit = np.eye(len(here)).reshape(len(here), len(here), *(1,) * (here.ndim - 2))
            gram = _product(here, np.swapaxes(here, 0, 1).conj()) - unit
            worst = _larger(worst, np.abs(gram).max(), np.abs(_determinant(here) - 1).max())
    return worst


def reunitarised(links: Links) -> Links:
    """The links in double precision, projected back to SU(N): Gram–Schmidt by rows, the determinant divided out.

    For SU(3) the last row becomes the conjugate cross product of the others, as is usual.
    """
    projected = links.astype(np.complex128)
    n = links.shape[1]
    for a in range(n):
        for b in range(a):
            overlap = (projected[:, b].conj() * projected[:, a]).sum(axis=1, keepdims=True)
            projected[:, a] -= overlap * projected[:, b]
        projected[:, a] /= np.sqrt((np.abs(projected[:, a]) ** 2).sum(axis=1, keepdims=True))
    for mu in range(len(projected)):
        projected[mu, n - 1] /= _determinant(projected[mu])
    return projected


def third_row(rows: Complex[np.ndarray, "*lead 2 3"]) -> Complex[np.ndarray, "*lead 3"]:
    """The last row of an SU(3) matrix from the first two, in double precision."""
    wide = rows.astype(np.complex128)
    return np.cross(wide[..., 0, :], wide[..., 1, :]).conj()


def _pieces(links: Links) -> Iterator[tuple[int, int]]:
    extent = links.shape[3]
    step = max(1, _PIECE // int(np.prod(links.shape[4:])))
    return ((start, min(start + step, extent)) for start in range(0, extent, step))


def _take(links: Links, start: int, stop: int) -> np.ndarray:
    return links[:, :, :, start:stop].astype(np.complex128)


def _shifted(links: Links, mu: int, start: int, stop: int) -> np.ndarray:
    """Links at x+μ̂ for the sites of a piece."""
    if mu == 0:
        places = np.arange(start + 1, stop + 1) % links.shape[3]
        return links[:, :, :, places].astype(np.complex128)
    return np.roll(_take(links, start, stop), -1, axis=3 + mu)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product over the first two axes."""
    return np.stack(
        [sum((a[i, k, None] * b[k] for k in range(1, len(a))), start=a[i, 0, None] * b[0]) for i in range(len(a))]
    )


def _determinant(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.det(np.moveaxis(matrices.astype(np.complex128, copy=False), (0, 1), (-2, -1)))


def _larger(*values: float) -> float:
    """The maximum, or NaN if there is one (Python's max may drop it)."""
    return float(np.max(values))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
