"""Plaquettes of U(1) links in two dimensions as angles, and the curl that makes them of numbers on links."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import wrap


def is_plane_of_angles(space: GaugeSpace) -> bool:
    """Whether these are links of U(1) in two dimensions."""
    return not space.group.element_shape and space.ndim == 2


def require_plane_of_angles(name: str, space: object) -> None:
    """Refuse what are not links of U(1) in two dimensions.

    Raises:
        TypeError: If it is no space of links.
        ConfigError: If group or dimension are others.
    """
    require_type(name, space, GaugeSpace, "GaugeSpace(lattice, U1())")
    if isinstance(space, GaugeSpace) and not is_plane_of_angles(space):
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


def links_of_plaquettes(field: Float[Array, "*sites"], lines: Float[Array, " 2"]) -> Float[Array, "2 *sites"]:
    """Links with these plaquettes, whose sum is a multiple of 2π, and with these angles of lines around the torus."""
    first, second = field.shape
    rows = jnp.sum(field, axis=0)
    across = jnp.cumsum(jnp.pad(field, ((1, 0), (0, 0))), axis=0)[:first].at[:, second - 1].add(lines[1])
    along = jnp.zeros((first, second)).at[first - 1].set(lines[0] - jnp.cumsum(jnp.pad(rows, (1, 0)))[:second])
    return jnp.stack([along, across])


def pure_gauge(angle: Float[Array, "*sites"]) -> Float[Array, "2 *sites"]:
    """What a gauge transformation adds to the links."""
    return jnp.stack([angle - jnp.roll(angle, -1, mu) for mu in (0, 1)])


def links_of_haar(z: Float[Array, "2 *sites"]) -> Float[Array, "2 *sites"]:
    """Haar links made of independent uniform angles: plaquettes first, two lines around the torus, the gauge.

    The last plaquette closes the torus. The map is linear with integers and has the determinant ±1, so that it
    keeps the Haar measure.

    Args:
        z: Angles; their order in memory is the one of this list.
    """
    angles, volume = z.reshape(-1), z[0].size
    plaquettes, lines, gauge = angles[: volume - 1], angles[volume - 1 : volume + 1], angles[volume + 1 :]
    field = jnp.append(plaquettes, -jnp.sum(plaquettes)).reshape(z.shape[1:])
    return wrap(links_of_plaquettes(field, lines) + pure_gauge(jnp.pad(gauge, (1, 0)).reshape(z.shape[1:])))
