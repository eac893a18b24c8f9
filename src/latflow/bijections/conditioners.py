"""Networks that read the frozen sites of a coupling and return the parameters of its transform on the active ones.

They compute in the precision of their weights: values are cast on the way in, and back on the way out. Every one is
zero at initialisation, so that a coupling starts as the identity. Hidden layers end in GELU (arXiv:1606.08415): smooth,
and better than tanh in every comparison of docs/decisions/0002-real-nvp-defaults.md.
"""

import abc
import dataclasses
import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.bijections.partition import Partition
from latflow.errors import ConfigError
from latflow.randomness import pinned, split


class AbstractConditioner(eqx.Module):
    """A map from frozen values to the parameters of a transform on every active site."""

    @abc.abstractmethod
    def __call__(self, frozen: Float[Array, " n_frozen"]) -> Float[Array, "n_active n_parameters"]:
        """Unconstrained parameters on the active sites, in the precision of `frozen`."""


class Linear(eqx.Module):
    """An affine map $xW+b$ of the last axis.

    Args:
        weight: Stored input-first, the order in which a batch of rows multiplies it without a transposition.
        bias: One number per output.
    """

    weight: Float[Array, "n_in n_out"]
    bias: Float[Array, " n_out"]

    def __call__(self, x: Float[Array, "*rows n_in"]) -> Float[Array, "*rows n_out"]:
        """The image of every row."""
        y = x @ self.weight
        return y + jnp.broadcast_to(self.bias, y.shape)


def _linear(key: PRNGKey, n_in: int, n_out: int, *, dtype: jnp.dtype) -> Linear:
    """Normal weights of variance 1/n_in and zero biases."""
    return Linear(_normal(key, n_in, n_out, dtype=dtype), jnp.zeros(n_out, dtype))


def _normal(key: PRNGKey, n_in: int, n_out: int, *, dtype: jnp.dtype) -> Float[Array, "n_in n_out"]:
    # Drawn in float64 whatever the precision, so that both precisions start from the same network.
    return (jax.random.normal(pinned(key), (n_in, n_out)) / math.sqrt(n_in)).astype(dtype)


def _zero(n_in: int, n_out: int, *, dtype: jnp.dtype) -> Linear:
    return Linear(jnp.zeros((n_in, n_out), dtype), jnp.zeros(n_out, dtype))


def _hidden_layers(key: PRNGKey, widths: tuple[int, ...], *, dtype: jnp.dtype) -> tuple[Linear, ...]:
    pairs = itertools.pairwise(widths)
    return tuple(_linear(jax.random.fold_in(key, i), *pair, dtype=dtype) for i, pair in enumerate(pairs))


class DenseConditioner(AbstractConditioner):
    """A fully connected network: every active site reads every frozen one, with its own weights.

    Args:
        key: Randomness of the hidden layers.
        partition: Sites of the coupling.
        hidden: Units of the hidden layers.
        n_parameters: Numbers per active site.
        dtype: Precision of weights and arithmetic.
    """

    hidden: tuple[Linear, ...]
    last: Linear
    n_parameters: int = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKey,
        partition: Partition,
        *,
        hidden: tuple[int, ...],
        n_parameters: int = 2,
        dtype: jnp.dtype = jnp.float32,
    ) -> None:
        self.hidden = _hidden_layers(key, (partition.frozen.size, *hidden), dtype=dtype)
        self.last = _zero(hidden[-1], n_parameters * partition.active.size, dtype=dtype)
        self.n_parameters = n_parameters

    @override
    def __call__(self, frozen: Float[Array, " n_frozen"]) -> Float[Array, "n_active n_parameters"]:
        h = frozen.astype(self.last.weight.dtype)
        for layer in self.hidden:
            h = jax.nn.gelu(layer(h))
        return self.last(h).astype(frozen.dtype).reshape(self.n_parameters, -1).T


class ConvolutionalConditioner(AbstractConditioner):
    """A circular convolution followed by a network at every site: all active sites use the same weights.

    The first layer reads, around each active site, the frozen sites within a window; the others act on each site
    alone (kernels of one site). The coupling is equivariant under the translations that keep its partition.

    Args:
        key: Randomness of the hidden layers.
        partition: Sites of the coupling.
        hidden: Channels of the hidden layers.
        kernel_size: Odd extent of the window in every direction; the whole lattice if it is larger than that.
        n_parameters: Numbers per active site.
        dtype: Precision of weights and arithmetic.
    """

    kernel: Float[Array, "n_offsets n_channels"]
    bias: Float[Array, " n_channels"]
    hidden: tuple[Linear, ...]
    last: Linear
    partition: Partition = eqx.field(static=True)
    kernel_size: int = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKey,
        partition: Partition,
        *,
        hidden: tuple[int, ...],
        kernel_size: int = 3,
        n_parameters: int = 2,
        dtype: jnp.dtype = jnp.float32,
    ) -> None:
        first_key, hidden_key = split(key)
        n_offsets = _window(partition, kernel_size).n_offsets
        self.kernel = _normal(first_key, n_offsets, hidden[0], dtype=dtype)
        self.bias = jnp.zeros(hidden[0], dtype)
        self.hidden = _hidden_layers(hidden_key, hidden, dtype=dtype)
        self.last = _zero(hidden[-1], n_parameters, dtype=dtype)
        self.partition = partition
        self.kernel_size = kernel_size

    @override
    def __call__(self, frozen: Float[Array, " n_frozen"]) -> Float[Array, "n_active n_parameters"]:
        h = self._convolve(frozen.astype(self.kernel.dtype))
        h = jax.nn.gelu(h + jnp.broadcast_to(self.bias, h.shape))
        for layer in self.hidden:
            h = jax.nn.gelu(layer(h))
        return self.last(h).astype(frozen.dtype)

    def _convolve(self, x: Float[Array, " n_frozen"]) -> Float[Array, "n_active n_channels"]:
        window = _window(self.partition, self.kernel_size)
        if window.regular and window.n_offsets * _SPARSE < x.size:
            return x[window.neighbours] @ self.kernel
        # A window as large as the lattice: one product with the circulant matrix. Its gradient scatters into weights
        # and not into every configuration of a batch, which the gather above would.
        padded = jnp.concatenate([self.kernel, jnp.zeros_like(self.kernel[:1])])
        matrix = padded[window.offsets]
        return jnp.einsum("f,fac->ac", x, matrix)


# The gather is cheaper where the window is smaller than the lattice by this factor.
_SPARSE = 8


@dataclasses.dataclass(frozen=True)
class _Window:
    """Frozen sites as seen from active ones.

    Args:
        n_offsets: Different displacements inside the window.
        offsets: Number of the displacement from active to frozen site; `n_offsets` outside the window.
        neighbours: For each active site, the frozen site at every displacement.
        regular: Whether every active site sees a frozen site at every displacement.
    """

    n_offsets: int
    regular: bool
    offsets: Int[np.ndarray, "n_frozen n_active"]
    neighbours: Int[np.ndarray, "n_active n_offsets"]


@functools.lru_cache
def _window(partition: Partition, kernel_size: int) -> _Window:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ConfigError([f"flow.kernel_size: {kernel_size}; allowed: odd and positive"])
    extents = np.array(partition.shape)[:, None, None]
    sites = np.indices(partition.shape).reshape(len(partition.shape), -1)
    # Shortest displacement on the torus, in [-L/2, L/2).
    shortest = (
        sites[:, partition.frozen, None] - sites[:, None, partition.active] + extents // 2
    ) % extents - extents // 2
    inside = np.all(np.abs(shortest) <= kernel_size // 2, axis=0)
    labels = np.asarray(np.ravel_multi_index(tuple(shortest + extents // 2), partition.shape))
    known = np.unique(labels[inside])
    if known.size == 0:
        raise ConfigError([f"flow.kernel_size: {kernel_size}; allowed: 3 or more; the window holds no frozen site"])
    offsets = np.where(inside, np.searchsorted(known, labels), known.size)
    order = np.argsort(offsets, axis=0, kind="stable")[: known.size]
    seen = np.take_along_axis(offsets, order, axis=0)
    regular = np.array_equal(seen, np.indices((known.size, partition.active.size))[0])
    return _Window(known.size, regular=regular, offsets=offsets, neighbours=order.T)
