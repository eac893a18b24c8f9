r"""Variates of a flow's draws: functions of the normal modes that a draw is made of, whose means are exactly zero.

A draw is made of independent modes $z_k\sim N(0,1)$. Hermite polynomials of them, products of those, and what these
generate are orthogonal to 1, whatever the flow does with the modes:

- of groups of modes by the size of their momentum: $\sum(z^2-1)$, its square (a Laguerre polynomial), products of
  different groups, $\mathrm{He}_4$ of the zero mode;
- waves, $\cos az-e^{-a^2/2}$, that is the even part of $e^{iaz}=e^{-a^2/2}\sum(ia)^n\mathrm{He}_n(z)/n!$: they know all
  powers of the bulk of the draws, and are bounded;
- local ones, of Gaussian fields $\varphi$ made of the modes with unit variance at every site and spectra
  $(\hat k^2+m^2)^{-1/2}$: site averages of $\mathrm{He}_n(\varphi_x)$ and of
  $\mathrm{He}_m(\varphi_x)\mathrm{He}_n(\varphi'_y)$, whose mean is $n!\,\langle\varphi_x\varphi'_y\rangle^n$ for
  $m=n$ and else 0 (Mehler's formula); and of waves of them, whose products have the means
  $\frac12[e^{-a^2(1-\rho)}\pm e^{-a^2(1+\rho)}]$, $\rho=\langle\varphi_x\varphi'_y\rangle$.

They have mean zero over draws *of the flow* only. Over configurations of a Markov chain of the target, sent backwards
through the flow, their means are other ones, and they would pull averages.

All are even: with an action that does not know the sign of the field, its averages know no other.

Polynomials with a long tail, such as He₄ of a mode and most products on small lattices, are left out. Quasi-random
points do not even out the outermost draws (`latflow.stats.quasi_tails`), and corrected errors came out too small by
two where little else was left; of random draws, corrected averages with such a tail rest on a few of them. Which these
are is read from fixed random modes and never from the draws, whose luck would choose them. The zero mode of these is
drawn from a wider density and weighted: of He₆ the kurtosis, 35 000, lies at |z| between 4 and 6, where so many normal
modes have next to none.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

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

WAVES = (0.6, 1.2)
"""Wave numbers a of the cosines and sines of modes and fields of unit variance."""

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
    """All of one draw, those with long tails as well, in the order in which few draws make do with the first of them.

    Args:
        modes: Independent standard normal amplitudes, see `AbstractDistribution.modes`.
        lattice: Whose modes they are.
    """
    return jnp.stack(_all(modes, lattice))


def _all(modes: Float[Array, "*momenta"], lattice: Lattice) -> list[Scalar]:
    z, groups, fields = modes.ravel(), _groups(lattice), _fields(modes, lattice)
    sums = [_sum(z, group) for group in (*groups.shells, *groups.lines)]
    return [
        _hermite(2, z[0]) / math.sqrt(2),
        *sums,
        *_waves(z[0], sums[:_OWN]),
        *_waves_of_sites(fields, lattice),
        *_products(z, sums, groups),
        *_of_sites(fields, lattice),
    ]


def _used(modes: Float[Array, "*momenta"], lattice: Lattice, kept: tuple[int, ...]) -> Float[Array, " variates"]:
    """Of one draw; what is not kept is not computed."""
    found = _all(modes, lattice)
    return jnp.stack([found[i] for i in kept])


def variates_of_points(
    flow: AbstractDistribution, lattice: Lattice, points: Float[Array | np.ndarray, "n uniforms"]
) -> Float[Array, "n variates"]:
    """Of the draws that points in the cube become, see `AbstractDistribution.of_uniforms`.

    Args:
        flow: Made of modes.
        lattice: Its lattice.
        points: One row per draw.
    """
    return _of_points(flow, lattice, points, tuple(without_tails(lattice).tolist()))


@functools.cache
def without_tails(lattice: Lattice) -> Int[np.ndarray, " _"]:
    """Which of all have a kurtosis of at most `OWN_KURTOSIS` over fixed random modes."""
    weights, found = _judged(lattice)
    weights, squares = np.asarray(weights), np.asarray(found) ** 2
    return np.flatnonzero(weights.sum() * (weights @ squares**2) <= OWN_KURTOSIS * (weights @ squares) ** 2)


@eqx.filter_jit
def _judged(lattice: Lattice) -> tuple[Float[Array, " n"], Float[Array, "n variates"]]:
    """Weights and variates of fixed random modes, whose zero mode is drawn from a wider density."""
    key, zero = jax.random.key(0), (0,) * lattice.ndim

    def one(i: Int[Array, ""]) -> tuple[Scalar, Float[Array, " variates"]]:
        modes = jax.random.normal(jax.random.fold_in(key, i), lattice.shape).at[zero].multiply(_WIDER)
        return jnp.exp(-(modes[zero] ** 2) / 2 * (1 - _WIDER**-2)), hermite_variates(modes, lattice)

    return jax.lax.map(one, jnp.arange(_JUDGED), batch_size=draws_at_once(lattice.volume))


@eqx.filter_jit
def _of_points(
    flow: AbstractDistribution,
    lattice: Lattice,
    points: Float[Array | np.ndarray, "n uniforms"],
    kept: tuple[int, ...],
) -> Float[Array, "n variates"]:
    return _of_many(lambda u: _used(flow.modes_of_uniforms(u), lattice, kept), jnp.asarray(points), lattice)


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
    indices = jnp.arange(first, first + n, dtype=jnp.uint32)
    return _variates_of_keys(flow, lattice, key, indices, tuple(without_tails(lattice).tolist()))


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
    flow: AbstractDistribution, lattice: Lattice, key: PRNGKey, indices: UInt32[Array, " n"], kept: tuple[int, ...]
) -> Float[Array, "n variates"]:
    return _of_many(lambda i: _used(flow.modes(jax.random.fold_in(key, i)), lattice, kept), indices, lattice)


def _of_many(
    one: Callable[[Array], Array], rows: Shaped[Array, "n *any"], lattice: Lattice
) -> Float[Array, "n variates"]:
    """A function of every row, of a few rows at a time: the fields of a thousand draws do not fit in the cache."""
    return jax.lax.map(one, rows, batch_size=draws_at_once(lattice.volume))


def _waves(zero: Scalar, sums: list[Scalar]) -> list[Scalar]:
    """Of the zero mode, and the steeper one times the sums of some shells."""
    waves = [jnp.cos(a * zero) - math.exp(-(a**2) / 2) for a in WAVES]
    return [*waves, *(waves[-1] * each for each in sums)]


def _waves_of_sites(fields: list[Float[Array, "*sites"]], lattice: Lattice) -> list[Scalar]:
    """Site averages: of waves, of products of those of neighbours, and of two fields at the same site."""
    found, steps = [], range(lattice.ndim)
    for a, (m, x) in itertools.product(WAVES, zip(MASSES, fields, strict=True)):
        even, odd, rho = jnp.cos(a * x), jnp.sin(a * x), [_correlation(lattice, m, mu) for mu in steps]
        found.append(jnp.mean(even) - math.exp(-(a**2) / 2))
        found.append(sum(jnp.mean(even * jnp.roll(even, -1, axis=mu)) - _of_product(a, rho[mu], +1) for mu in steps))
        found.append(sum(jnp.mean(odd * jnp.roll(odd, -1, axis=mu)) - _of_product(a, rho[mu], -1) for mu in steps))
    for a, ((m, x), (n, y)) in itertools.product(WAVES, itertools.combinations(zip(MASSES, fields, strict=True), 2)):
        rho = float(np.mean(_spectrum(lattice, m) * _spectrum(lattice, n)))
        found.append(jnp.mean(jnp.sin(a * x) * jnp.sin(a * y)) - _of_product(a, rho, -1))
    return found


def _products(z: Float[Array, " modes"], sums: list[Scalar], groups: _Groups) -> list[Scalar]:
    """Polynomials of the zero mode and of groups, of degree four."""
    two, four = _hermite(2, z[0]) / math.sqrt(2), _hermite(4, z[0]) / math.sqrt(24)
    rest = groups.shells[2:]
    parts = [*groups.shells[:2], *([np.concatenate(rest)] if rest else [])]
    pairs = [a * b for a, b in itertools.combinations([_sum(z, part) for part in parts], 2)]
    return [four, *(two * each for each in sums), *(_laguerre(z, part) for part in parts), *pairs]


def _fields(modes: Float[Array, "*momenta"], lattice: Lattice) -> list[Float[Array, "*sites"]]:
    """One for each of `MASSES`, with variance 1 at every site."""
    return [from_momentum(jnp.asarray(_spectrum(lattice, m)) * modes, lattice) for m in MASSES]


def _of_sites(fields: list[Float[Array, "*sites"]], lattice: Lattice) -> list[Scalar]:
    found, steps = [], range(lattice.ndim)
    for mass_squared, x in zip(MASSES, fields, strict=True):
        found += [jnp.mean(_hermite(4, x)), jnp.mean(_hermite(6, x))]
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


def _of_product(a: float, rho: float, sign: Literal[1, -1]) -> float:
    """⟨cos aφ cos aφ'⟩ with sign +1, ⟨sin aφ sin aφ'⟩ with −1, of unit variances and correlation ρ."""
    return (math.exp(-(a**2) * (1 - rho)) + sign * math.exp(-(a**2) * (1 + rho))) / 2


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
