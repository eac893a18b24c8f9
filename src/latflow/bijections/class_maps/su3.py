r"""Spectral maps of SU(3): eigenvalues move in the canonical cell, eigenvectors stay.

Box coordinates t and s of the cell (`latflow.bijections.class_maps.cell`) pass through splines: first t, by the density
that is left after integrating over s, then s at the new t. The image of a Haar element has approximately the
density $e^\ell$, $\ell=\sum_na_n\mathrm{Re\,tr}\,U^n+b_n\mathrm{Im\,tr}\,U^n$. Sorting makes the map independent of the
order of eigenvalues; with a coefficient $b_n=0$ it commutes with charge conjugation.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.class_maps import cell
from latflow.bijections.class_maps.base import AbstractClassMap, LogDet, Numbers
from latflow.bijections.class_maps.u1 import bounded
from latflow.bijections.splits.eigenframe import eigenframe, from_frame
from latflow.bijections.splits.profile import Profile, nodes, profile, pull, push, stretch

_POINTS = 16
"""Gauss points of the integral over s."""

_Parts = tuple[Float[Array, "*sites"], Float[Array, "*sites"]]


class SU3Spectrum(AbstractClassMap):
    """Even parameters: coefficients of Re tr U^n; odd ones: of Im tr U^n.

    Args:
        n_bins: K ≥ 2, bins of both coordinates.
        n_terms: Powers.

    Raises:
        ConfigError: If there are fewer than two bins or no power.

    References:
        arXiv:2008.05456, sections III and IV.
    """

    n_bins: int = eqx.field(static=True)
    n_terms: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)
        count("flow.terms", self.n_terms)

    @property
    @override
    def n_even(self) -> int:
        return self.n_terms

    @property
    @override
    def n_odd(self) -> int:
        return self.n_terms

    @override
    def forward_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, odd, n_bins=self.n_bins, inverse=False)

    @override
    def inverse_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        return _moved(element, even, odd, n_bins=self.n_bins, inverse=True)


@trailing
def _moved(element: Matrices, even: Numbers, odd: Numbers, *, n_bins: int, inverse: bool) -> tuple[Matrices, LogDet]:
    angles, frame = eigenframe(element)
    t, s = cell.box(angles)
    even, odd = bounded(even), bounded(odd)
    radial = cell.radial_profile(_radial_logs(even, odd, n_bins))
    moved_t, slope_t = (pull if inverse else push)(radial, t)
    base, image = (moved_t, t) if inverse else (t, moved_t)
    plain, bent = (_share_profile(at, n_bins, numbers) for at, numbers in ((base, None), (image, (even, odd))))
    first, second = (bent, plain) if inverse else (plain, bent)
    between, one = pull(first, s)
    moved_s, other = push(second, between)
    slope_s = one - other if inverse else other - one
    start, end = ((moved_t, moved_s), (t, s)) if inverse else ((t, s), (moved_t, moved_s))
    log_det = slope_t + slope_s + _haar(start, end, slope_t, slope_s)
    values = jnp.stack(cell.angles_of(moved_t, moved_s))
    phases = jnp.cos(values) + 1j * jnp.sin(values)
    diagonal = jnp.eye(3).reshape(3, 3, *(1,) * t.ndim) * phases[None]
    return from_frame(frame, diagonal), -log_det if inverse else log_det


def _haar(start: _Parts, end: _Parts, slope_t: Array, slope_s: Array) -> Float[Array, "*sites"]:
    """Logarithm of the ratio of Haar densities in the box; at its edges, where both vanish, that of slopes."""
    (t, s), (moved_t, moved_s) = start, end
    small = t < 1e-10
    ratio = jnp.where(small, slope_t, jnp.log(jnp.where(small, 1.0, moved_t) / jnp.where(small, 1.0, t)))
    largest = stretch(t, moved_t, slope_t)[1]
    upper = stretch(t * s, moved_t * moved_s, ratio + slope_s)[1]
    lower = stretch(t * (1 - s), moved_t * (1 - moved_s), ratio + slope_s)[1]
    return ratio + 2 * (largest + upper + lower)


def _share_profile(t: Float[Array, "*sites"], n_bins: int, numbers: tuple[Numbers, Numbers] | None) -> Profile:
    """Of s at given t: the Haar density, times that of the coefficients."""
    s = jnp.broadcast_to(jnp.asarray(nodes(n_bins)).reshape(-1, *(1,) * t.ndim), (3 * n_bins + 1, *t.shape))
    logs = cell.conditional(t, s)
    if numbers is not None:
        logs = logs + _energy(*numbers, jnp.stack(cell.angles_of(jnp.broadcast_to(t[None], s.shape), s)))
    return profile(logs, power=2)


def _energy(even: Numbers, odd: Numbers, angles: Float[Array, "3 n *sites"]) -> Float[Array, "n *sites"]:
    """ℓ of eigenvalues, by powers of their phases."""
    phase = jnp.cos(angles) + 1j * jnp.sin(angles)
    power, out = jnp.ones_like(phase), jnp.zeros(angles.shape[1:])
    for a, b in zip(even, odd, strict=True):
        power = power * phase
        trace = jnp.sum(power, axis=0)
        out = out + a[None] * jnp.real(trace) + b[None] * jnp.imag(trace)
    return out


def _radial_logs(even: Numbers, odd: Numbers, n_bins: int) -> Float[Array, "n_nodes *sites"]:
    """Logarithm of the mean of e^ℓ over the Haar density of s, at the nodes of t."""
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    t, s = nodes(n_bins)[:, None], (points + 1)[None] / 2
    # at both ends of t the limit is the same as next to them
    near = np.clip(t, 1e-3, 1 - 1e-3)
    density = (np.sin(np.pi * near * s) * np.sin(np.pi * near * (1 - s))) ** 2 * weights
    density /= density.sum(axis=1, keepdims=True)
    phases = np.exp(1j * np.stack(cell.angles_of(t, s)))
    traces = np.stack([np.sum(phases**n, axis=0) for n in range(1, len(even) + 1)], axis=-1)
    logs = jnp.tensordot(np.real(traces), even, 1) + jnp.tensordot(np.imag(traces), odd, 1)
    top = jnp.max(logs, axis=1)
    shares = jnp.asarray(density.reshape(*density.shape, *(1,) * (logs.ndim - 2)))
    return top + jnp.log(jnp.sum(shares * jnp.exp(logs - top[:, None]), axis=1))
