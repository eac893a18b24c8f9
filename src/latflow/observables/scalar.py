r"""Observables of one real scalar field, as raw columns.

With $\bar\phi=V^{-1}\sum_x\phi_x$. No vacuum value is subtracted here, and no function of averages is taken: connected
parts and the like are derived from the means by the error analysis.
"""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.observables.base import AbstractObservable


class Magnetization(AbstractObservable):
    r"""$M=\bar\phi$, with its sign."""

    name: ClassVar[str] = "magnetization"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(x)


class AbsMagnetization(AbstractObservable):
    r"""$|\bar\phi|$."""

    name: ClassVar[str] = "abs_magnetization"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.abs(jnp.mean(x))


class MagnetizationSquared(AbstractObservable):
    r"""$\bar\phi^2$; times V it is the susceptibility where $\langle\phi\rangle=0$."""

    name: ClassVar[str] = "magnetization_squared"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(x) ** 2


class MagnetizationFourth(AbstractObservable):
    r"""$\bar\phi^4$."""

    name: ClassVar[str] = "magnetization_fourth"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(x) ** 4


class PhiSquared(AbstractObservable):
    r"""$V^{-1}\sum_x\phi_x^2$."""

    name: ClassVar[str] = "phi_squared"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(x**2)


class NeighbourProduct(AbstractObservable):
    r"""$(dV)^{-1}\sum_{x,\mu}\phi_x\phi_{x+\hat\mu}$."""

    name: ClassVar[str] = "neighbour_product"

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(jnp.stack([jnp.mean(x * jnp.roll(x, -1, axis=mu)) for mu in range(x.ndim)]))


class ActionDensity(AbstractObservable):
    """S/V.

    Args:
        action: S as a function of the configuration.
    """

    name: ClassVar[str] = "action_density"
    action: Callable[[Field], Scalar]

    @override
    def __call__(self, x: Field) -> Scalar:
        return self.action(x) / x.size


class TwoPoint(AbstractObservable):
    r"""On-axis two-point function $G(r)=V^{-1}\sum_x\phi_x\phi_{x+r\hat\mu}$, r = 0 … T//2 with T the last extent.

    Averaged over the directions whose extent equals T.
    """

    name: ClassVar[str] = "two_point"

    @override
    def __call__(self, x: Field) -> Float[Array, " r"]:
        return _mean_over_directions(x, lambda rows: rows.T @ rows)


class Correlator(AbstractObservable):
    r"""Zero-momentum projection $C(t)=V^{-1}\sum_y\sum_{\vec x}\phi_y\phi_{y+(\vec x,t)}$, t = 0 … T//2.

    T is the last extent; averaged over the directions whose extent equals T. Its sum over all t is $V\bar\phi^2$.
    """

    name: ClassVar[str] = "correlator"

    @override
    def __call__(self, x: Field) -> Float[Array, " t"]:
        def slices(rows: Float[Array, "rows T"]) -> Float[Array, "T T"]:
            totals = jnp.sum(rows, axis=0)
            return totals[:, None] * totals[None, :]

        return _mean_over_directions(x, slices)


def scalar_observables(action: Callable[[Field], Scalar]) -> tuple[AbstractObservable, ...]:
    """All observables of this module, in the order of the measurement columns."""
    return (
        Magnetization(),
        AbsMagnetization(),
        MagnetizationSquared(),
        MagnetizationFourth(),
        PhiSquared(),
        NeighbourProduct(),
        ActionDensity(action),
        TwoPoint(),
        Correlator(),
    )


def _mean_over_directions(
    x: Field, products: Callable[[Float[Array, "rows T"]], Float[Array, "T T"]]
) -> Float[Array, " half"]:
    """Sums of `products` of the lines in one direction over their cyclic diagonals, per site, folded.

    Diagonals r and T − r are equal by translation, so r = 0 … T//2 is complete.
    """
    extent = x.shape[-1]
    start = np.arange(extent)
    distance = np.arange(extent // 2 + 1)[:, None]
    values = []
    for mu in (mu for mu in range(x.ndim) if x.shape[mu] == extent):
        table = products(jnp.moveaxis(x, mu, -1).reshape(-1, extent))
        values.append(jnp.sum(table[start, (start + distance) % extent], axis=1) / x.size)
    return jnp.mean(jnp.stack(values), axis=0)
