"""Small networks that act on every site alone, features first and sites last."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.batching import trailing


class SiteNetwork(eqx.Module):
    """Layers with a tanh between them, in their own precision; an untrained network gives zeros.

    Args:
        weights: One matrix for every layer.
        biases: One vector for every layer.
    """

    weights: tuple[Float[Array, "... _ _"], ...]
    biases: tuple[Float[Array, "... _"], ...]

    @classmethod
    def untrained(
        cls, key: PRNGKey, *, n_in: int, hidden: tuple[int, ...], n_out: int, dtype: str | jnp.dtype
    ) -> "SiteNetwork":
        """Normal weights in the hidden layers, zeros in the last.

        Args:
            key: Randomness of the hidden layers.
            n_in: Features.
            hidden: Units of the hidden layers.
            n_out: Numbers per site.
            dtype: Precision.
        """
        pairs = list(itertools.pairwise((n_in, *hidden, n_out)))
        weights = [
            jax.random.normal(jax.random.fold_in(key, i), (rows, columns), dtype=dtype) / math.sqrt(columns)
            for i, (columns, rows) in enumerate(pairs[:-1])
        ]
        last = jnp.zeros((n_out, pairs[-1][0]), dtype)
        return cls((*weights, last), tuple(jnp.zeros(rows, dtype) for _, rows in pairs))

    def silent(self) -> "SiteNetwork":
        """The same hidden layers, and an output of zero."""
        last = jnp.zeros_like(self.weights[-1]), jnp.zeros_like(self.biases[-1])
        return SiteNetwork((*self.weights[:-1], last[0]), (*self.biases[:-1], last[1]))

    def __call__(self, features: Float[Array, "in *sites"]) -> Float[Array, "out *sites"]:
        """Outputs of every site."""
        x = features.astype(self.weights[0].dtype)
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = _hidden(jnp.tensordot(weights, x, 1), bias)
        return _shifted(jnp.tensordot(self.weights[-1], x, 1), self.biases[-1]).astype(features.dtype)


@trailing
def _hidden(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return jnp.tanh(x + _along(bias, x))


@trailing
def _shifted(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return x + _along(bias, x)


def _along(bias: Float[Array, "n *batch"], x: Float[Array, "n *sites"]) -> Float[Array, "n *ones"]:
    """One number per unit, and per example of a batch, at all sites."""
    return bias.reshape(bias.shape[0], *(1,) * (x.ndim - bias.ndim), *bias.shape[1:])
