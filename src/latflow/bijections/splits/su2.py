r"""The split of SU(2) plaquettes: first the angle of half the plaquette, then the direction of its axis.

With $M=\sqrt P$, the root with eigenvalues $e^{\pm i\alpha/2}$, the halves are $a=MX$ and $b=X^\dagger M$. Let ψ be the
angle of $X=\cos\psi+i\,\sin\psi\,\hat x\cdot\sigma$ and g the cosine between its axis and that of P. Then
$\tfrac12\mathrm{tr}\,(a,b)=\cos\tfrac\alpha2\cos\psi\mp\sin\tfrac\alpha2\sin\psi\,g$. Blocks of weight $e^{E(a)}$ give

$$p(\psi,g)\propto\sin^2\!\psi\;e^{E(a)+E(b)},\qquad E=\sum_kc_kt^k,\quad t=\tfrac12\mathrm{tr}.$$

Splines draw ψ from the marginal density, by quadrature over g, and then |g|. The sign of g and the azimuth stay as they
are. E is a polynomial of the trace with trainable coefficients, one set per level; `block_energy` fits it to the
character expansion of a block of n plaquettes, which is the start. The map is equivariant under conjugation because it
reads traces and scalar products.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ive
from typing_extensions import override

from latflow._typing import Field, Matrices
from latflow.arguments import count
from latflow.batching import trailing
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.bijections.splits.profile import Profile, nodes, profile, pull, push, stretch

_TINY = 1e-10
_ANGLES = 400
_HALF_RANGE = 4
"""Gauss points of the average over |g| in the density of the angle."""

_Moved = tuple[Matrices, Float[Array, "*sites"]]
_Quaternion = tuple[Float[Array, "*sites"], Float[Array, "3 *sites"]]


class SU2Split(AbstractSplit):
    """A learned map of half of every plaquette of SU(2).

    Args:
        energy: Coefficients of E, those of the powers of half the trace from the first on.
        n_bins: K ≥ 2, bins of the splines.

    Raises:
        ConfigError: If there are fewer than two bins.
    """

    energy: Float[Array, "... n_terms"]
    n_bins: int = eqx.field(static=True, default=12)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)

    @override
    def heat_bath(self, beta: float) -> "SU2Split":
        n_levels, n_terms = self.energy.shape
        energies = [block_energy(beta, n_plaquettes=2 ** (n_levels - 1 - i), n_powers=n_terms) for i in range(n_levels)]
        return eqx.tree_at(lambda split: split.energy, self, jnp.asarray(np.stack(energies), self.energy.dtype))

    @override
    def forward_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _moved(self.energy, half, plaquette, n_bins=self.n_bins, inverse=False)

    @override
    def inverse_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return _moved(self.energy, half, plaquette, n_bins=self.n_bins, inverse=True)

    @override
    def alone(self) -> "SU2Split":
        # at P = 1 both halves have the same E
        return eqx.tree_at(lambda split: split.energy, self, self.energy / 2)

    @override
    def placed(self, x: Field, plaquette: Field) -> Field:
        return _placed(x, plaquette)

    @override
    def representative(self, plaquette: Field) -> Field:
        return _diagonal(plaquette)


def block_energy(beta: float, *, n_plaquettes: int, n_powers: int = 5) -> Float[np.ndarray, " n_powers"]:
    r"""Coefficients of the powers of half the trace in E of a block of plaquettes in infinite volume.

    Their product has the density $\sum_dd\,(I_d(\beta)/I_1(\beta))^n\,\sin d\psi/\sin\psi$ with respect to Haar, the
    convolution of n Wilson weights. Its logarithm is fitted by least squares, weighted with the density.

    Args:
        beta: Coupling of the plaquettes, at least 0.
        n_plaquettes: n.
        n_powers: Degree of E.
    """
    if beta == 0:
        return np.zeros(n_powers)
    psi = np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    d = np.arange(1, 40 + 4 * math.ceil(beta))
    terms = d * (ive(d, beta) / ive(1, beta)) ** n_plaquettes
    density = np.maximum(np.sin(np.outer(psi, d)) @ terms / np.sin(psi), 1e-12)
    weights = np.sin(psi) * np.sqrt(density)
    basis = np.cos(psi)[:, None] ** np.arange(n_powers + 1)
    return np.linalg.lstsq(basis * weights[:, None], np.log(density) * weights, rcond=None)[0][1:]


@trailing
def _diagonal(plaquette: Matrices) -> Matrices:
    """The element of the class whose axis is the third; its gradient is that of the angle."""
    real, vector = _quaternion(plaquette)
    zero = jnp.zeros_like(real)
    return _matrices((real, jnp.stack([zero, zero, _length(vector)])))


@trailing
def _placed(element: Matrices, plaquette: Matrices) -> Matrices:
    """MX, where the third direction of the axis of X becomes that of P."""
    cosine, sine, axis = _root(plaquette)
    real, vector = _quaternion(element)
    # two directions across the axis: Duff et al., J. Comput. Graph. Tech. 6 (2017) 1
    x, y, z = axis
    sign = jnp.where(z < 0, -1.0, 1.0)
    a = -1 / (sign + z)
    b = x * y * a
    first = jnp.stack([1 + sign * x**2 * a, sign * b, -sign * x])
    second = jnp.stack([b, sign + y**2 * a, -y])
    turned = vector[0][None] * first + vector[1][None] * second + vector[2][None] * axis
    return _matrices(_times((cosine, sine[None] * axis), (real, turned)))


@trailing
def _moved(
    coefficients: Float[Array, "n_terms *batch"], half: Matrices, plaquette: Matrices, *, n_bins: int, inverse: bool
) -> _Moved:
    energy = coefficients.astype(float).reshape(
        len(coefficients), *(1,) * (half.ndim - 1 - coefficients.ndim), *coefficients.shape[1:]
    )
    cosine, sine, axis = _root(plaquette)
    root = (cosine, sine[None] * axis)
    x = _times((root[0], -root[1]), _quaternion(half))
    length = _length(x[1])
    angle = jnp.arctan2(length, x[0]) / jnp.pi
    along = jnp.sum(x[1] * axis, axis=0)
    spread = x[1] - along[None] * axis
    share = _share(along, spread, length)

    radial = profile(_angle_logs(energy, cosine, sine, n_bins=n_bins), power=2)
    if inverse:
        base, log_slope = pull(radial, angle)
        factor, log_factor = (1 / part if i == 0 else part for i, part in enumerate(stretch(base, angle, log_slope)))
        psi, new_angle = angle, base
    else:
        new_angle, log_slope = push(radial, angle)
        factor, log_factor = stretch(angle, new_angle, log_slope)
        psi = new_angle
    polar = profile(
        _cosine_logs(energy, cosine * jnp.cos(jnp.pi * psi), sine * jnp.sin(jnp.pi * psi), n_bins=n_bins), power=0
    )
    moved, polar_slope = (pull if inverse else push)(polar, share)
    turn, tilt = _ratios(share, moved, polar_slope, polar, inverse=inverse)
    vector = (factor * turn * along)[None] * axis + (factor * tilt)[None] * spread
    log_det = log_slope + 2 * log_factor + polar_slope
    out = _times(root, (jnp.cos(jnp.pi * new_angle), vector))
    return _matrices(out), -log_det if inverse else log_det


def _angle_logs(energy: Array, cosine: Array, sine: Array, *, n_bins: int) -> Float[Array, "n_nodes *sites"]:
    """Log-density of ψ relative to the Haar measure: the average over |g| of both blocks."""
    psi = np.pi * nodes(n_bins)
    points, weights = np.polynomial.legendre.leggauss(2 * _HALF_RANGE)
    mean = cosine[None] * _column(np.cos(psi), cosine)
    side = (sine[None] * _column(np.sin(psi), sine)) ** 2
    logs = [_pair(energy, mean, side * float(g) ** 2) for g in points[_HALF_RANGE:]]
    top = jnp.maximum(logs[0], logs[-1])
    terms = [float(w) * jnp.exp(log - top) for w, log in zip(weights[_HALF_RANGE:], logs, strict=True)]
    return top + jnp.log(sum(terms[1:], start=terms[0]))


def _cosine_logs(energy: Array, mean: Array, side: Array, *, n_bins: int) -> Float[Array, "n_nodes *sites"]:
    """Log-density of 1 − |g| at a given angle."""
    g = 1 - nodes(n_bins)
    return _pair(energy, mean[None], side[None] ** 2 * _column(g**2, mean))


def _pair(energy: Array, mean: Array, square: Array) -> Array:
    """E of both blocks, whose half traces are `mean` ± the root of `square`: even powers of that root alone."""
    total = jnp.zeros_like(mean * square)
    for k in range(1, len(energy) + 1):
        terms = [2 * math.comb(k, 2 * j) * mean ** (k - 2 * j) * square**j for j in range(k // 2 + 1)]
        total = total + energy[k - 1][None] * sum(terms[1:], start=terms[0])
    return total


def _share(along: Array, spread: Array, length: Array) -> Array:
    """1 − |g|, without a difference of nearly equal numbers."""
    square = jnp.sum(spread**2, axis=0)
    scale = length * (length + jnp.abs(along))
    return jnp.clip(square / jnp.where(scale > _TINY**2, scale, 1.0), 0.0, 1.0)


def _ratios(share: Array, moved: Array, log_slope: Array, polar: Profile, *, inverse: bool) -> tuple[Array, Array]:
    """By which factors the components of the axis along and across that of P change; slopes where these vanish."""
    cosine, moved_cosine = 1 - share, 1 - moved
    slope = jnp.exp(-log_slope if inverse else log_slope)
    turn = jnp.where(cosine > _TINY, moved_cosine / jnp.where(cosine > _TINY, cosine, 1.0), slope)
    small = share < _TINY
    ratio = jnp.where(small, slope, moved / jnp.where(small, 1.0, share))
    return turn, jnp.sqrt(ratio * (1 + moved_cosine) / (1 + cosine))


# Quaternions: the real part, and three coefficients of iσ ------------------------------------------------------------


def _quaternion(a: Matrices) -> _Quaternion:
    return jnp.real(a[0, 0]), jnp.stack([jnp.imag(a[0, 1]), jnp.real(a[0, 1]), jnp.imag(a[0, 0])])


def _matrices(q: _Quaternion) -> Matrices:
    real, (x, y, z) = q
    above, beside = jnp.stack([real, y]), jnp.stack([z, x])
    first = above + 1j * beside
    return jnp.stack([first, jnp.stack([-jnp.conj(first[1]), jnp.conj(first[0])])])


def _times(a: _Quaternion, b: _Quaternion) -> _Quaternion:
    """Product; σ_iσ_j = δ_ij + iε_ijkσ_k."""
    cross = jnp.cross(a[1], b[1], axis=0)
    return a[0] * b[0] - jnp.sum(a[1] * b[1], axis=0), a[0][None] * b[1] + b[0][None] * a[1] - cross


def _length(vector: Float[Array, "3 *sites"]) -> Float[Array, "*sites"]:
    """Euclidean length; its derivative is taken to be zero at zero."""
    square = jnp.sum(vector**2, axis=0)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _root(plaquette: Matrices) -> tuple[Array, Array, Float[Array, "3 *sites"]]:
    """Cosine and sine of α/2, and the axis of P; any fixed axis where P has none."""
    real, vector = _quaternion(plaquette)
    length = _length(vector)
    half = jnp.arctan2(length, real) / 2
    pole = jnp.zeros_like(vector).at[2].set(1.0)
    regular = length > _TINY
    axis = jnp.where(regular[None], vector / jnp.where(regular, length, 1.0)[None], pole)
    return jnp.cos(half), jnp.sin(half), axis


def _column(numbers: np.ndarray, like: Float[Array, "*sites"]) -> Float[Array, "n *ones"]:
    return jnp.asarray(numbers.reshape(-1, *(1,) * like.ndim), like.dtype)
