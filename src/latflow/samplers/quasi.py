"""Quasi-random draws: scrambled Sobol points pushed through a flow, for averages with smaller errors.

The points of one scrambling fill the cube more evenly than random ones, so the error of an average falls faster than
1/√N. They are not independent: no accept/reject chain can use them, and an error comes from the scatter of several
independent scramblings only (`latflow.stats.scramblings`).

References:
    Owen, Ann. Statist. 25 (1997) 1541: variance of scrambled nets; Joe and Kuo, SIAM J. Sci. Comput. 30 (2008) 2635:
    the direction numbers, for 21 201 dimensions.
"""

import hashlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact
from scipy.stats import qmc

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution
from latflow.execution import in_parts
from latflow.samplers.draws import Drawn

MOST_DIMENSIONS = 21_201
"""Dimensions with direction numbers; further ones are filled with random numbers."""

BITS = 32
"""Bits of a coordinate that the sequence sets; those below are random."""

_INSIDE = 2.0**-60, 1 - 2.0**-53


class SobolPoints:
    """Scrambled Sobol sequences in blocks, each going on where its last block ended.

    Every point is uniform in the cube, so averages have no bias: the sequence chooses a cell of width 2⁻³² in every
    direction, and a random number the place in it. What is remembered between calls saves work and changes no point.

    Args:
        key: Root of all scramblings.
        dimensions: Of the cube. Those beyond `MOST_DIMENSIONS` are independent random numbers.
    """

    def __init__(self, key: PRNGKey, dimensions: int) -> None:
        self.dimensions = dimensions
        self._key = key
        self._even = min(dimensions, MOST_DIMENSIONS)
        self._engines: dict[int, qmc.Sobol] = {}

    def block(self, scrambling: int, *, first: int, n: int) -> Float[np.ndarray, "n dimensions"]:
        """Points `first` to `first + n - 1` of one scrambling, inside (0, 1).

        Args:
            scrambling: Its number; different ones are independent.
            first: Index of the first point.
            n: Number of points.
        """
        engine = self._at(scrambling, first)
        stream = np.random.PCG64([*scrambling_words(self._key, scrambling), 1]).advance(first * self.dimensions)
        points = np.random.Generator(stream).random((n, self.dimensions))
        points[:, : self._even] = engine.random(n) + points[:, : self._even] * 2.0**-BITS
        return np.clip(points, *_INSIDE)

    def _at(self, scrambling: int, first: int) -> qmc.Sobol:
        """The sequence of a scrambling with `first` as its next point."""
        engine = self._engines.get(scrambling)
        if engine is None or engine.num_generated > first:
            rng = np.random.default_rng([*scrambling_words(self._key, scrambling), 0])
            engine = self._engines[scrambling] = qmc.Sobol(self._even, scramble=True, bits=BITS, rng=rng)
        if first > engine.num_generated:
            engine.fast_forward(first - engine.num_generated)
        return engine


def scrambling_words(key: PRNGKey, scrambling: int) -> tuple[int, ...]:
    """The words from which numpy makes all random numbers of one scrambling: those of the key, and its number."""
    return (*(int(word) for word in np.asarray(jax.random.key_data(key))), scrambling)


def sobol_points(
    key: PRNGKey, *, dimensions: int, scrambling: int, first: int, n: int
) -> Float[np.ndarray, "n dimensions"]:
    """One block of `SobolPoints`."""
    return SobolPoints(key, dimensions).block(scrambling, first=first, n=n)


def sequence_probe() -> str:
    """Eight digits of a hash of a few points: other ones mean that the sequences are made differently here."""
    points = sobol_points(jax.random.key(0, impl="threefry2x32"), dimensions=5, scrambling=1, first=3, n=4)
    return hashlib.sha256(points.astype("<f8").tobytes()).hexdigest()[:8]


def quasi_block(
    flow: AbstractDistribution,
    action: AbstractAction,
    points: Float[Array | np.ndarray, "n dimensions"],
    *,
    at_once: int | None = None,
) -> Drawn:
    """Configurations of points with their log-weights −S − log q; columns `log_prob` and `action`.

    Args:
        flow: With a map of uniform numbers, see `AbstractDistribution.of_uniforms`.
        action: The target.
        points: Inside the cube, one row per draw.
        at_once: Draws that one call of the compiled program makes, see `AbstractWeightedSampler.draws_at_once`.
    """
    points = jnp.asarray(points)
    if at_once is None:
        x, log_prob, action_values = _mapped(flow, action, points)
    else:
        x, log_prob, action_values = in_parts(lambda part: _mapped(flow, action, part), points, size=at_once)
    # the weight is made of stored columns outside, as for random draws: so it follows from them bit for bit
    return Drawn(x, -action_values - log_prob, {"log_prob": log_prob, "action": action_values})


@eqx.filter_jit
def _mapped(
    flow: AbstractDistribution, action: AbstractAction, points: Float[Array, "n dimensions"]
) -> tuple[Inexact[Array, "n *shape"], Float[Array, " n"], Float[Array, " n"]]:
    def one(u: Float[Array, " dimensions"]) -> tuple[Array, Scalar, Scalar]:
        x, log_prob = flow.of_uniforms(u)
        return x, log_prob, action(x)

    return jax.vmap(one)(points)
