r"""Laws of Stein fields: their divergence is that of the velocities, and their values average to zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.testing.result import LEAST_SAMPLES, LawResult, judge
from latflow.variates.base import AbstractSteinFields

ROUNDING = 1e-12
"""Limit of the relative deviation between a closed divergence and the trace of the Jacobian."""


def divergence_is_trace(
    key: PRNGKey, fields: AbstractSteinFields, action: AbstractAction, *, limit: float = ROUNDING
) -> LawResult:
    r"""$\partial\cdot v-v\cdot\partial S$ with the trace of the Jacobian along `move`, for every velocity.

    Args:
        key: Randomness of the configuration.
        fields: Velocities with weights in double precision.
        action: S, on their space.
        limit: Of the relative deviation: that of the scheme where velocities are integrated, or of their precision.
    """
    error = _deviation(fields, action, action.space.random(key))
    return judge("divergence of every Stein field equals the trace of its Jacobian", error, limit=limit)


def stein_averages_vanish(
    fields: AbstractSteinFields, action: AbstractAction, x: Inexact[np.ndarray | Array, "groups n *shape"]
) -> LawResult:
    """The mean of every value is zero under exp(−S), within the scatter of independent groups of configurations.

    Args:
        fields: Velocities.
        action: S.
        x: Configurations of exp(−S); groups, such as chains, are independent of one another. 32 or more of them.

    Returns:
        The largest deviation over all velocities, in standard errors; at most 5.
    """
    name, limit = "mean of every Stein field is zero", 5.0
    means = np.asarray(jax.lax.map(lambda group: fields.values(action, group).mean(axis=0), jnp.asarray(x)))
    if len(means) < LEAST_SAMPLES or not np.all(np.isfinite(means)):
        return LawResult(name, np.nan, limit, passed=False, detail=f"nothing to tell it from: {len(means)} groups")
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    z = np.abs(means.mean(axis=0)) / np.where(error > 0, error, 1.0)
    worst = int(np.argmax(z))
    return judge(name, z[worst], limit=limit, detail=f"{fields.names[worst]}: ± {error[worst]:.2g}, {len(z)} fields")


@eqx.filter_jit
def _deviation(fields: AbstractSteinFields, action: AbstractAction, x: Inexact[Array, "*shape"]) -> Scalar:
    flat = action.space.still()

    def along(p: Float[Array, "*tangent"]) -> Float[Array, "n_fields *tangent"]:
        return fields.velocities(action.space.move(x, p))

    def part(direction: Float[Array, "*tangent"]) -> Float[Array, " n_fields"]:
        _, change = jax.jvp(along, (flat,), (direction,))
        return jnp.sum((change * direction[None]).reshape(len(change), -1), axis=1)

    units = jnp.eye(flat.size).reshape(flat.size, *flat.shape)
    traces = jnp.sum(jax.lax.map(part, units), axis=0)
    velocities, force = along(flat), action.force(x)
    moved = jnp.sum((velocities * force[None]).reshape(len(velocities), -1), axis=1)
    wanted = traces - moved
    return jnp.max(jnp.abs(fields.value(action, x) - wanted) / (1 + jnp.abs(traces) + jnp.abs(moved)))
