"""Flows of particles by name."""

import math

import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, positive, require_type
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.pair_velocity import PairVelocity
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.distributions import IsotropicNormal
from latflow.errors import ConfigError
from latflow.fields.euclidean import EuclideanSpace
from latflow.flows.flow import Flow
from latflow.flows.networks import PRECISIONS
from latflow.randomness import require_key

_SPREAD = 4.0
"""Bells reach to this many mean distances of the prior per root of the dimension."""


def pair_flow(
    key: PRNGKey,
    space: EuclideanSpace,
    *,
    width: float = 1.0,
    n_local: int = 8,
    n_total: int = 8,
    n_bells: int = 16,
    n_times: int = 4,
    reach: float | None = None,
    n_steps: int = 6,
    scheme: str = "rk4",
    dtype: str | jnp.dtype = "float64",
) -> Flow:
    """A continuous flow of particles along the gradient of learned many-body potentials, from N(0, s²).

    It commutes with permutations, rotations, mirrors and translations. At first it is the prior.

    Args:
        key: Randomness of the radial functions.
        space: Mean-free particles.
        width: s to begin with; it is learned.
        n_local: Radial functions summed about every particle.
        n_total: Radial functions summed over all pairs.
        n_bells: Bells of a radial function.
        n_times: Functions of the time basis.
        reach: Where the last bell stands; by default 4 √(2) s.
        n_steps: Integration steps.
        scheme: Of the integrator, see `latflow.bijections.ode.runge_kutta`.
        dtype: Precision of the radial functions.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If particles are not mean-free, the scheme is unknown or a number out of range.
    """
    require_key(key)
    require_type("space", space, EuclideanSpace, "EuclideanSpace((n, d), mean_free=True)")
    if not space.mean_free:
        raise ConfigError([f"space: {space.summary}; allowed: mean-free particles"])
    choice("flow.scheme", scheme, SCHEMES)
    choice("dtype", str(jnp.dtype(dtype)), PRECISIONS)
    positive("width", width)
    if reach is not None:
        positive("reach", reach)
    velocity = PairVelocity.create(
        key,
        n_local=count("n_local", n_local, least=0),
        n_total=count("n_total", n_total, least=0),
        n_bells=count("n_bells", n_bells, least=2),
        n_times=count("n_times", n_times),
        reach=_SPREAD * math.sqrt(2) * width if reach is None else reach,
        dtype=dtype,
    )
    return Flow(
        IsotropicNormal.of_width(space, width), ContinuousFlow(velocity, count("n_steps", n_steps), SCHEMES[scheme])
    )
