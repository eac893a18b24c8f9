"""Quasi-random draws: scrambled Sobol points pushed through a flow, for averages with smaller errors.

The points of one scrambling fill the cube more evenly than random ones, so the error of an average falls faster than
1/√N. They are not independent: no accept/reject chain can use them, and an error comes from the scatter of several
independent scramblings only (`latflow.stats.scramblings`).

References:
    Owen, Ann. Statist. 25 (1997) 1541: variance of scrambled nets; Joe and Kuo, SIAM J. Sci. Comput. 30 (2008) 2635:
    the direction numbers, for 21 201 dimensions.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact
from scipy.stats import qmc

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution

MOST_DIMENSIONS = 21_201
"""Dimensions with direction numbers; further ones are filled with random numbers."""

BITS = 32
"""Bits of a coordinate that the sequence sets; those below are random."""

_INSIDE = 2.0**-60, 1 - 2.0**-53


def sobol_points(
    key: PRNGKey, *, dimensions: int, scrambling: int, first: int, n: int
) -> Float[np.ndarray, "n dimensions"]:
    """Points `first` to `first + n - 1` of one scrambled Sobol sequence, inside (0, 1).

    Every point is uniform in the cube, so averages have no bias: the sequence chooses a cell of width 2⁻³² in every
    direction, and a random number the place in it.

    Args:
        key: Root of all scramblings.
        dimensions: Of the cube. Those beyond `MOST_DIMENSIONS` are independent random numbers.
        scrambling: Number of the scrambling; different ones are independent.
        first: Index of the first point.
        n: Number of points.
    """
    words = [int(word) for word in np.asarray(jax.random.key_data(key))]
    even = min(dimensions, MOST_DIMENSIONS)
    engine = qmc.Sobol(even, scramble=True, bits=BITS, rng=np.random.default_rng([*words, scrambling, 0]))
    if first:
        engine.fast_forward(first)
    stream = np.random.PCG64([*words, scrambling, 1]).advance(first * dimensions)
    points = np.random.Generator(stream).random((n, dimensions))
    points[:, :even] = engine.random(n) + points[:, :even] * 2.0**-BITS
    return np.clip(points, *_INSIDE)


@eqx.filter_jit
def quasi_draws(
    flow: AbstractDistribution, action: AbstractAction, points: Float[Array | np.ndarray, "n dimensions"]
) -> tuple[Inexact[Array, "n *shape"], Float[Array, " n"]]:
    """Configurations of points, and their log-weights −S − log q.

    Args:
        flow: With a map of uniform numbers, see `AbstractDistribution.of_uniforms`.
        action: The target.
        points: Inside the cube, one row per draw.
    """

    def one(u: Float[Array, " dimensions"]) -> tuple[Array, Scalar, Scalar]:
        x, log_prob = flow.of_uniforms(u)
        return x, log_prob, action(x)

    x, log_prob, action_values = jax.vmap(one)(jnp.asarray(points))
    return x, -action_values - log_prob
