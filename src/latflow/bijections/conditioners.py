"""Networks that read the frozen sites of a coupling and return its parameters on the active ones.

They compute in the precision of their weights: values are cast on the way in, and back on the way out. Every one is
zero at initialisation, so that a coupling starts as the identity.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.bijections.partition import Partition


class AbstractConditioner(eqx.Module):
    """A map from frozen values to two parameters per active site."""

    @abc.abstractmethod
    def __call__(
        self, frozen: Float[Array, " n_frozen"]
    ) -> tuple[Float[Array, " n_active"], Float[Array, " n_active"]]:
        """Raw log-scale and shift on the active sites, in the precision of `frozen`."""


class Linear(eqx.Module):
    """$xW+b$, and its even twin.

    Args:
        weight: Stored input-first, the order in which a batch of rows multiplies it without a transposition.
    """

    weight: Float[Array, "n_in n_out"]
    bias: Float[Array, " n_out"]

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        return x @ self.weight + self.bias


def _linear(key: PRNGKey, n_in: int, n_out: int, *, gain: float, dtype: jnp.dtype) -> Linear:
    """Normal weights of variance gain²/n_in and zero biases."""
    weight = gain / math.sqrt(n_in) * jax.random.normal(key, (n_in, n_out))
    return Linear(weight.astype(dtype), jnp.zeros(n_out, dtype))


class DenseConditioner(AbstractConditioner):
    """A fully connected network with tanh activations.

    Args:
        key: Randomness of the hidden layers.
        partition: Sites of the coupling.
        hidden: Units of the hidden layers.
        dtype: Precision of weights and arithmetic.
    """

    layers: tuple[Linear, ...]

    def __init__(
        self, key: PRNGKey, partition: Partition, *, hidden: tuple[int, ...], dtype: jnp.dtype = jnp.float32
    ) -> None:
        widths = (partition.frozen.size, *hidden, 2 * partition.active.size)
        gains = [1.0] * len(hidden) + [0.0]
        self.layers = tuple(
            _linear(jax.random.fold_in(key, i), n_in, n_out, gain=gain, dtype=dtype)
            for i, (n_in, n_out, gain) in enumerate(zip(widths[:-1], widths[1:], gains, strict=True))
        )

    @override
    def __call__(
        self, frozen: Float[Array, " n_frozen"]
    ) -> tuple[Float[Array, " n_active"], Float[Array, " n_active"]]:
        *hidden, last = self.layers
        h = frozen.astype(last.weight.dtype)
        for layer in hidden:
            h = jnp.tanh(layer(h))
        raw, shift = jnp.split(last(h).astype(frozen.dtype), 2)
        return raw, shift
