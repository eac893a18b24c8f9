"""Flow draws as importance-weighted configurations of a theory.

A block holds for every proposal what the accept/reject step and reweighting both need: the configuration, log q and
S. Draw i depends on the root key and i alone, so blocks can be made in any order and made again.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, UInt32
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution
from latflow.samplers.base import AbstractWeightedSampler, Weighted


class FlowSampler(AbstractWeightedSampler):
    r"""Independent flow draws with $\log w = -S(x) - \log q(x)$, so that $E[w]=Z$.

    Args:
        flow: Where configurations come from.
        action: The theory they stand for.
    """

    flow: AbstractDistribution
    action: AbstractAction

    @override
    def draw(self, key: PRNGKey) -> Weighted:
        x, log_prob = self.flow.sample_and_log_prob(key)
        return Weighted(x, -self.action(x) - log_prob)


@eqx.filter_jit
def _draw_range(
    sampler: FlowSampler, key: PRNGKey, indices: UInt32[Array, " n"]
) -> tuple[Inexact[Array, "n *shape"], Float[Array, " n"], Float[Array, " n"]]:
    def draw(index: Array) -> tuple[Array, Array, Array]:
        x, log_prob = sampler.flow.sample_and_log_prob(jax.random.fold_in(key, index))
        return x, log_prob, sampler.action(x)

    return jax.vmap(draw)(indices)


def draw_block(
    sampler: FlowSampler, key: PRNGKey, *, first: int, n: int
) -> tuple[Inexact[Array, "n *shape"], Float[Array, " n"], Float[Array, " n"]]:
    """Draws `first` to `first + n - 1`.

    Networks in float32 give other bits for other `n`: the block size belongs to an ensemble's identity.

    Args:
        sampler: Flow and theory.
        key: Root of the stream; draw i uses ``fold_in(key, i)``.
        first: Index of the first draw.
        n: Number of draws. Blocks of equal size share one compiled program.

    Returns:
        Configurations, log q and S of each.
    """
    return _draw_range(sampler, key, jnp.arange(first, first + n, dtype=jnp.uint32))
