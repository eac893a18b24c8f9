r"""The accept/reject decision of all samplers.

The rule is $\ln u<\ln r$ for $u\in[0,1)$. Special cases: $u=0$ accepts every finite proposal; a ratio that is NaN or
zero ($\Delta H=+\infty$) is rejected; an infinite ratio ($\Delta H=-\infty$) means that the action is unbounded or the
state had zero weight, so it is rejected here, and `refuse_infinite_ratio` raises an error outside the compiled program.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from latflow.errors import PhysicsStop


def is_accepted(log_u: Float[Array, "*shape"], log_ratio: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Whether a proposal with Metropolis ratio exp(log_ratio) is accepted; NaN and both infinities are not."""
    return (log_u < log_ratio) & (log_ratio < jnp.inf)


def acceptance_probability(log_ratio: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """min(1, e^{log_ratio}), zero where the ratio is NaN or infinite."""
    usable = (log_ratio > -jnp.inf) & (log_ratio < jnp.inf)
    return jnp.where(usable, jnp.exp(jnp.minimum(jnp.where(usable, log_ratio, 0.0), 0.0)), 0.0)


def unusable(log_ratio: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Log-ratio that stands for a whole sweep: zero if every ratio is finite, else +inf if any is, else −inf or NaN."""
    wrong = jnp.sum(jnp.where(jnp.isfinite(log_ratio), 0.0, log_ratio))
    return jnp.where(jnp.any(log_ratio == jnp.inf), jnp.inf, wrong)


def refuse_infinite_ratio(log_ratio: Float[np.ndarray, "*shape"], *, what: str) -> None:
    """Stop if any Metropolis ratio is infinite.

    Args:
        log_ratio: Logarithms of Metropolis ratios, or of weights.
        what: Subject of the complaint.

    Raises:
        PhysicsStop: Naming how many there were.
    """
    count = int(np.sum(log_ratio == np.inf))
    if count:
        raise PhysicsStop(
            what,
            value=f"{count} of {log_ratio.size} Metropolis ratios are infinite",
            allowed="finite actions",
            hint="the action is unbounded below, or a chain stood at an infinite action",
        )
