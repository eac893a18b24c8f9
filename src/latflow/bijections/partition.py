"""Splitting the sites of a lattice in two: those a coupling reads and those it transforms.

A `Partition` is static data, part of a compiled program's identity: it holds its mask as bytes, whose hash Python
caches, and derives index arrays from it once. Splitting and merging are exact permutations of the sites.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from latflow.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Partition:
    """Two complementary sets of sites, neither of them empty.

    Args:
        shape: Sites along each direction.
        bits: The mask of the transformed sites in row-major order, one byte per site; see `Partition.of`.

    Raises:
        ConfigError: If one of the two sets is empty.
    """

    shape: tuple[int, ...]
    bits: bytes

    def __post_init__(self) -> None:
        if not 0 < sum(self.bits) < len(self.bits):
            raise ConfigError(["flow.mask: all sites on one side; allowed: some frozen and some transformed sites"])

    @classmethod
    def of(cls, mask: Bool[np.ndarray, "*sites"]) -> "Partition":
        """The partition whose transformed sites are those where `mask` is true."""
        return cls(mask.shape, np.ascontiguousarray(mask).tobytes())

    @functools.cached_property
    def mask(self) -> Bool[np.ndarray, "*sites"]:
        """True on transformed sites."""
        return np.frombuffer(self.bits, dtype=bool).reshape(self.shape)

    @functools.cached_property
    def frozen(self) -> Int[np.ndarray, " n_frozen"]:
        """Row-major positions of the sites that are only read."""
        return np.flatnonzero(~self.mask)

    @functools.cached_property
    def active(self) -> Int[np.ndarray, " n_active"]:
        """Row-major positions of the sites that are transformed."""
        return np.flatnonzero(self.mask)

    @functools.cached_property
    def order(self) -> Int[np.ndarray, " volume"]:
        """Where each site stands in the concatenation of frozen and active sites."""
        return np.argsort(np.concatenate([self.frozen, self.active]))

    def split(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, " n_frozen"], Float[Array, " n_active"]]:
        """The values on frozen and on active sites."""
        flat = x.reshape(-1)
        return flat[self.frozen], flat[self.active]

    def merge(self, frozen: Float[Array, " n_frozen"], active: Float[Array, " n_active"]) -> Float[Array, "*shape"]:
        """Inverse of `split`."""
        return jnp.concatenate([frozen, active])[self.order].reshape(self.shape)
