r"""Observables of spins, as raw columns: unit vectors `x[component, *sites]`.

With $\vec M=\sum_xn_x$; averages over directions are over those of the largest extent L.
"""

import itertools
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace
from latflow.groups.base import wrap
from latflow.observables.base import AbstractObservable


class SpinProduct(AbstractObservable):
    r"""$\frac1{dV}\sum_{x,\mu}n_x\cdot n_{x+\hat\mu}$: minus the energy per bond."""

    name: ClassVar[str] = "spin_product"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        return jnp.mean(jnp.stack([jnp.mean(jnp.sum(x * _ahead(x, mu), axis=0)) for mu in range(x.ndim - 1)]))


class SpinMagnetization(AbstractObservable):
    r"""$|\vec M|/V$."""

    name: ClassVar[str] = "spin_magnetization"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        return jnp.sqrt(jnp.sum(_total(x) ** 2)) / x[0].size


class SpinSusceptibility(AbstractObservable):
    r"""$\vec M^2/V$; the magnetisation itself has no average on a finite lattice."""

    name: ClassVar[str] = "spin_susceptibility"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        return jnp.sum(_total(x) ** 2) / x[0].size


class SpinStructure(AbstractObservable):
    r"""$\frac1V|\sum_xe^{2\pi ix_\mu/L}n_x|^2$, average over the directions of extent L."""

    name: ClassVar[str] = "spin_structure"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        found = []
        for mu in _longest(x.shape[1:]):
            others = tuple(nu + 1 for nu in range(x.ndim - 1) if nu != mu)
            wave = jnp.exp(2j * jnp.pi * jnp.arange(x.shape[mu + 1]) / x.shape[mu + 1])
            found.append(jnp.sum(jnp.abs(jnp.sum(x, axis=others) @ wave) ** 2))
        return jnp.mean(jnp.stack(found)) / x[0].size


class SpinCorrelator(AbstractObservable):
    r"""$\frac1V\sum_{t'}\vec S(t')\cdot\vec S(t'+t)$, t = 0 … T/2, of the sums $\vec S(t)$ over time slices.

    $\sum_{\vec x}\langle n_0\cdot n_{\vec x,t}\rangle$ on average.
    """

    name: ClassVar[str] = "spin_correlator"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Float[Array, " distances"]:
        slices = jnp.sum(x, axis=tuple(range(1, x.ndim - 1)))
        products = [jnp.sum(slices * jnp.roll(slices, -t, axis=1)) for t in range(x.shape[-1] // 2 + 1)]
        return jnp.stack(products) / x[0].size


class AlongProduct(AbstractObservable):
    r"""$\frac1V\sum_xn_x\cdot n_{x+\hat\mu}$, average over the directions of extent L; for the helicity."""

    name: ClassVar[str] = "spin_product_along"

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        return jnp.mean(jnp.stack([jnp.mean(jnp.sum(x * _ahead(x, mu), axis=0)) for mu in _longest(x.shape[1:])]))


class CurrentSquared(AbstractObservable):
    r"""$\frac1V(\sum_x\sin(\theta_{x+\hat\mu}-\theta_x))^2$ of XY spins, average over the directions of extent L.

    The helicity modulus is $\Upsilon=\langle n_x\cdot n_{x+\hat\mu}\rangle-\beta\,\langle$this$\rangle$: the second
    derivative of the free energy per site, over β, by a twist of every bond in the direction μ.
    """

    name: ClassVar[str] = "spin_current_squared"

    @override
    def __call__(self, x: Float[Array, "two *sites"]) -> Scalar:
        currents = [jnp.sum(x[0] * _ahead(x, mu)[1] - x[1] * _ahead(x, mu)[0]) for mu in _longest(x.shape[1:])]
        return jnp.mean(jnp.stack(currents) ** 2) / x[0].size


class VortexDensity(AbstractObservable):
    r"""Vortices and antivortices per plaquette of XY spins: $|q|$, $2\pi q$ the sum of the four wrapped differences."""

    name: ClassVar[str] = "vortex_density"

    @override
    def __call__(self, x: Float[Array, "two *sites"]) -> Scalar:
        angle = jnp.arctan2(x[1], x[0])

        def difference(mu: int) -> Float[Array, "*sites"]:
            return wrap(jnp.roll(angle, -1, axis=mu) - angle)

        found = []
        for mu, nu in itertools.combinations(range(angle.ndim), 2):
            first, second = difference(mu), difference(nu)
            turns = first + jnp.roll(second, -1, axis=mu) - jnp.roll(first, -1, axis=nu) - second
            found.append(jnp.mean(jnp.abs(jnp.rint(turns / (2 * jnp.pi)))))
        return jnp.mean(jnp.stack(found))


class SpinCharge(AbstractObservable):
    r"""Geometric topological charge of O(3) spins in two dimensions, an integer: every plaquette is two triangles.

    A triangle of spins has the signed area A with
    $\tan\frac A2=\frac{n_1\cdot(n_2\times n_3)}{1+n_1\cdot n_2+n_2\cdot n_3+n_3\cdot n_1}$, |A| < 2π, and
    $Q=\frac1{4\pi}\sum A$.

    References:
        B. Berg and M. Lüscher, Nucl. Phys. B 190 (1981) 412.
    """

    name: ClassVar[str] = "topological_charge"

    @override
    def __call__(self, x: Float[Array, "three *sites"]) -> Scalar:
        right, up = _ahead(x, 0), _ahead(x, 1)
        across = _ahead(right, 1)
        return jnp.sum(_area(x, right, across) + _area(x, across, up)) / (4 * jnp.pi)


def spin_observables(space: SphereSpace) -> tuple[AbstractObservable, ...]:
    """All that are defined for spins of this space, in the order of the columns."""
    found: list[AbstractObservable] = [
        SpinProduct(),
        SpinMagnetization(),
        SpinSusceptibility(),
        SpinStructure(),
        SpinCorrelator(),
    ]
    directions = len(space.sites)
    if space.dimension == 1:
        found += [AlongProduct(), CurrentSquared(), *([VortexDensity()] if directions > 1 else [])]
    if space.dimension == 2 and directions == 2:
        found.append(SpinCharge())
    if not directions:
        raise ConfigError([f"observables of spins: {space.summary}; allowed: one unit vector per site of a lattice"])
    return tuple(found)


def _ahead(x: Float[Array, "n *sites"], mu: int) -> Float[Array, "n *sites"]:
    return jnp.roll(x, -1, axis=mu + 1)


def _total(x: Float[Array, "n *sites"]) -> Float[Array, " n"]:
    return jnp.sum(x, axis=tuple(range(1, x.ndim)))


def _longest(shape: tuple[int, ...]) -> list[int]:
    return [int(mu) for mu in np.flatnonzero(np.asarray(shape) == max(shape))]


def _area(a: Array, b: Array, c: Array) -> Float[Array, "*sites"]:
    """Signed area of the triangles of three fields of unit vectors."""
    volume = jnp.sum(a * jnp.cross(b, c, axis=0), axis=0)
    products = [jnp.sum(v * w, axis=0) for v, w in ((a, b), (b, c), (c, a))]
    return 2 * jnp.arctan2(volume, 1 + sum(products[1:], products[0]))
