r"""One-step invariance: the strictest law of a Markov kernel, where its target can be drawn exactly.

Independent exact configurations are moved by one step and compared with other exact ones: no chain, no
autocorrelation, no warm-up. Distribution functions are compared by their largest distance, for which the inequality of
Dvoretzky, Kiefer, Wolfowitz and Massart bounds the false alarms without any assumption about the distribution: of two
samples of n numbers each, $P(D>\epsilon)\le2e^{-n\epsilon^2}$ for n ≥ 458.

References:
    F. Wei & R. M. Dudley, Statist. Probab. Lett. 82 (2012) 636, arXiv:1107.5356.
"""

import math
from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field, PRNGKey
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler
from latflow.samplers.chains import advance
from latflow.testing.result import LawResult, judge

FALSE_ALARM = 1e-6
"""Probability that a flawless kernel fails, over all statistics together."""

Statistic = Callable[[Field], Float[Array, "*independent"]]

_PIECE = 2**14


def invariant_in_one_step(
    key: PRNGKey,
    kernels: Mapping[str, AbstractKernel],
    sampler: AbstractWeightedSampler,
    statistics: Mapping[str, Statistic],
    *,
    n: int,
    false_alarm: float = FALSE_ALARM,
) -> list[LawResult]:
    """Exact draws after one step are distributed like exact draws.

    Args:
        key: Randomness of draws and steps.
        kernels: The kernels under test by name, all of one target; each moves the same draws.
        sampler: Draws that target exactly: all weights are equal.
        statistics: Name → numbers of one configuration that are independent of each other in the target, or one number;
            several of them count as so many draws.
        n: Configurations moved, and as many more that are not; a multiple of a power of two is fastest.
        false_alarm: Probability that a flawless kernel fails any of its results.

    Returns:
        For every kernel and statistic the largest distance of the two distribution functions. The detail says how large
        a change of the distribution function is seen, but for the same probability.
    """
    stayed, moved = [], {name: [] for name in kernels}
    for start in range(0, n, _PIECE):
        stream, size = jax.random.fold_in(key, start), min(_PIECE, n - start)
        x, y = (_draws(jax.random.fold_in(stream, i), sampler, n=size) for i in (0, 1))
        stayed.append(_values(dict(statistics), x))
        for i, (name, kernel) in enumerate(kernels.items()):
            z, _ = advance(kernel, jax.random.fold_in(stream, 2 + i), y, first=0, n_records=1, thin=1)
            moved[name].append(_values(dict(statistics), z))
    return [
        _compared(f"{statistic}, {name}", _joined(stayed, statistic), _joined(moved[name], statistic), share)
        for share in (false_alarm / len(statistics),)
        for name in kernels
        for statistic in statistics
    ]


def _joined(parts: list[dict[str, Array]], statistic: str) -> Float[np.ndarray, " n"]:
    return np.concatenate([np.ravel(part[statistic]) for part in parts])


def kolmogorov_distance(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> float:
    """Largest distance between the empirical distribution functions of two samples."""
    everything = np.concatenate([a, b])
    places = (np.searchsorted(np.sort(sample), everything, side="right") / len(sample) for sample in (a, b))
    return float(np.max(np.abs(next(places) - next(places))))


def _compared(name: str, a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], false_alarm: float) -> LawResult:
    limit = math.sqrt(math.log(2 / false_alarm) / len(a))
    distance = kolmogorov_distance(a, b) if np.all(np.isfinite(a)) and np.all(np.isfinite(b)) else math.nan
    return judge(f"one step leaves {name}", distance, limit=limit, detail=f"sees {2 * limit:.4f}")


@eqx.filter_jit
def _draws(key: PRNGKey, sampler: AbstractWeightedSampler, *, n: int) -> Inexact[Array, "n *shape"]:
    return jax.vmap(lambda i: sampler.draw(jax.random.fold_in(key, i)).x)(jnp.arange(n))


@eqx.filter_jit
def _values(statistics: dict[str, Statistic], x: Inexact[Array, "n *shape"]) -> dict[str, Float[Array, "n ..."]]:
    return {name: jax.vmap(statistic)(x) for name, statistic in statistics.items()}
