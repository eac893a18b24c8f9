"""Small networks that act on every site alone, features first and sites last."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.batching import trailing


class SiteNetwork(eqx.Module):
    """Two layers with a tanh between them, in their own precision; an untrained one gives zeros.

    Args:
        inner: Weights of the hidden layer.
        inner_bias: Its biases.
        outer: Weights of the output.
        outer_bias: Its biases.
    """

    inner: Float[Array, "hidden in"]
    inner_bias: Float[Array, " hidden"]
    outer: Float[Array, "out hidden"]
    outer_bias: Float[Array, " out"]

    @classmethod
    def untrained(cls, key: PRNGKey, *, n_in: int, n_hidden: int, n_out: int, dtype: str) -> "SiteNetwork":
        """Normal weights in the hidden layer, zeros in the last.

        Args:
            key: Randomness of the hidden layer.
            n_in: Features.
            n_hidden: Units of the hidden layer.
            n_out: Numbers per site.
            dtype: Precision.
        """
        inner = jax.random.normal(key, (n_hidden, n_in), dtype=dtype) / math.sqrt(n_in)
        return cls(inner, jnp.zeros(n_hidden, dtype), jnp.zeros((n_out, n_hidden), dtype), jnp.zeros(n_out, dtype))

    def __call__(self, features: Float[Array, "in *sites"]) -> Float[Array, "out *sites"]:
        """Outputs of every site."""
        x = features.astype(self.inner.dtype)
        hidden = _hidden(jnp.tensordot(self.inner, x, 1), self.inner_bias)
        return _shifted(jnp.tensordot(self.outer, hidden, 1), self.outer_bias).astype(features.dtype)


@trailing
def _hidden(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return jnp.tanh(x + _along(bias, x))


@trailing
def _shifted(x: Float[Array, "n *sites"], bias: Float[Array, "n *batch"]) -> Float[Array, "n *sites"]:
    return x + _along(bias, x)


def _along(bias: Float[Array, "n *batch"], x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
    """One number per unit, and per example of a batch, at all sites."""
    return bias.reshape(bias.shape[0], *(1,) * (x.ndim - bias.ndim), *bias.shape[1:])
