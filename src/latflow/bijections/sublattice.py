"""A bijection of part of the sites: the coarser lattice inside a lattice."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.partition import Partition
from latflow.lattice import Lattice


class Sublattice(AbstractBijection):
    """A bijection applied to the sites whose coordinates are all even, as their own lattice; others stay unchanged.

    Args:
        bijection: Acts on configurations of half the extents.
        lattice: The lattice of the whole; see `coarse`.
    """

    bijection: AbstractBijection
    lattice: Lattice = eqx.field(static=True)

    def _split(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, " rest"], Float[Array, "*coarse"]]:
        rest, kept = Partition.of(coarse_mask(self.lattice)).split(x)
        return rest, kept.reshape(coarse(self.lattice).shape)

    def _merge(self, rest: Float[Array, " rest"], kept: Float[Array, "*coarse"]) -> Float[Array, "*shape"]:
        return Partition.of(coarse_mask(self.lattice)).merge(rest, kept.reshape(-1))

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        rest, kept = self._split(x)
        image, log_det = self.bijection.forward_and_log_det(kept)
        return self._merge(rest, image), log_det

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        rest, kept = self._split(y)
        image, log_det = self.bijection.inverse_and_log_det(kept)
        return self._merge(rest, image), log_det


def coarse(lattice: Lattice) -> Lattice:
    """The lattice of the sites with even coordinates."""
    return Lattice(tuple((n + 1) // 2 for n in lattice.shape))


def coarse_mask(lattice: Lattice) -> np.ndarray:
    """True on the sites with even coordinates."""
    return np.all(np.indices(lattice.shape) % 2 == 0, axis=0)
