"""Autoregressive flows of angles and unit vectors, coordinate by coordinate."""

import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.arguments import count, counts, require_type
from latflow.bijections.autoregression import AbstractFeatures, Autoregression, Harmonics
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.flows.flow import Flow

MOST_COORDINATES = 64
"""Every coordinate has a network of its own, and one is drawn after the other."""


def autoregressive_flow(
    key: PRNGKey,
    space: AbstractFieldSpace,
    *,
    bins: int = 24,
    hidden: tuple[int, ...] = (64, 64),
    order: int = 3,
    features: AbstractFeatures | None = None,
    dtype: str | jnp.dtype = "float64",
) -> Flow:
    """Splines of the uniform coordinates of a torus, a sphere or a product, each conditional on those before.

    Untrained it is the uniform density.

    Args:
        key: Randomness of the hidden layers.
        space: `TorusSpace`, `SphereSpace` or a `ProductSpace` of them.
        bins: Of every spline.
        hidden: Units of the hidden layers of every network.
        order: Largest harmonic of earlier angles that networks read.
        features: What they read instead.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the space has no uniform coordinates or more than 64, or a number is out of range.

    References:
        arXiv:2002.02428.
    """
    require_type("space", space, AbstractFieldSpace, "TorusSpace, SphereSpace or a ProductSpace of them")
    widths = counts("hidden", hidden, words="units of one or more layers")
    count("bins", bins, least=2)
    count("order", order)
    if space.n_uniforms > MOST_COORDINATES:
        allowed = f"at most {MOST_COORDINATES}"
        raise ConfigError([f"space: {space.summary}, {space.n_uniforms} coordinates; allowed: {allowed}"])
    read = Harmonics(space.periodic, order) if features is None else features
    bijection = Autoregression.untrained(key, space, read, n_bins=bins, hidden=widths, dtype=dtype)
    return Flow(HaarPrior(space), bijection)
