"""Plaquettes of U(1) links in two dimensions as angles, and the curl that makes them of numbers on links."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import wrap


def require_plane_of_angles(name: str, space: object) -> None:
    """Refuse what are not links of U(1) in two dimensions.

    Raises:
        TypeError: If it is no space of links.
        ConfigError: If group or dimension are others.
    """
    require_type(name, space, GaugeSpace, "GaugeSpace(lattice, U1())")
    if isinstance(space, GaugeSpace) and (space.group.element_shape or space.ndim != 2):
        raise ConfigError([f"{name}: {space.summary}; allowed: U(1) in two dimensions"])


def curl(x: Float[Array, "2 *sites"]) -> Float[Array, "*sites"]:
    """The sum of numbers on the links of every plaquette, with the signs of its orientation."""
    return x[0] + jnp.roll(x[1], -1, 0) - jnp.roll(x[0], -1, 1) - x[1]


def curl_transposed(p: Float[Array, "*sites"]) -> Float[Array, "2 *sites"]:
    """Of numbers on plaquettes, for every link the difference of the two that meet there."""
    return jnp.stack([p - jnp.roll(p, 1, 1), jnp.roll(p, 1, 0) - p])


def plaquette_angles(x: Float[Array, "2 *sites"]) -> Float[Array, "*sites"]:
    """The angle of every plaquette, within (−π, π]."""
    return wrap(curl(x))
