"""Plaquettes, link trace, defect and projection of gauge links in plain numpy.

Independent of the JAX code, so that files can be checked without it. Sites are processed in pieces, so that temporaries
stay in cache for any lattice.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from jaxtyping import Complex, Float

Links: TypeAlias = Complex[np.ndarray, "d n n *sites"]

_PIECE = 1 << 10  # sites per piece; with twice as many, products take eight times as long: their memory is mapped anew


def plaquettes(links: Links) -> Float[np.ndarray, "d d"]:
    """Average of Re tr P / N for each plane, 1 for the unit field; symmetric, NaN on the diagonal."""
    d, n = links.shape[:2]
    shape, flat = links.shape[3:], _flat(links)
    sums = np.zeros((d, d))
    for start, stop in _pieces(flat):
        x = np.unravel_index(np.arange(start, stop), shape)
        here = _wide(flat[..., start:stop])
        for mu in range(d):
            for nu in range(mu):
                one = _product(here[mu], _wide(flat[nu].take(_ahead(x, mu, shape), axis=2)))
                other = _product(here[nu], _wide(flat[mu].take(_ahead(x, nu, shape), axis=2)))
                sums[mu, nu] += np.vdot(other, one).real
    lower = np.tril(sums, -1) / (n * flat.shape[-1])
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


def without_missing(
    planes: Float[np.ndarray, "d d"], trace: complex, extent: int
) -> tuple[Float[np.ndarray, "d d"], complex]:
    """Averages over the plaquettes and links that are there, where the links in time of the last slice are zero.

    Args:
        planes: Averages over all sites, in which missing plaquettes count as zero.
        trace: The same of links.
        extent: Extent in time, more than 1.
    """
    inside, d = planes.copy(), len(planes)
    inside[-1], inside[:, -1] = (row * extent / (extent - 1) for row in (planes[-1], planes[:, -1]))
    return inside, trace * d * extent / (d * extent - 1)


def is_open_in_time(links: Links) -> bool:
    """Whether the links in time of the last slice are all zero and others are not: open boundaries in time."""
    return bool(links.shape[-1] > 1 and not links[-1, ..., -1].any() and links[-1, ..., 0].any())


def defect(links: Links, *, open_in_time: bool = False) -> float:
    """Largest entry of U U† − 1 and largest |det U − 1| over all links; NaN if any entry is not finite.

    Args:
        links: The field.
        open_in_time: Pass over the links in time of the last slice.
    """
    if open_in_time:
        bulk = np.ascontiguousarray(links[-1:, ..., :-1])
        return _larger(defect(np.ascontiguousarray(links[:-1])), defect(bulk)) if len(links) > 1 else defect(bulk)
    worst = 0.0
    flat = _flat(links)
    unit = np.eye(flat.shape[1])[..., None]
    for start, stop in _pieces(flat):
        for here in _wide(flat[..., start:stop]):
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


def last_row(rows: Complex[np.ndarray, "*lead stored n"]) -> Complex[np.ndarray, "*lead n"]:
    """The last row of a matrix of SU(2) or SU(3) from the others, in double precision."""
    wide = rows.astype(np.complex128)
    if wide.shape[-1] == 2:
        return np.stack([-wide[..., 0, 1].conj(), wide[..., 0, 0].conj()], axis=-1)
    return np.cross(wide[..., 0, :], wide[..., 1, :]).conj()


def _flat(links: Links) -> np.ndarray:
    """The sites as one axis; a view, as links are stored in one piece."""
    return links.reshape(*links.shape[:3], -1)


def _pieces(flat: np.ndarray) -> Iterator[tuple[int, int]]:
    sites = flat.shape[-1]
    return ((start, min(start + _PIECE, sites)) for start in range(0, sites, _PIECE))


def _wide(matrices: np.ndarray) -> np.ndarray:
    return matrices.astype(np.complex128, copy=False)


def _ahead(x: tuple[np.ndarray, ...], mu: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of the sites x+μ̂."""
    return np.ravel_multi_index((*x[:mu], (x[mu] + 1) % shape[mu], *x[mu + 1 :]), shape)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product over the first two axes."""
    product, term = np.empty_like(a), np.empty_like(a[0])
    for i in range(len(a)):
        np.multiply(a[i, 0], b[0], out=product[i])
        for k in range(1, len(a)):
            np.multiply(a[i, k], b[k], out=term)
            product[i] += term
    return product


def _determinant(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.det(np.moveaxis(matrices.astype(np.complex128, copy=False), (0, 1), (-2, -1)))


def _larger(*values: float) -> float:
    """The maximum, or NaN if there is one (Python's max may drop it)."""
    return float(np.max(values))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
