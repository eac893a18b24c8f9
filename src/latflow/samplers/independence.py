r"""Independence Metropolis: a weighted sampler turned into an exact Markov chain.

The proposal ignores the present state, so the ratio is that of the importance weights, $w(x')/w(x)$. Proposals can be
drawn and weighted in parallel first; `accept_sequence` then walks through their weights.

References:
    arXiv:1904.12072, section III.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.arguments import require_type
from latflow.randomness import log_uniform, split
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler, Transition
from latflow.samplers.metropolis import acceptance_probability, is_accepted, refuse_infinite_ratio


class IndependenceState(NamedTuple):
    """State of a chain: configuration and the logarithm of its weight (−inf: any finite weight replaces it)."""

    x: Field
    log_weight: Scalar


class IndependenceSampler(AbstractKernel):
    """Proposes draws of a weighted sampler.

    Args:
        weighted: Source of proposals; the target is its weight times its density.
        log_weight: The log-weight of any configuration, −S − log q for a flow. `init` needs it: a chain that took
            its first proposal unseen would not leave the target invariant.
    """

    weighted: AbstractWeightedSampler
    log_weight: Callable[[Field], Scalar]

    def __check_init__(self) -> None:
        require_type("weighted", self.weighted, AbstractWeightedSampler, "a weighted sampler, such as FlowSampler")
        if not callable(self.log_weight):
            raise TypeError(f"log_weight: {type(self.log_weight).__name__}; allowed: a function of a configuration")

    @override
    def init(self, x: Field) -> IndependenceState:
        return IndependenceState(x, self.log_weight(x))

    @override
    def step(self, key: PRNGKey, state: IndependenceState) -> tuple[IndependenceState, Transition]:
        draw_key, uniform_key = split(key)
        proposal = self.weighted.draw(draw_key)
        log_ratio = _log_ratio(proposal.log_weight, state.log_weight)
        accepted = is_accepted(log_uniform(uniform_key), log_ratio)
        chosen = IndependenceState(
            jnp.where(accepted, proposal.x, state.x), jnp.where(accepted, proposal.log_weight, state.log_weight)
        )
        return chosen, Transition(acceptance_probability(log_ratio), accepted, log_ratio)


def accept_sequence(
    log_weights: Float[Array | np.ndarray, " n"],
    log_uniforms: Float[Array | np.ndarray, " n"],
    *,
    log_weight: float = -np.inf,
    index: int = -1,
    first: int = 0,
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Run the chain over weighted proposals numbered `first`, `first + 1`, ….

    Proposals whose log-weight is NaN or −inf (an infinite action) are rejected.

    Args:
        log_weights: Log-weights of the proposals.
        log_uniforms: Logarithms of uniform numbers in [0, 1), one per proposal.
        log_weight: Log-weight of the present state; −inf if there is none yet.
        index: Number of the present state's proposal.
        first: Number of the first proposal.

    Returns:
        For each step the number of the proposal that is the state after it, and whether the proposal was accepted.

    Raises:
        PhysicsStop: If a log-weight is +inf.
    """
    weights = np.asarray(log_weights, dtype=np.float64)
    refuse_infinite_ratio(np.append(weights, log_weight), what="weights of the proposals")
    indices, accepted = _accept_sequence(
        jnp.asarray(weights), jnp.asarray(log_uniforms, dtype=jnp.float64), jnp.asarray(log_weight), index, first
    )
    return np.asarray(indices), np.asarray(accepted)


@jax.jit
def _accept_sequence(
    log_weights: Float[Array, " n"],
    log_uniforms: Float[Array, " n"],
    log_weight: Scalar,
    index: Int[Array, ""],
    first: Int[Array, ""],
) -> tuple[Int[Array, " n"], Bool[Array, " n"]]:
    def walk(carry: tuple[Array, Array], step: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], tuple]:
        here, at = carry
        proposed, log_u, number = step
        accepted = is_accepted(log_u, _log_ratio(proposed, here))
        moved = (jnp.where(accepted, proposed, here), jnp.where(accepted, number, at))
        return moved, (moved[1], accepted)

    numbers = first + jnp.arange(log_weights.size)
    _, (indices, accepted) = jax.lax.scan(walk, (log_weight, index), (log_weights, log_uniforms, numbers))
    return indices, accepted


def _log_ratio(proposed: Scalar, here: Scalar) -> Scalar:
    """Difference of log-weights; a state of weight zero is left for any finite weight (ratio 1, not infinity)."""
    departure = jnp.where(jnp.isfinite(proposed), 0.0, proposed)
    return jnp.where(here == -jnp.inf, departure, proposed - here)
