r"""Spin models: unit vectors $n_x\in S^{N-1}$ on a lattice with $S=-\beta\sum_{x,\mu}n_x\cdot n_{x+\hat\mu}$.

N = 2 is the XY model, N = 3 the Heisenberg model or O(3) sigma model. The XY model is written with unit vectors of two
components, too, so that all N share forces, samplers and observables; its angle is `arctan2(x[1], x[0])`.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, positive, require_type
from latflow.batching import shift
from latflow.fields.compact import SphereSpace
from latflow.lattice import Lattice


class SpinModel(AbstractAction):
    r"""$S=-\beta\sum_{x,\mu}n_x\cdot n_{x+\hat\mu}$, with respect to the uniform, normalised measure of every spin.

    There is no constant: the ground state has $S=-\beta dV$. Where an extent is 2 both neighbours in that direction are
    the same site, and the bond counts twice.

    Args:
        lattice: Periodic lattice in any dimension.
        components: N, at least 2.
        beta: β > 0, ferromagnetic.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If there are fewer than 2 components, or β is not positive.
    """

    space: SphereSpace  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: Scalar

    def __init__(self, lattice: Lattice, *, components: int, beta: float | Scalar) -> None:
        require_type("lattice", lattice, Lattice, "Lattice(shape)")
        dimension = count("action.components", components, least=2) - 1
        self.space = SphereSpace(dimension, lattice.shape)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.beta = positive("action.beta", beta)

    @property
    def lattice(self) -> Lattice:
        """Where the spins sit."""
        return Lattice(self.space.sites)

    @property
    def components(self) -> int:
        """N."""
        return self.space.dimension + 1

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        positive("action.beta", values["beta"])

    @override
    def __call__(self, x: Float[Array, "n *sites"]) -> Scalar:
        self.space.require(x)
        ahead = sum((shift(x, axis=mu) for mu in range(2, x.ndim)), shift(x, axis=1))
        return -self.beta * jnp.sum(x * ahead)

    @override
    def force(self, x: Float[Array, "n *sites"]) -> Float[Array, "*tangent"]:
        self.space.require(x)
        return -self.beta * self.space.coordinates(x, neighbours(x, ndim=x.ndim - 1))

    @override
    def value_and_force(self, x: Float[Array, "n *sites"]) -> tuple[Scalar, Float[Array, "*tangent"]]:
        self.space.require(x)
        around = neighbours(x, ndim=x.ndim - 1)
        return -0.5 * self.beta * jnp.sum(x * around), -self.beta * self.space.coordinates(x, around)


def neighbours(x: Float[Array, "n *sites"], *, ndim: int) -> Float[Array, "n *sites"]:
    r"""$h_x=\sum_\mu(n_{x+\hat\mu}+n_{x-\hat\mu})$: the action depends on one spin alone as $-\beta\,n_x\cdot h_x$.

    Args:
        x: Spins; further axes behind the sites are a batch.
        ndim: Directions d of the lattice.
    """
    parts = [shift(x, axis=mu, steps=step) for mu in range(1, ndim + 1) for step in (1, -1)]
    return sum(parts[1:], parts[0])
