r"""Observables of gauge fields, as raw columns.

All traces are $\frac1N\mathrm{Re\,tr}$, so that every loop of the unit field is 1. Time is the last direction.
"""

import itertools
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices, Scalar
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import plaquette, polyakov_line, wilson_loop
from latflow.groups.base import wrap
from latflow.groups.matrices import trace
from latflow.groups.u1 import U1
from latflow.observables.base import AbstractObservable


class Plaquette(AbstractObservable):
    r"""Mean of $\frac1N\mathrm{Re\,tr}\,P$ over all planes and sites.

    Args:
        space: Space of the links.
    """

    name: ClassVar[str] = "plaquette"
    space: GaugeSpace

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(_planes(self.space, x))


class PlaquettePlanes(AbstractObservable):
    """The plaquette of every plane, (0, 1), (0, 2), …, in lexicographic order.

    Args:
        space: Space of the links.
    """

    name: ClassVar[str] = "plaquette_planes"
    space: GaugeSpace

    @override
    def __call__(self, x: Field) -> Float[Array, " planes"]:
        return _planes(self.space, x)


class Rectangle(AbstractObservable):
    r"""Mean of $\frac1N\mathrm{Re\,tr}$ of all 1×2 loops, in both orientations of every plane.

    Args:
        space: Space of the links.
    """

    name: ClassVar[str] = "rectangle"
    space: GaugeSpace

    @override
    def __call__(self, x: Field) -> Scalar:
        links = self.space.links(x)
        ways = itertools.permutations(range(self.space.ndim), 2)
        return jnp.mean(
            jnp.stack([_mean_trace(wilson_loop(links, mu=m, nu=n, steps_mu=2, steps_nu=1)) for m, n in ways])
        )


class WilsonLoops(AbstractObservable):
    r"""Loops W(R, T) of R steps in space and T steps in time, R = 1 … `space_steps`, T = 1 … `time_steps`.

    Averaged over the spatial directions and all sites. In two dimensions W(R, T) of a torus depends on the area alone
    only where both directions are long.

    Args:
        space: Space of the links.
        space_steps: Largest R.
        time_steps: Largest T.
    """

    name: ClassVar[str] = "wilson_loops"
    space: GaugeSpace
    space_steps: int
    time_steps: int

    @override
    def __call__(self, x: Field) -> Float[Array, "space_steps time_steps"]:
        links, time = self.space.links(x), self.space.ndim - 1

        def mean(r: int, t: int) -> Scalar:
            loops = [wilson_loop(links, mu=mu, nu=time, steps_mu=r, steps_nu=t) for mu in range(time)]
            return jnp.mean(jnp.stack([_mean_trace(loop) for loop in loops]))

        steps = range(1, self.space_steps + 1), range(1, self.time_steps + 1)
        return jnp.stack([jnp.stack([mean(r, t) for t in steps[1]]) for r in steps[0]])


class PolyakovLoop(AbstractObservable):
    r"""$L=\frac1N\mathrm{tr}$ of the lines around the time direction, averaged over space: real and imaginary part.

    Args:
        space: Space of the links.
    """

    name: ClassVar[str] = "polyakov"
    space: GaugeSpace

    @override
    def __call__(self, x: Field) -> Float[Array, "two"]:
        mean = _polyakov(self.space, x)
        return jnp.stack([jnp.real(mean), jnp.imag(mean)])


class PolyakovSquared(AbstractObservable):
    r"""$|L|^2$ of the same average; times the spatial volume it is the susceptibility where $\langle L\rangle=0$.

    Args:
        space: Space of the links.
    """

    name: ClassVar[str] = "polyakov_squared"
    space: GaugeSpace

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.abs(_polyakov(self.space, x)) ** 2


class TopologicalCharge(AbstractObservable):
    r"""$Q=\frac1{2\pi}\sum_x\mathrm{wrap}(\theta_P)$ of U(1) in two dimensions, an integer on a torus.

    Args:
        space: Angles on the links of a two-dimensional lattice.

    Raises:
        ConfigError: For another group or dimension.
    """

    name: ClassVar[str] = "topological_charge"
    space: GaugeSpace

    def __check_init__(self) -> None:
        if type(self.space.group) is not U1 or self.space.ndim != 2:
            raise ConfigError(["topological_charge: allowed: U(1) in two dimensions"])

    @override
    def __call__(self, x: Field) -> Scalar:
        theta = x[0] + jnp.roll(x[1], -1, axis=0) - jnp.roll(x[0], -1, axis=1) - x[1]
        return jnp.sum(wrap(theta)) / (2 * jnp.pi)


class GaugeActionDensity(AbstractObservable):
    """S per site.

    Args:
        space: Space of the links.
        action: S as a function of the configuration.
    """

    name: ClassVar[str] = "action_density"
    space: GaugeSpace
    action: Callable[[Field], Scalar]

    @override
    def __call__(self, x: Field) -> Scalar:
        return self.action(x) / self.space.lattice.volume


def gauge_observables(
    space: GaugeSpace, action: Callable[[Field], Scalar], *, largest_loop: int = 3
) -> tuple[AbstractObservable, ...]:
    """All observables of this module that are defined for the group and dimension, in the order of the columns.

    Args:
        space: Space of the links.
        action: S as a function of the configuration.
        largest_loop: Largest extent of Wilson loops; loops that wind around the lattice are left out.
    """
    space_steps, time_steps = largest_loops(space.lattice.shape, largest_loop=largest_loop)
    found: list[AbstractObservable] = [
        Plaquette(space),
        PlaquettePlanes(space),
        Rectangle(space),
        WilsonLoops(space, space_steps, time_steps),
        PolyakovLoop(space),
        PolyakovSquared(space),
        GaugeActionDensity(space, action),
    ]
    if type(space.group) is U1 and space.ndim == 2:
        found.append(TopologicalCharge(space))
    return tuple(found)


def largest_loops(shape: tuple[int, ...], *, largest_loop: int = 3) -> tuple[int, int]:
    """R and T of the largest Wilson loop on a lattice: at most `largest_loop`, and not winding around it."""
    return max(1, min(largest_loop, min(shape[:-1]) - 1)), max(1, min(largest_loop, shape[-1] - 1))


def _planes(space: GaugeSpace, x: Field) -> Float[Array, " planes"]:
    links = space.links(x)
    pairs = itertools.combinations(range(space.ndim), 2)
    return jnp.stack([_mean_trace(plaquette(links, mu=mu, nu=nu)) for mu, nu in pairs])


def _mean_trace(m: Matrices) -> Scalar:
    return jnp.mean(jnp.real(trace(m))) / len(m)


def _polyakov(space: GaugeSpace, x: Field) -> Array:
    lines = polyakov_line(space.links(x), mu=space.ndim - 1)
    return jnp.mean(trace(lines)) / len(lines)
