r"""The split of SU(N) plaquettes: one-dimensional splines of all coordinates but phases, one after another.

As for SU(3) (`latflow.bijections.splits.su3`): with $M=\sqrt P$ the halves are $a=MX$, $b=X^\dagger M$, and X is taken
apart in the eigenframe of P, column by column (`latflow.bijections.splits.sun_chart`). The density of each coordinate,
given those before it, is that of two Wilson blocks at coupling κ, the later ones integrated out roughly, times the
exponential of a short series whose coefficients a network reads. The map is equivariant under conjugation because frame
and coordinates are, and under charge conjugation because plaquettes are first conjugated to a non-negative smallest
angle.

Where eigenvalues of P coincide, or singular values of what a column leaves, there is no frame of its own, as for SU(3):
the map is still a bijection with the exact log-det and finite derivatives. These sets have measure zero. Elsewhere
rounding errors of P are divided by the gaps.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float
from typing_extensions import override

from latflow._typing import Field, Matrices, PRNGKey
from latflow.arguments import count, counts
from latflow.batching import trailing
from latflow.bijections.splits.base import AbstractSplit, LogDet
from latflow.bijections.splits.eigenframe import from_frame, in_frame
from latflow.bijections.splits.network import SiteNetwork
from latflow.bijections.splits.normal_frame import sun_frame
from latflow.bijections.splits.profile import nodes, through
from latflow.bijections.splits.su3 import Condition, series
from latflow.bijections.splits.sun_chart import Chart, Weight, build, read, sizes, taken
from latflow.bijections.splits.sun_heat_bath import block_couplings, centre_logs, logs

_ROUNDING = 1e-12
"""Smallest angles of less count as zero, so that the cold plaquette is conjugated by no rounding error."""

_Taken = tuple[Matrices, Array, Float[Array, "_ *sites"], Float[Array, "_ *sites"], Array, Bool[Array, "*sites"]]
_Next = tuple[Float[Array, "rest *sites"], Float[Array, "*sites"]]


class SUNSplit(AbstractSplit):
    """A learned map of half of every plaquette of SU(N), N ≥ 3.

    Args:
        kappa: Coupling of the blocks, trained like the rest.
        networks: One for every coordinate, whose outputs are the coefficients of its series.
        n: N.
        n_bins: K ≥ 2, bins of the splines.

    Raises:
        ConfigError: If there are fewer than two bins, or N is below 3.
    """

    kappa: Float[Array, "..."]
    networks: tuple[SiteNetwork, ...]
    n: int = eqx.field(static=True)
    n_bins: int = eqx.field(static=True, default=12)

    def __check_init__(self) -> None:
        count("flow.bins", self.n_bins, least=2)
        count("n", self.n, least=3)

    @classmethod
    def untrained(
        cls,
        key: PRNGKey,
        *,
        n: int,
        n_levels: int,
        n_bins: int = 12,
        hidden: tuple[int, ...] = (12,),
        n_terms: int = 5,
        dtype: str | jnp.dtype = "float32",
    ) -> "SUNSplit":
        """The stacked splits of all levels at κ = 0, with networks whose outputs are zero.

        Args:
            key: Randomness of the networks.
            n: N.
            n_levels: Levels.
            n_bins: K ≥ 2.
            hidden: Units of every hidden layer.
            n_terms: Coefficients of each series.
            dtype: Precision of the networks.
        """
        widths = counts("flow.hidden", hidden, words="one or more positive widths")

        def networks(level: int) -> tuple[SiteNetwork, ...]:
            keys = [jax.random.fold_in(jax.random.fold_in(key, level), i) for i in range(len(_n_features(n)))]
            return tuple(
                SiteNetwork.untrained(k, n_in=i, hidden=widths, n_out=count("flow.terms", n_terms), dtype=dtype)
                for k, i in zip(keys, _n_features(n), strict=True)
            )

        levels = [networks(level) for level in range(n_levels)]
        return cls(jnp.zeros(n_levels), jax.tree.map(lambda *leaves: jnp.stack(leaves), *levels), n, n_bins)

    @override
    def heat_bath(self, beta: float) -> "SUNSplit":
        kappas = block_couplings(self.n, beta, len(self.kappa))
        silent = tuple(network.silent() for network in self.networks)
        return SUNSplit(jnp.asarray(kappas, self.kappa.dtype), silent, self.n, self.n_bins)

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

    def examined(self, half: Field, plaquette: Field) -> tuple[tuple[Condition, ...], LogDet]:
        """The densities from which the image of nothing else than `half` comes, for fits, and the inverse log-det."""
        _, _, features, values, _, _ = jax.lax.optimization_barrier(_taken_apart(half, plaquette))
        _, log_det, conditions = self._chain(features, values, inverse=True)
        return conditions, log_det

    def _moved(self, half: Field, plaquette: Field, *, inverse: bool) -> tuple[Field, LogDet]:
        # XLA would compute the frame again in every loop that reads it
        parts = jax.lax.optimization_barrier(_taken_apart(half, plaquette))
        frame, root, features, values, phases, conjugated = parts
        moved, log_det = jax.lax.optimization_barrier(self._chain(features, values, inverse=inverse)[:2])
        return _put_together(frame, root, features, moved, phases, conjugated), log_det

    def _chain(
        self, features: Float[Array, "_ *sites"], values: Float[Array, "_ *sites"], *, inverse: bool
    ) -> tuple[Float[Array, "_ *sites"], LogDet, tuple[Condition, ...]]:
        """All splines, each of which reads the images of those before it, and the densities without networks."""
        moved, conditions, log_det, first = [], [], jnp.zeros_like(values[0]), 0
        sigma, phi = features[: self.n], jnp.zeros_like(features[0])
        for size in (*sizes(self.n), 2):
            known = values[:0]
            for step, power in enumerate(_powers(size)):
                value, network = values[first], self.networks[first]
                base = _logs(self.kappa, sigma, phi, known, n=self.n, step=step, n_bins=self.n_bins)
                inputs = _read(features, sigma, phi, known, step=step, whole=size == self.n)
                terms = jnp.asarray(series(nodes(self.n_bins), power, n_terms=len(network.biases[-1])), base.dtype)
                out, slope = through(
                    base + jnp.tensordot(terms, network(inputs), 1), value, power=power, inverse=inverse
                )
                conditions.append(Condition(value, base, inputs, power))
                known = jnp.concatenate([known, (value if inverse else out)[None]])
                moved.append(out)
                log_det, first = log_det + slope, first + 1
            if size > 2:
                sigma, phi = jax.lax.optimization_barrier(_next(sigma, phi, known))
        return jnp.stack(moved), log_det, tuple(conditions)


def _powers(size: int) -> tuple[int, ...]:
    """Of the sines in the Haar densities of the coordinates of a column, or of the last matrix."""
    return (2, 0) if size == 2 else (2 * size - 2, 2 * size - 3, *(0,) * (size - 2))


def _n_features(n: int) -> list[int]:
    """What the networks of all coordinates read."""
    found = []
    for size in (*sizes(n), 2):
        first = 2 * n + (0 if size == n else size + 2 if size > 2 else 1)
        found += [first + min(step, 2) + step for step in range(2)]
        found += [first + 4 + i for i in range(size - 2)]
    return found


@trailing
def _diagonal(plaquette: Matrices) -> Matrices:
    angles = sun_frame(plaquette).angles
    values = jnp.cos(angles) + 1j * jnp.sin(angles)
    n = len(plaquette)
    return values[:, None] * np.eye(n).reshape(n, n, *(1,) * (plaquette.ndim - 2))


@trailing
def _placed(x: Matrices, plaquette: Matrices) -> Matrices:
    """VMXV†, with V the frame of P."""
    angles, frame = sun_frame(plaquette)
    root = jnp.cos(angles / 2) + 1j * jnp.sin(angles / 2)
    return from_frame(frame, root[:, None] * x)


@trailing
def _taken_apart(half: Matrices, plaquette: Matrices) -> _Taken:
    """Frame and root of P, its cosines and sines of half angles, and the coordinates of X = M†a."""
    angles, frame = sun_frame(plaquette)
    conjugated = angles[0] < -_ROUNDING
    angles = jnp.where(conjugated[None], -angles, angles)
    frame = jnp.where(conjugated[None, None], jnp.conj(frame), frame)
    a = jnp.where(conjugated[None, None], jnp.conj(half), half)
    cosines, sines = jnp.cos(angles / 2), jnp.sin(angles / 2)
    root = cosines + 1j * sines
    # V†M†aV: rows of V†aV times conjugated phases
    chart = read(jnp.conj(root)[:, None] * in_frame(frame, a), cosines)
    return frame, root, jnp.concatenate([cosines, sines]), chart.values, chart.phases, conjugated


@trailing
def _put_together(
    frame: Matrices,
    root: Array,
    features: Float[Array, "_ *sites"],
    values: Float[Array, "_ *sites"],
    phases: Complex[Array, "_ *sites"],
    conjugated: Bool[Array, "*sites"],
) -> Matrices:
    a = from_frame(frame, root[:, None] * build(Chart(values, phases), features[: len(frame)]))
    return jnp.where(conjugated[None, None], jnp.conj(a), a)


@trailing
def _next(sigma: Float[Array, "n *sites"], phi: Float[Array, "*sites"], known: Float[Array, "m *sites"]) -> _Next:
    """The weight of what a column leaves."""
    rest = taken(known, Weight(sigma, phi)).rest
    return rest.sigma, rest.phi


@trailing
def _logs(
    kappa: Float[Array, "*batch"],
    sigma: Float[Array, "m *sites"],
    phi: Float[Array, "*sites"],
    known: Float[Array, "step *sites"],
    *,
    n: int,
    step: int,
    n_bins: int,
) -> Float[Array, "n_nodes *sites"]:
    """Log-density of a coordinate given those before it, relative to Haar, for blocks of Wilson's action."""
    rate = (2 * kappa / n).reshape(*(1,) * (phi.ndim + 1 - kappa.ndim), *kappa.shape)
    if len(sigma) > 1:
        return logs(rate, Weight(sigma, phi), known, step=step, n_bins=n_bins)
    found = centre_logs(rate, sigma[0], n_bins=n_bins)
    return jnp.zeros_like(found) if step else found


@trailing
def _read(
    features: Float[Array, "_ *sites"],
    sigma: Float[Array, "m *sites"],
    phi: Float[Array, "*sites"],
    known: Float[Array, "step *sites"],
    *,
    step: int,
    whole: bool,
) -> Float[Array, "_ *sites"]:
    """What the network of a coordinate reads: P, the weight of the matrix, and coordinates of the same column."""
    parts = [*features]
    if not whole:
        parts += [*sigma, jnp.cos(phi), jnp.sin(phi)] if len(sigma) > 1 else [sigma[0] / 4]
    for i in range(step):
        parts += [jnp.cos(jnp.pi * known[i]), jnp.sin(jnp.pi * known[i])] if i < 2 else [known[i]]
    return jnp.stack(parts)
