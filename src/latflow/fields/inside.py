"""Whether configurations that a caller gives lie in their space."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace

LARGEST_DEFECT = 1e-5
"""Distance of a link from its group that rounding to single precision explains."""


def require_inside(name: str, space: AbstractFieldSpace, x: PyTree[Inexact[Array | np.ndarray, "n ..."]]) -> None:
    """Refuse configurations with numbers that are not finite, or links that are not in their group.

    Args:
        name: Of the argument, for the message.
        space: Where they should be.
        x: Configurations along the first axis.

    Raises:
        ConfigError: If one is outside by more than `LARGEST_DEFECT`.
    """
    worst = float(jnp.max(_defects(space, jax.tree.map(jnp.asarray, x))))
    if not worst <= LARGEST_DEFECT:
        finite = math.isfinite(worst)
        by = f"by {worst:.3g}" if finite else "with NaN or infinity"
        allowed = "links in their group, where space.reunitarised(x) brings them" if finite else "finite numbers"
        raise ConfigError([f"{name}: outside of the space {by}; allowed: {allowed}"])


@eqx.filter_jit
def _defects(space: AbstractFieldSpace, x: PyTree[Inexact[Array, "n ..."]]) -> Float[Array, " n"]:
    return jax.vmap(space.defect)(x)
