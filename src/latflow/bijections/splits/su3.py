r"""The split of SU(3) plaquettes: five one-dimensional splines, one after another, from the heat bath of two blocks.

With $M=\sqrt P$ the halves are $a=MX$, $b=X^\dagger M$. X is taken apart in the eigenframe of P
(`latflow.bijections.splits.su3_chart`). The density of each of its five coordinates, given those before it, is that of
two blocks of Wilson's action at coupling κ, the later ones integrated out by quadrature, times the exponential of a
short Fourier or Chebyshev series whose coefficients a network reads from P and the earlier coordinates. An untrained
split is the heat bath. The map is equivariant under conjugation because frame and coordinates are, and under charge
conjugation because plaquettes are first conjugated to a non-negative middle angle.

Where eigenvalues of P coincide it has no frame of its own, and no choice of one is continuous: the map cannot commute
with the conjugations that leave P alone. These P have measure zero. There the map is still a bijection of a with a
finite log-det, the exact one, and derivatives are finite. Elsewhere rounding errors of P are divided by the gap between
eigenvalues: image, inverse and equivariance hold to about 1e-15 over the gap. The cold configuration has such P. Where
the first entry of X has absolute value one, derivatives depend on the direction from which X comes.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.optimize import root_scalar
from scipy.special import roots_jacobi
from typing_extensions import override

from latflow._typing import Field, Matrices, PRNGKey
from latflow.arguments import count, counts
from latflow.batching import trailing
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.bijections.splits.eigenframe import eigenframe, from_frame, in_frame
from latflow.bijections.splits.network import SiteNetwork
from latflow.bijections.splits.profile import nodes, through
from latflow.bijections.splits.su3_chart import Chart, Phases, build, read, strength

_POWERS = (4, 3, 0, 2, 0)
"""Of the sines in the Haar densities of the coordinates."""
_N_FEATURES = (6, 8, 10, 13, 15)
_REVERSED = np.asarray([0, 2, 1])
_ROUNDING = 1e-12
"""Middle angles of less count as zero, so that the cold plaquette is conjugated by no rounding error."""
_ANGLES = 128
"""Points on the circle of eigenvalues in averages of plaquettes."""
_STRONG = 1e-4
"""Averages below which κ is proportional to A, to their square."""
_SHARES = 0.5 + np.asarray([-0.5, 0.5]) / math.sqrt(3)

_Framed = tuple[Float[Array, "3 *sites"], Matrices, Matrices]
_Taken = tuple[Phases, Float[Array, "6 *sites"], Float[Array, "5 *sites"], Phases, Bool[Array, "*sites"]]


class Condition(NamedTuple):
    """The density of one coordinate of every half, given those before it.

    Attributes:
        value: The coordinate.
        logs: Its log-density at `nodes` without a network, up to a constant.
        inputs: What the network reads.
        power: Of the sine in its Haar density.
    """

    value: Float[Array, "*sites"]
    logs: Float[Array, "n_nodes *sites"]
    inputs: Float[Array, "n_inputs *sites"]
    power: int


class SU3Split(AbstractSplit):
    """A learned map of half of every plaquette of SU(3).

    Args:
        kappa: Coupling of the blocks, trained like the rest.
        networks: One for every coordinate, whose outputs are the coefficients of its series.
        n_bins: K ≥ 2, bins of the splines.
        diagonal: Whether plaquettes are those of `representative`, whose frame is known and not computed.

    Raises:
        ConfigError: If there are fewer than two bins.
    """

    kappa: Float[Array, "..."]
    networks: tuple[SiteNetwork, ...]
    n_bins: int = eqx.field(static=True, default=8)
    diagonal: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)

    @classmethod
    def untrained(
        cls,
        key: PRNGKey,
        *,
        n_levels: int,
        n_bins: int = 8,
        hidden: tuple[int, ...] = (24,),
        n_terms: int = 5,
        dtype: str | jnp.dtype = "float32",
    ) -> "SU3Split":
        """The stacked splits of all levels at κ = 0, with networks whose outputs are zero.

        Args:
            key: Randomness of the networks.
            n_levels: Levels.
            n_bins: K ≥ 2.
            hidden: Units of every hidden layer.
            n_terms: Coefficients of each series.
            dtype: Precision of the networks.
        """
        widths = counts("flow.hidden", hidden, words="one or more positive widths")

        def networks(level: int) -> tuple[SiteNetwork, ...]:
            keys = [jax.random.fold_in(jax.random.fold_in(key, level), i) for i in range(len(_N_FEATURES))]
            return tuple(
                SiteNetwork.untrained(k, n_in=n, hidden=widths, n_out=count("flow.terms", n_terms), dtype=dtype)
                for k, n in zip(keys, _N_FEATURES, strict=True)
            )

        levels = [networks(level) for level in range(n_levels)]
        return cls(jnp.zeros(n_levels), jax.tree.map(lambda *leaves: jnp.stack(leaves), *levels), n_bins)

    @override
    def heat_bath(self, beta: float) -> "SU3Split":
        kappas = block_couplings(beta, len(self.kappa))
        silent = tuple(network.silent() for network in self.networks)
        return SU3Split(jnp.asarray(kappas, self.kappa.dtype), silent, self.n_bins)

    @override
    def forward_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return self._moved(half, plaquette, inverse=False)

    @override
    def inverse_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        return self._moved(half, plaquette, inverse=True)

    @override
    def placed(self, x: Field, plaquette: Field) -> Field:
        return _placed(x, plaquette)

    @override
    def representative(self, plaquette: Field) -> Field:
        return _diagonal(plaquette)

    @override
    def of_representatives(self) -> "SU3Split":
        return SU3Split(self.kappa, self.networks, self.n_bins, diagonal=True)

    def conditions(self, half: Field, plaquette: Field) -> tuple[Condition, ...]:
        """The densities from which the image of nothing else than `half` comes, for fits of the networks."""
        angles, _, a = self._framed(half, plaquette)
        _, features, values, _, _ = _taken_apart(angles, a)
        found = []
        for step, power in enumerate(_POWERS):
            known = values[:step]
            logs = _heat_bath(self.kappa, features[:3], known, step=step, n_bins=self.n_bins)
            found.append(Condition(values[step], logs, _read(features, known, step=step), power))
        return tuple(found)

    def examined(self, half: Field, plaquette: Field) -> tuple[tuple[Condition, ...], LogDet]:
        """The conditions, and the log-det of the inverse map."""
        return self.conditions(half, plaquette), self.inverse_and_log_det(half, plaquette)[1]

    def _moved(self, half: Field, plaquette: Field, *, inverse: bool) -> tuple[Field, LogDet]:
        # XLA would compute the frame again in every loop that reads it: half of the seconds, and of the compilation
        angles, frame, a = self._framed(half, plaquette)
        frame, *parts = jax.lax.optimization_barrier((frame, *_taken_apart(angles, a)))
        root, features, values, phases, conjugated = parts
        moved, log_det = jax.lax.optimization_barrier(self._chain(features, values, inverse=inverse))
        image = _put_together(root, features, moved, phases, conjugated)
        return image if frame is None else _turned_back(frame, image), log_det

    def _framed(self, half: Field, plaquette: Field) -> tuple[Array, Matrices | None, Matrices]:
        """Angles of P, its frame V unless that is the unit matrix, and V†aV."""
        if self.diagonal:
            return _angles_of_diagonal(plaquette), None, half
        return _turned(half, plaquette)

    def _chain(
        self, features: Float[Array, "6 *sites"], values: Float[Array, "5 *sites"], *, inverse: bool
    ) -> tuple[Float[Array, "5 *sites"], LogDet]:
        """All five splines; each reads the images of those before it."""
        images, moved, log_det = [], [], jnp.zeros_like(values[0])
        for step, (network, power) in enumerate(zip(self.networks, _POWERS, strict=True)):
            known = jnp.stack(images) if images else values[:0]
            logs = _heat_bath(self.kappa, features[:3], known, step=step, n_bins=self.n_bins)
            terms = jnp.asarray(series(nodes(self.n_bins), power, n_terms=len(network.biases[-1])), logs.dtype)
            logs = logs + jnp.tensordot(terms, network(_read(features, known, step=step)), 1)
            out, slope = through(logs, values[step], power=power, inverse=inverse)
            images.append(values[step] if inverse else out)
            moved.append(out)
            log_det = log_det + slope
        return jnp.stack(moved), log_det


def block_couplings(beta: float, n_levels: int) -> Float[np.ndarray, " n_levels"]:
    r"""Couplings κ of blocks of $2^{n-1},\dots,2,1$ plaquettes, those of the coarsest level first.

    The average of a block of n plaquettes is the n-th power of that of one, $A(\kappa_n)=A(\beta)^n$.

    Args:
        beta: Coupling of the plaquettes, at least 0.
        n_levels: n.
    """
    averages = [_average(beta) ** (2**i) for i in reversed(range(n_levels))]
    return np.asarray([_inverse_average(a, 2 * beta + 1) if a > _STRONG else 18 * a for a in averages])


def _inverse_average(average: float, largest: float) -> float:
    return float(root_scalar(lambda kappa: _average(kappa) - average, bracket=(0.0, largest)).root)


def _average(kappa: float) -> float:
    """One third of the trace of a plaquette of coupling κ, by a sum over eigenvalues with Weyl's measure."""
    first, second = np.meshgrid(*(2 * np.pi * np.arange(_ANGLES) / _ANGLES,) * 2)
    angles = [first, second, -first - second]
    values = [np.exp(1j * angle) for angle in angles]
    measure = math.prod(abs(values[i] - values[j]) ** 2 for i, j in ((0, 1), (1, 2), (2, 0)))
    trace = sum(np.cos(angle) for angle in angles) / 3
    weights = measure * np.exp(kappa * (trace - 1))
    return float(np.sum(weights * trace) / np.sum(weights))


@trailing
def _diagonal(plaquette: Matrices) -> Matrices:
    angles = eigenframe(plaquette).angles
    values = jnp.cos(angles) + 1j * jnp.sin(angles)
    return values[:, None] * np.eye(3).reshape(3, 3, *(1,) * (plaquette.ndim - 2))


@trailing
def _placed(x: Matrices, plaquette: Matrices) -> Matrices:
    """VMXV†, with V the frame of P."""
    angles, frame = eigenframe(plaquette)
    root = jnp.cos(angles / 2) + 1j * jnp.sin(angles / 2)
    return from_frame(frame, root[:, None] * x)


@trailing
def _turned(half: Matrices, plaquette: Matrices) -> _Framed:
    """Angles and frame V of P, and V†aV."""
    angles, frame = eigenframe(plaquette)
    return angles, frame, in_frame(frame, half)


@trailing
def _turned_back(frame: Matrices, a: Matrices) -> Matrices:
    return from_frame(frame, a)


@trailing
def _angles_of_diagonal(plaquette: Matrices) -> Float[Array, "3 *sites"]:
    """Those of `_diagonal`: the middle one, the largest and the smallest, whose sum is zero."""
    middle, largest, smallest = (jnp.angle(plaquette[i, i]) for i in range(3))
    # the largest above π and the smallest below −π have a turn too little or too much
    turns = jnp.round((middle + largest + smallest) / (2 * np.pi))
    return jnp.stack([middle, largest + 2 * np.pi * (turns < 0), smallest - 2 * np.pi * (turns > 0)])


@trailing
def _taken_apart(angles: Float[Array, "3 *sites"], a: Matrices) -> _Taken:
    """Of P and its half in the frame of P: root of P, its cosines and sines of half angles, coordinates of X = M†a."""
    conjugated = angles[0] < -_ROUNDING
    # of the conjugated plaquette: the largest angle becomes the smallest
    angles = jnp.where(conjugated[None], -angles[_REVERSED], angles)
    a = jnp.where(conjugated[None, None], jnp.conj(a)[_REVERSED][:, _REVERSED], a)
    cosines, sines = jnp.cos(angles / 2), jnp.sin(angles / 2)
    root = cosines + 1j * sines
    # V†M†aV: rows of V†aV times conjugated phases
    chart = read(jnp.conj(root)[:, None] * a, cosines)
    return root, jnp.concatenate([cosines, sines]), chart.values, chart.phases, conjugated


@trailing
def _put_together(
    root: Array,
    features: Float[Array, "6 *sites"],
    values: Float[Array, "5 *sites"],
    phases: Array,
    conjugated: Bool[Array, "*sites"],
) -> Matrices:
    a = root[:, None] * build(Chart(values, phases), features[:3])
    return jnp.where(conjugated[None, None], jnp.conj(a)[_REVERSED][:, _REVERSED], a)


@trailing
def _read(
    features: Float[Array, "6 *sites"], known: Float[Array, "n *sites"], *, step: int
) -> Float[Array, "m *sites"]:
    """What the network of a coordinate reads: P, and the images of the coordinates before."""
    parts = [*features]
    if step > 0:
        parts += [jnp.cos(jnp.pi * known[0]), jnp.sin(jnp.pi * known[0])]
    if step > 1:
        parts += [jnp.cos(jnp.pi * known[1]), jnp.sin(jnp.pi * known[1])]
    if step > 2:
        parts += [known[2], _strength(features[:3], known) / 4, features[0] * parts[6]]
    if step > 3:
        parts += [jnp.cos(jnp.pi * known[3]), jnp.sin(jnp.pi * known[3])]
    return jnp.stack(parts)


@trailing
def _heat_bath(
    kappa: Float[Array, "*batch"],
    k: Float[Array, "3 *sites"],
    known: Float[Array, "n *sites"],
    *,
    step: int,
    n_bins: int,
) -> Float[Array, "n_nodes *sites"]:
    """Log-density of a coordinate given those before it, relative to Haar, for blocks of Wilson's action."""
    rate = (2 * kappa / 3).reshape(*(1,) * (k.ndim - kappa.ndim), *kappa.shape)
    y = nodes(n_bins).reshape(-1, *(1,) * (k.ndim - 1))
    k = k[:, None]
    if step == 0:
        cosine, sine = jnp.cos(jnp.pi * y), jnp.sin(jnp.pi * y)
        points, weights = roots_jacobi(3, 1, 1)
        average = [
            w * _blocks(rate, k, cosine, cosine**2 + (sine * v) ** 2)
            for v, w in zip(points[1:], weights[1:] * [1, 2], strict=True)
        ]
        return rate * k[0] * cosine + jnp.log(average[0] + average[1])
    cosine, sine = jnp.cos(jnp.pi * known[:1]), jnp.sin(jnp.pi * known[:1])
    if step == 1:
        return jnp.log(_blocks(rate, k, cosine, cosine**2 + (sine * np.cos(np.pi * y)) ** 2))
    if step == 2:
        at_one, at_zero = strength(k, cosine, cosine**2 + (sine * jnp.cos(jnp.pi * known[1:2])) ** 2)
        return _log_block(rate**2 * (y * at_one + (1 - y) * at_zero))
    if step == 3:
        return rate * jnp.sqrt(_strength(k[:, 0], known) + 1e-12)[None] * np.cos(np.pi * y)
    return jnp.zeros_like(k[0] * y)


def _strength(k: Float[Array, "3 *sites"], known: Float[Array, "n *sites"]) -> Array:
    """(2k)² of the heat bath of the block, given the first column."""
    cosine, sine = jnp.cos(jnp.pi * known[0]), jnp.sin(jnp.pi * known[0])
    at_one, at_zero = strength(k, cosine, cosine**2 + (sine * jnp.cos(jnp.pi * known[1])) ** 2)
    return known[2] * at_one + (1 - known[2]) * at_zero


def _blocks(rate: Array, k: Array, cosine: Array, square: Array) -> Array:
    """The weight of the block, averaged over s with two Gauss points."""
    at_one, at_zero = strength(k, cosine, square)
    first, second = (jnp.exp(_log_block(rate**2 * (s * at_one + (1 - s) * at_zero))) for s in _SHARES)
    return first + second


def _log_block(square: Array) -> Array:
    r"""$\ln\int dZ\,e^{x\cos\omega}=\ln 2I_1(x)/x$ by its bound of Amos type in x², right at both ends."""
    root = jnp.sqrt(square + 6.25)
    return root - 2.5 - 1.5 * jnp.log((1.5 + root) / 4)


def series(y: Float[np.ndarray, " n"], power: int, *, n_terms: int) -> Float[np.ndarray, "n n_terms"]:
    """Cosines of multiples of an angle, or Chebyshev polynomials of a share, whose Haar density has no sine.

    Args:
        y: Coordinates.
        power: Of the sine in their Haar density.
        n_terms: Functions.
    """
    angle = np.pi * y if power else np.arccos(2 * y - 1)
    return np.cos(angle[:, None] * np.arange(1, n_terms + 1))
