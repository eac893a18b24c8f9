r"""Gauge actions on links of any group: Wilson's plaquettes, and rectangles beside them.

House normalisation: $S=\beta\sum_{x,\mu<\nu}(1-\tfrac1N\mathrm{Re\,tr}\,P_{\mu\nu}(x))$, N = 1 for U(1), with the
constant. With rectangles of 2×1 plaquettes in both orientations,
$S=\beta\big[c_0\sum_P(1-\tfrac1N\mathrm{Re\,tr}\,P)+c_1\sum_R(1-\tfrac1N\mathrm{Re\,tr}\,R)\big]$, $c_0=1-8c_1$.

The force needs, for every link, the sum of the loops through it, each beginning with this link
(`latflow.fields.link_loops`).
"""

import abc
import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Links, Matrices, Scalar, Tangent
from latflow.actions.base import AbstractAction
from latflow.arguments import finite, number, require_type
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.fields.closings import Surroundings, around_plaquettes, around_rectangles
from latflow.fields.link_loops import (
    around,
    coefficients_of_loops,
    inside,
    loops_with_rectangles,
    planes,
    plaquettes_through_links,
    rectangles_through_links,
    sites_of,
    weigh,
)
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import neighbour, total
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import diagonal_sum, multiply
from latflow.groups.u1 import sine
from latflow.lattice import Lattice

LUESCHER_WEISZ = -1 / 12
"""c₁ of the tree-level improved action: P. Weisz, Nucl. Phys. B 212 (1983) 1."""

IWASAKI = -0.331
"""c₁ of Iwasaki's renormalisation-group improved action: arXiv:1111.7054."""

DBW2 = -1.4088
"""c₁ of the doubly blocked Wilson action: QCD-TARO, Nucl. Phys. B 577 (2000) 263."""


class AbstractLinkAction(AbstractAction):
    r"""An action linear in every link: $-\frac\beta N\mathrm{Re\,tr}\,U_\mu(x)A_\mu(x)$ plus terms without the link."""

    space: eqx.AbstractVar[GaugeSpace]  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: eqx.AbstractVar[Scalar]

    @property
    @abc.abstractmethod
    def surroundings(self) -> Surroundings:
        r"""The paths that sum to $A_\mu(x)$."""

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        if "beta" in values:
            _coupling(values["beta"])


class WilsonAction(AbstractLinkAction):
    r"""$S=\beta\sum_{x,\mu<\nu}(1-\tfrac1N\mathrm{Re\,tr}\,P_{\mu\nu}(x))$; for U(1) $\beta\sum(1-\cos\theta_P)$.

    Args:
        lattice: Two or more directions.
        group: The gauge group.
        beta: Coupling, not negative.
        open_boundaries: Leave out plaquettes that cross an edge of the lattice; links that cross it are then free.

    Raises:
        TypeError: If `lattice` is not a Lattice, `group` not a group, or a coupling not a number.
        ConfigError: If an extent is below 2, or `beta` is negative (not checked while traced).
    """

    space: GaugeSpace
    beta: Scalar
    open_boundaries: bool = eqx.field(static=True)

    def __init__(
        self, lattice: Lattice, group: AbstractGroup, *, beta: float | Scalar, open_boundaries: bool = False
    ) -> None:
        self.space = _space(lattice, group)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.beta = _coupling(beta)
        require_type("open_boundaries", open_boundaries, bool, "True or False")
        self.open_boundaries = open_boundaries

    @property
    @override
    def surroundings(self) -> Surroundings:
        return around_plaquettes(open_boundaries=self.open_boundaries)

    @property
    def n_plaquettes(self) -> int:
        """Number of plaquettes in the sum."""
        shape = self.space.lattice.shape
        return sum(int(np.sum(inside(shape, plane, open_boundaries=self.open_boundaries))) for plane in planes(shape))

    @override
    def __call__(self, x: Field) -> Scalar:
        self.space.require(x)
        if self.space.group.element_shape:
            return self.beta * jnp.sum(_wilson_density(self.space.links(x), open_boundaries=self.open_boundaries))
        return self.beta * jnp.sum(_angle_density(x, open_boundaries=self.open_boundaries))

    @override
    def force(self, x: Field) -> Tangent:
        self.space.require(x)
        if self.space.group.element_shape:
            return self.beta * _force_of_loops(self._loops(x), group=self.space.group)
        return self.beta * _angle_force(x, open_boundaries=self.open_boundaries)

    @override
    def value_and_force(self, x: Field) -> tuple[Scalar, Tangent]:
        self.space.require(x)
        if not self.space.group.element_shape:
            return self(x), self.force(x)
        loops = self._loops(x)
        # every plaquette contains four links
        value = self.beta * (self.n_plaquettes - jnp.sum(_real_traces(loops)) / (4 * self.space.group.n))
        return value, self.beta * _force_of_loops(loops, group=self.space.group)

    def _loops(self, x: Field) -> Links:
        return plaquettes_through_links(self.space.links(x), open_boundaries=self.open_boundaries)


class ImprovedAction(AbstractLinkAction):
    r"""Plaquettes and rectangles, $c_0=1-8c_1$.

    Args:
        lattice: Two or more directions.
        group: The gauge group.
        beta: Coupling, not negative.
        c1: Coefficient of the rectangles; another value compiles another program.

    Raises:
        TypeError: If `lattice` is not a Lattice, `group` not a group, or a coupling not a number.
        ConfigError: If an extent is below 2, `beta` is negative (not checked while traced), or `c1` is not finite.
    """

    space: GaugeSpace
    beta: Scalar
    c1: float = eqx.field(static=True)

    def __init__(self, lattice: Lattice, group: AbstractGroup, *, beta: float | Scalar, c1: float) -> None:
        self.space = _space(lattice, group)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.beta = _coupling(beta)
        finite("action.c1", c1)
        # not from the array: this may be built while shapes are traced
        self.c1 = float(c1)

    @classmethod
    def luescher_weisz(cls, lattice: Lattice, group: AbstractGroup, *, beta: float | Scalar) -> "ImprovedAction":
        """Improved at tree level, c₁ = −1/12."""
        return cls(lattice, group, beta=beta, c1=LUESCHER_WEISZ)

    @classmethod
    def iwasaki(cls, lattice: Lattice, group: AbstractGroup, *, beta: float | Scalar) -> "ImprovedAction":
        """Improved by a renormalisation group, c₁ = −0.331."""
        return cls(lattice, group, beta=beta, c1=IWASAKI)

    @classmethod
    def dbw2(cls, lattice: Lattice, group: AbstractGroup, *, beta: float | Scalar) -> "ImprovedAction":
        """From double blocking, c₁ = −1.4088."""
        return cls(lattice, group, beta=beta, c1=DBW2)

    @property
    @override
    def surroundings(self) -> Surroundings:
        return around_rectangles(self.c1)

    @property
    @override
    def terms(self) -> tuple[AbstractAction, ...]:
        # rectangles are the weaker part and several times as expensive
        lattice, group = self.space.lattice, self.space.group
        return (
            RectangleAction(lattice, group, coefficient=self.c1 * self.beta),
            WilsonAction(lattice, group, beta=(1 - 8 * self.c1) * self.beta),
        )

    @override
    def __call__(self, x: Field) -> Scalar:
        self.space.require(x)
        return self.beta * jnp.sum(_improved_density(self.space.links(x), c1=self.c1))

    @override
    def force(self, x: Field) -> Tangent:
        self.space.require(x)
        loops = loops_with_rectangles(self.space.links(x), c1=self.c1)
        return self.beta * _force_of_loops(loops, group=self.space.group)


class RectangleAction(AbstractAction):
    r"""$S=c\sum_R(1-\tfrac1N\mathrm{Re\,tr}\,R)$ over rectangles of 2×1 plaquettes in both orientations.

    Args:
        lattice: Two or more directions.
        group: The gauge group.
        coefficient: c, of either sign; $\beta c_1$ in an improved action.
    """

    space: GaugeSpace  # pyright: ignore[reportIncompatibleVariableOverride]
    coefficient: Scalar

    def __init__(self, lattice: Lattice, group: AbstractGroup, *, coefficient: float | Scalar) -> None:
        self.space = _space(lattice, group)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.coefficient = finite("action.coefficient", coefficient)

    @override
    def __call__(self, x: Field) -> Scalar:
        self.space.require(x)
        return self.coefficient * jnp.sum(_rectangle_density(self.space.links(x)))

    @override
    def force(self, x: Field) -> Tangent:
        self.space.require(x)
        loops = rectangles_through_links(self.space.links(x))
        return self.coefficient * _force_of_loops(loops, group=self.space.group)


def _space(lattice: Lattice, group: AbstractGroup) -> GaugeSpace:
    space = GaugeSpace(lattice, group)
    if min(lattice.shape) < 2:
        allowed = "two or more directions of 2 or more sites; a link that closes on itself has no plaquettes"
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: {allowed}"])
    return space


def _coupling(beta: float | Scalar) -> Scalar:
    out = number("action.beta", beta)
    if isinstance(beta, float | int) and not 0 <= beta < math.inf:
        raise ConfigError([f"action.beta: {beta}; allowed: a finite number, at least 0"])
    return out


# Sums over planes; for use inside an operation that is already `trailing` ---------------------------------------------


def _deficit(loop: Matrices) -> Float[Array, "*sites"]:
    return 1 - jnp.real(diagonal_sum(loop)) / len(loop)


@trailing
def _wilson_density(links: Links, *, open_boundaries: bool) -> Float[Array, "*sites"]:
    sites = sites_of(links)
    deficits = []
    for mu, nu in planes(sites):
        deficit = _deficit(around(links[mu], links[nu], mu, nu)[2])[None, None]
        deficits.append(weigh(deficit, (mu, nu), sites=sites, open_boundaries=open_boundaries)[0, 0])
    return total(deficits)


@trailing
def _improved_density(links: Links, *, c1: float) -> Float[Array, "*sites"]:
    plaquettes = (_deficit(around(links[mu], links[nu], mu, nu)[2]) for mu, nu in planes(sites_of(links)))
    return (1 - 8 * c1) * total(plaquettes) + c1 * _rectangle_density(links)


@trailing
def _rectangle_density(links: Links) -> Float[Array, "*sites"]:
    return total(
        _deficit(around(multiply(u, neighbour(u, mu)), links[nu], mu, nu, 2)[2])
        for mu, u in enumerate(links)
        for nu in range(len(links))
        if mu != nu
    )


@trailing
def _real_traces(loops: Links) -> Float[Array, "*sites"]:
    return total(jnp.real(diagonal_sum(loop)) for loop in loops)


def _force_of_loops(loops: Links, *, group: AbstractGroup) -> Tangent:
    r"""DS of $S=-\frac1N\sum\mathrm{Re\,tr}$ of all loops; `loops` lists each loop once for every link it contains."""
    return group.trace_norm / group.n * coefficients_of_loops(loops, group=group)


# U(1) by its angles ---------------------------------------------------------------------------------------------------


def _angle(theta: Float[Array, "mu *sites"], mu: int, nu: int) -> Float[Array, "*sites"]:
    r"""$\theta_P$ as the sum of link angles, not wrapped to (−π, π]."""
    u, v = theta[mu], theta[nu]
    return u + jnp.roll(v, -1, axis=mu) - jnp.roll(u, -1, axis=nu) - v


@trailing
def _angle_density(theta: Float[Array, "mu *sites"], *, open_boundaries: bool) -> Float[Array, "*sites"]:
    sites = theta.shape[1 : 1 + len(theta)]
    deficits = []
    for plane in planes(sites):
        deficit = (2 * sine(_angle(theta, *plane) / 2) ** 2)[None, None]
        deficits.append(weigh(deficit, plane, sites=sites, open_boundaries=open_boundaries)[0, 0])
    return total(deficits)


@trailing
def _angle_force(theta: Float[Array, "mu *sites"], *, open_boundaries: bool) -> Float[Array, "mu *sites"]:
    d, sites = len(theta), theta.shape[1 : 1 + len(theta)]
    force = [[] for _ in range(d)]
    for mu, nu in planes(sites):
        slope = sine(_angle(theta, mu, nu))[None, None]
        slope = weigh(slope, (mu, nu), sites=sites, open_boundaries=open_boundaries)[0, 0]
        # A sum is computed once; XLA ignores a barrier here and would recompute the sine for everything that reads it.
        slope = jnp.sum(jnp.stack([slope, jnp.zeros_like(slope)]), axis=0)
        force[mu].append(slope - jnp.roll(slope, 1, axis=nu))
        force[nu].append(jnp.roll(slope, 1, axis=mu) - slope)
    return jnp.stack([total(parts) for parts in force])
