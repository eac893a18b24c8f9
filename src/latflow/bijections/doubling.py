r"""Doubling: links of a coarse lattice first, then the new links of a lattice with twice as many sites, level by level.

Doubling direction μ of a plane divides every link $U_\mu=W_aW_b$ and adds a midpoint. $g=W_a$ is the gauge of the new
site and stays as it is. Each coarse plaquette gets one new link V, from its midpoint in the other direction ν:

$$P(x)=U_\nu(x)U_\mu(x+\hat\nu)U_\nu^\dagger(x+\hat\mu)U_\mu^\dagger(x)=ab,\qquad
a(x)=U_\nu(x)\,g(x+\hat\nu)\,V^\dagger(x)\,g^\dagger(x).$$

At given coarse field and g the maps $V\leftrightarrow a$ and $W_b\leftrightarrow U_\mu$ keep the Haar measure. A split
moves a given P; new links are independent of each other, so log-dets are sums over coarse plaquettes.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.batching import shift
from latflow.bijections.base import AbstractBijection
from latflow.bijections.splits.base import AbstractSplit
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice


class Doubling(AbstractBijection):
    """A flow of all links of a periodic plane from coarse to fine; links of the coarsest lattice stay as they are.

    Gauge equivariant, and equivariant under translations of the coarsest lattice.

    Args:
        splits: One for every level, that of the coarsest one first; at most as many as `halvings` has.
        lattice: Two directions.
        group: Of the links.

    Raises:
        ConfigError: If the lattice has not two directions, or has fewer halvings.

    References:
        arXiv:2404.10819, for two dimensions with all new links at once.
    """

    splits: tuple[AbstractSplit, ...]
    group: AbstractGroup
    lattice: Lattice = eqx.field(static=True)

    def __check_init__(self) -> None:
        n = len(halvings(self.lattice))
        if len(self.splits) > n:
            allowed = f"at most the {n} halvings of {list(self.lattice.shape)}"
            raise ConfigError([f"flow.levels: {len(self.splits)}; allowed: {allowed}"])

    @property
    def directions(self) -> tuple[int, ...]:
        """In which the lattice is doubled, level by level, the coarsest first."""
        return tuple(reversed(halvings(self.lattice)[: len(self.splits)]))

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        levels = self._levels(x)
        field, log_det = levels[0].coarse, jnp.zeros(())
        for split, level in zip(self.splits, levels, strict=True):
            moved = level._replace(coarse=field)
            half, plaquette = loops(self.group, moved)
            image, slopes = split.forward_and_log_det(half, plaquette)
            field = refined(self.group, moved._replace(across=across(self.group, moved, image)))
            log_det = log_det + jnp.sum(slopes)
        return field, log_det

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        levels = self._levels(y)
        latent, log_det = levels[0].coarse, jnp.zeros(())
        for split, level in zip(self.splits, levels, strict=True):
            half, plaquette = loops(self.group, level)
            origin, slopes = split.inverse_and_log_det(half, plaquette)
            latent = refined(self.group, level._replace(coarse=latent, across=across(self.group, level, origin)))
            log_det = log_det + jnp.sum(slopes)
        return latent, log_det

    def _levels(self, field: Field) -> list["Level"]:
        """The field taken apart, from the coarsest level to the finest."""
        levels: list[Level] = []
        for mu in reversed(self.directions):
            levels.append(halved(self.group, field, mu=mu))
            field = levels[-1].coarse
        return levels[::-1]


class Level(NamedTuple):
    """A field whose sites are every second one of a finer field in one direction, and the new links.

    Attributes:
        coarse: The coarse links.
        along: First halves of its links of direction `mu`.
        across: Links of the other direction at the midpoints.
        mu: The direction that is doubled.
    """

    coarse: Field
    along: Field
    across: Field
    mu: int


def halvings(lattice: Lattice) -> tuple[int, ...]:
    """Directions in which a plane is halved one after another, the finest level first, until no even extent is left.

    The longer one of the even extents is halved, of equal ones the second.

    Raises:
        ConfigError: If the lattice has not two directions.
    """
    if lattice.ndim != 2:
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: two directions for a doubling flow"])
    shape, found = list(lattice.shape), []
    while even := [mu for mu in (1, 0) if shape[mu] % 2 == 0]:
        found.append(max(even, key=lambda mu: shape[mu]))
        shape[found[-1]] //= 2
    return tuple(found)


def halved(group: AbstractGroup, field: Field, *, mu: int) -> Level:
    """The field at every second site of direction `mu`, with what is left out; inverse of `refined`."""
    axis = len(group.element_shape) + mu
    first, second = (jax.lax.slice_in_dim(field[mu], i, None, 2, axis) for i in (0, 1))
    kept, between = (jax.lax.slice_in_dim(field[1 - mu], i, None, 2, axis) for i in (0, 1))
    return Level(_ordered(group.compose(first, second), kept, mu=mu), first, between, mu)


def refined(group: AbstractGroup, level: Level) -> Field:
    """The fine field of a coarse one and its new links."""
    mu, axis = level.mu, len(group.element_shape) + level.mu
    second = group.compose(group.adjoint(level.along), level.coarse[mu])
    along = _interleaved(level.along, second, axis=axis)
    return _ordered(along, _interleaved(level.coarse[1 - mu], level.across, axis=axis), mu=mu)


def loops(group: AbstractGroup, level: Level) -> tuple[Field, Field]:
    """First halves a and plaquettes P = ab at the coarse sites."""
    u, v = level.coarse[level.mu], level.coarse[1 - level.mu]
    plaquette = group.compose(
        group.compose(v, _next(group, u, 1 - level.mu)),
        group.adjoint(group.compose(u, _next(group, v, level.mu))),
    )
    return group.compose(_corner(group, level), group.adjoint(group.compose(level.along, level.across))), plaquette


def across(group: AbstractGroup, level: Level, half: Field) -> Field:
    """The new links with which the first halves are `half`: inverse of `loops` at given coarse field and gauge."""
    inverse = group.adjoint(group.compose(half, level.along))
    return group.compose(inverse, _corner(group, level))


def _corner(group: AbstractGroup, level: Level) -> Field:
    nu = 1 - level.mu
    return group.compose(level.coarse[nu], _next(group, level.along, nu))


def _next(group: AbstractGroup, links: Field, mu: int) -> Field:
    """Links one site further in direction `mu`."""
    return shift(links, axis=len(group.element_shape) + mu)


def _interleaved(even: Field, odd: Field, *, axis: int) -> Field:
    shape = (*even.shape[:axis], 2 * even.shape[axis], *even.shape[axis + 1 :])
    return jnp.stack([even, odd], axis=axis + 1).reshape(shape)


def _ordered(along: Field, beside: Field, *, mu: int) -> Field:
    return jnp.stack([along, beside] if mu == 0 else [beside, along])
