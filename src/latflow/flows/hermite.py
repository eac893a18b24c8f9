r"""Variates of a flow's draws: polynomials of the normal modes that a draw is made of, whose means are exactly zero.

A draw is made of independent modes $z_k\sim N(0,1)$. Two kinds of polynomials of them are orthogonal to 1, whatever the
flow does with the modes:

- of groups of modes by the size of their momentum: $\sum(z^2-1)$, its square (a Laguerre polynomial), products of
  different groups, $\mathrm{He}_4$ and $\mathrm{He}_6$ of the zero mode;
- local ones, of Gaussian fields $\varphi$ made of the modes with unit variance at every site and spectra
  $(\hat k^2+m^2)^{-1/2}$: site averages of $\mathrm{He}_n(\varphi_x)$ and of
  $\mathrm{He}_m(\varphi_x)\mathrm{He}_n(\varphi'_y)$, whose mean is $n!\,\langle\varphi_x\varphi'_y\rangle^n$ for
  $m=n$ and else 0 (Mehler's formula).

They have mean zero over draws *of the flow* only. Over configurations of a Markov chain of the target, sent backwards
through the flow, their means are other ones, and they would pull averages.

All are even: with an action that does not know the sign of the field, its averages know no other.

Quasi-random points do not even out the outermost draws (`latflow.stats.quasi_tails`). Polynomials with a long tail,
such as He₄ and most products, do more harm than good there: corrected errors came out too small by two where
little else was left. Which these are is read from fixed random modes and never from the points, whose luck would choose
them. The zero mode of these is drawn from a wider density and weighted: of He₆ the kurtosis, 35 000, lies at
|z| between 4 and 6, where 4096 normal modes have none, and found 10 to 100.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped, UInt32

from latflow._typing import PRNGKey, Scalar
from latflow.distributions import AbstractDistribution
from latflow.execution import draws_at_once
from latflow.fourier import from_momentum, momentum_squared, wave_numbers
from latflow.lattice import Lattice
from latflow.samplers.base import AbstractWeightedSampler
from latflow.stats.quasi_tails import OWN_KURTOSIS

MASSES = (0.05, 0.5, 5.0)
"""m² of the spectra of the local polynomials, lattice units: long waves, the free field, nearly every site alone."""

_JUDGED, _WIDER = 16384, 3.0
"""Random modes by which polynomials are judged, and the standard deviation of the zero mode among them."""

_OWN, _MERGED, _LINES = 8, 4, 4
"""Shells of momenta with a group of their own, groups of all others, and momenta along time."""


class _Groups(NamedTuple):
    """Modes that are treated alike, as indices of the flat array of modes; the zero mode is the first of all.

    Attributes:
        shells: All but the zero mode, by the size of their momentum.
        lines: Those that correlators along time are made of, by momentum; they are in shells, too.
    """

    shells: tuple[Int[np.ndarray, " _"], ...]
    lines: tuple[Int[np.ndarray, " _"], ...]


def hermite_variates(modes: Float[Array, "*momenta"], lattice: Lattice) -> Float[Array, " variates"]:
    """All polynomials of one draw.

    Args:
        modes: Independent standard normal amplitudes, see `AbstractDistribution.modes`.
        lattice: Whose modes they are.
    """
    return jnp.stack([*_of_groups(modes.ravel(), _groups(lattice)), *_of_sites(modes, lattice)])


def variates_of_points(
    flow: AbstractDistribution, lattice: Lattice, points: Float[Array | np.ndarray, "n uniforms"]
) -> Float[Array, "n variates"]:
    """Those without a long tail, of the draws that points in the cube become, see `AbstractDistribution.of_uniforms`.

    Args:
        flow: Made of modes.
        lattice: Its lattice.
        points: One row per draw.
    """
    return _of_points(flow, lattice, points)[:, without_tails(lattice)]


@functools.cache
def without_tails(lattice: Lattice) -> Int[np.ndarray, " _"]:
    """Which of all polynomials have a kurtosis of at most `OWN_KURTOSIS` over fixed random modes."""
    modes = jax.random.normal(jax.random.key(0), (_JUDGED, *lattice.shape))
    zero = (slice(None), *(0,) * lattice.ndim)
    modes = modes.at[zero].multiply(_WIDER)
    weights = np.asarray(jnp.exp(-(modes[zero] ** 2) / 2 * (1 - _WIDER**-2)))
    squares = np.asarray(_of_modes(modes, lattice)) ** 2
    return np.flatnonzero(weights.sum() * (weights @ squares**2) <= OWN_KURTOSIS * (weights @ squares) ** 2)


@eqx.filter_jit
def _of_modes(modes: Float[Array, "n *momenta"], lattice: Lattice) -> Float[Array, "n variates"]:
    return _of_many(lambda z: hermite_variates(z, lattice), modes, lattice)


@eqx.filter_jit
def _of_points(
    flow: AbstractDistribution, lattice: Lattice, points: Float[Array | np.ndarray, "n uniforms"]
) -> Float[Array, "n variates"]:
    return _of_many(lambda u: hermite_variates(flow.modes_of_uniforms(u), lattice), jnp.asarray(points), lattice)


def variates_of_keys(
    flow: AbstractDistribution, lattice: Lattice, key: PRNGKey, *, first: int, n: int
) -> Float[Array, "n variates"]:
    """Those of draws `first` to `first + n - 1`, see `latflow.samplers.draws.draw_block`.

    Args:
        flow: Made of modes.
        lattice: Its lattice.
        key: Root of the draws.
        first: Number of the first draw.
        n: Number of draws.
    """
    return _variates_of_keys(flow, lattice, key, jnp.arange(first, first + n, dtype=jnp.uint32))


def variates_of_sampler(
    sampler: AbstractWeightedSampler, key: PRNGKey, *, n: int, block_size: int
) -> Callable[[], Float[np.ndarray, "n variates"]] | None:
    """What makes those of the first n draws when it is called; None where a sampler is no flow made of modes.

    Args:
        sampler: Of the draws.
        key: Their root.
        n: How many.
        block_size: As many at once.
    """
    flow = getattr(sampler, "flow", None)
    if not isinstance(flow, AbstractDistribution) or not flow.has_modes:
        return None
    return functools.partial(_of_blocks, flow, key, n=n, block_size=block_size)


def _of_blocks(flow: AbstractDistribution, key: PRNGKey, *, n: int, block_size: int) -> Float[np.ndarray, "n variates"]:
    lattice = Lattice(tuple(flow.shape))
    starts = range(0, n, block_size)
    parts = [variates_of_keys(flow, lattice, key, first=i, n=min(block_size, n - i)) for i in starts]
    return np.concatenate([np.asarray(part) for part in parts])


@eqx.filter_jit
def _variates_of_keys(
    flow: AbstractDistribution, lattice: Lattice, key: PRNGKey, indices: UInt32[Array, " n"]
) -> Float[Array, "n variates"]:
    return _of_many(lambda i: hermite_variates(flow.modes(jax.random.fold_in(key, i)), lattice), indices, lattice)


def _of_many(
    one: Callable[[Array], Array], rows: Shaped[Array, "n *any"], lattice: Lattice
) -> Float[Array, "n variates"]:
    """A function of every row, of a few rows at a time: the fields of a thousand draws do not fit in the cache."""
    return jax.lax.map(one, rows, batch_size=draws_at_once(lattice.volume))


def _of_groups(z: Float[Array, " modes"], groups: _Groups) -> list[Scalar]:
    zero = z[0]
    two, four = _hermite(2, zero) / math.sqrt(2), _hermite(4, zero) / math.sqrt(24)
    sums = [_sum(z, group) for group in (*groups.shells, *groups.lines)]
    rest = groups.shells[2:]
    parts = [*groups.shells[:2], *([np.concatenate(rest)] if rest else [])]
    of_parts = [_sum(z, part) for part in parts]
    pairs = [a * b for a, b in itertools.combinations(of_parts, 2)]
    products = [*(two * each for each in sums), *(four * each for each in of_parts)]
    return [two, four, _hermite(6, zero) / 27, *sums, *products, *(_laguerre(z, part) for part in parts), *pairs]


def _of_sites(modes: Float[Array, "*momenta"], lattice: Lattice) -> list[Scalar]:
    found, fields = [], []
    for mass_squared in MASSES:
        spectrum = _spectrum(lattice, mass_squared)
        x = from_momentum(jnp.asarray(spectrum) * modes, lattice)
        fields.append(x)
        found += [jnp.mean(_hermite(4, x)), jnp.mean(_hermite(6, x))]
        steps = range(lattice.ndim)
        neighbours = [jnp.roll(x, -1, axis=mu) for mu in steps]
        means = [2 * _correlation(lattice, mass_squared, mu) ** 2 for mu in steps]
        pairs = zip(neighbours, means, strict=True)
        found.append(sum(jnp.mean(_hermite(2, x) * _hermite(2, y)) - mean for y, mean in pairs))
        found.append(sum(jnp.mean(_hermite(3, x) * y + x * _hermite(3, y)) for y in neighbours))
    return [*found, *(jnp.mean(_hermite(3, x) * y) for x, y in itertools.permutations(fields, 2))]


def _hermite(degree: int, x: Array) -> Array:
    """Probabilists' Hermite polynomial by its recursion, He_{n+1} = x He_n − n He_{n−1}."""
    before, here = jnp.ones_like(x), x
    for n in range(1, degree):
        before, here = here, x * here - n * before
    return here


def _sum(z: Float[Array, " modes"], group: Int[np.ndarray, " _"]) -> Scalar:
    """Sum of He₂ over the modes of a group, of variance 1."""
    return (jnp.sum(z[group] ** 2) - group.size) / math.sqrt(2 * group.size)


def _laguerre(z: Float[Array, " modes"], group: Int[np.ndarray, " _"]) -> Scalar:
    """The quadratic polynomial of q = Σz² that is orthogonal to 1 and q, of variance 1."""
    q, n = jnp.sum(z[group] ** 2), group.size
    return (q**2 - 2 * (n + 2) * q + n * (n + 2)) / math.sqrt(8 * n * (n + 2))


@functools.lru_cache
def _groups(lattice: Lattice) -> _Groups:
    sizes = momentum_squared(lattice).ravel().round(9)
    shells = [np.flatnonzero(sizes == size) for size in np.unique(sizes)[1:]]
    own, others = shells[:_OWN], shells[_OWN:]
    # the others in groups of about equally many modes
    count = np.cumsum([len(shell) for shell in others])
    number = [] if not others else (_MERGED * (count - 1) // count[-1]).tolist()
    merged = [np.concatenate([s for s, n in zip(others, number, strict=True) if n == i]) for i in sorted(set(number))]
    waves = np.meshgrid(*(wave_numbers(n) for n in lattice.shape), indexing="ij")
    still = (
        np.all([wave.ravel() == 0 for wave in waves[:-1]], axis=0) if lattice.ndim > 1 else np.ones(sizes.size, bool)
    )
    along = range(1, min(_LINES, lattice.shape[-1] // 2) + 1)
    lines = [np.flatnonzero(still & (waves[-1].ravel() == j)) for j in along] if lattice.ndim > 1 else []
    return _Groups((*own, *merged), tuple(lines))


@functools.lru_cache
def _spectrum(lattice: Lattice, mass_squared: float) -> Float[np.ndarray, "*momenta"]:
    """Amplitudes of modes in a field of variance 1 at every site."""
    amplitudes = (momentum_squared(lattice) + mass_squared) ** -0.5
    return amplitudes / np.sqrt(np.mean(amplitudes**2))


@functools.lru_cache
def _correlation(lattice: Lattice, mass_squared: float, mu: int) -> float:
    """⟨φ_x φ_{x+μ}⟩ of that field."""
    angles = 2 * np.pi * wave_numbers(lattice.shape[mu]) / lattice.shape[mu]
    shape = [-1 if nu == mu else 1 for nu in range(lattice.ndim)]
    return float(np.mean(_spectrum(lattice, mass_squared) ** 2 * np.cos(angles).reshape(shape)))
