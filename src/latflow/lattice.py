"""Periodic hypercubic lattices: shape and exact site partitions.

A `Lattice` is static data (a shape), so it can be part of a compiled program's identity. Masks are numpy constants that
are compiled into the program; tests check that they partition the sites exactly.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from latflow.arguments import require_type
from latflow.display import extents
from latflow.errors import ConfigError
from latflow.given import require_whole


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A periodic hypercubic lattice.

    Args:
        shape: Sites along each direction, at least one direction, every extent positive. Time is the last direction.

    Raises:
        TypeError: If the shape is no tuple, or an extent no whole number.
        ConfigError: If the shape is empty or an extent is not positive.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        require_type("lattice.shape", self.shape, tuple, "a tuple of whole numbers, such as (8, 8)")
        for n in self.shape:
            require_whole("lattice.shape", n)
        if not self.shape or any(n < 1 for n in self.shape):
            raise ConfigError([f"lattice.shape: {list(self.shape)}; allowed: one or more positive extents"])

    def __repr__(self) -> str:
        return f"Lattice({extents(self.shape)})"

    @property
    def ndim(self) -> int:
        """Number of directions d."""
        return len(self.shape)

    @property
    def volume(self) -> int:
        """Number of sites V."""
        return math.prod(self.shape)

    def shift(self, x: Shaped[Array, "*sites"], *, mu: int, steps: int = 1) -> Shaped[Array, "*sites"]:
        r"""The field shifted by `steps` sites in direction `mu`: $(Tx)(n) = x(n + s\hat\mu)$, periodic."""
        return jnp.roll(x, -steps, axis=mu)

    def parity(self) -> Int[np.ndarray, "*sites"]:
        """Sum of the coordinates modulo 2: 0 on even sites, 1 on odd ones."""
        return np.indices(self.shape).sum(axis=0) % 2

    def checkerboard(self, *, parity: int) -> Bool[np.ndarray, "*sites"]:
        """Mask of the sites of one parity.

        Args:
            parity: 0 for even, 1 for odd.

        Raises:
            ConfigError: If an extent is odd: the two colours would touch across the boundary.
        """
        if any(n % 2 for n in self.shape):
            raise ConfigError(
                [f"lattice.shape: {list(self.shape)}; allowed: even extents; a checkerboard needs them on a torus"]
            )
        return self.parity() == parity

    def stripe(self, *, mu: int, period: int, offset: int) -> Bool[np.ndarray, "*sites"]:
        """Mask of the sites whose coordinate in direction `mu` equals `offset` modulo `period`."""
        if self.shape[mu] % period:
            raise ConfigError(
                [f"lattice.shape: extent {self.shape[mu]} in direction {mu}; allowed: a multiple of {period}"]
            )
        return np.indices(self.shape)[mu] % period == offset % period
