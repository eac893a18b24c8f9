"""Networks that read traces of loops: even outputs stay, odd ones change sign, when all imaginary parts change sign."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.randomness import pinned


class LoopNetwork(eqx.Module):
    r"""One hidden layer of even units and one of odd units, which are linear in the imaginary parts.

    $a=\sigma(W_1e+b_1)$, $o=W_2f$, $h=\sigma(W_3(a,o^2)+b_3)$; outputs $W_4h+b_4$ and $W_6(o\cdot W_5h)$, with σ the
    GELU. It computes in the precision of its weights, and gives zeros as long as it is not trained.
    """

    even: Float[Array, "... _ _"]
    even_bias: Float[Array, "... _"]
    odd: Float[Array, "... _ _"]
    hidden: Float[Array, "... _ _"]
    hidden_bias: Float[Array, "... _"]
    gate: Float[Array, "... _ _"]
    last_even: Float[Array, "... _ _"]
    last_bias: Float[Array, "... _"]
    last_odd: Float[Array, "... _ _"]

    @classmethod
    def untrained(
        cls, key: PRNGKey, *, n_layers: int, n_in: tuple[int, int], width: int, n_out: tuple[int, int], dtype: jnp.dtype
    ) -> "LoopNetwork":
        """Normal weights in the hidden layers, zeros in the last.

        Args:
            key: Randomness of the hidden layers.
            n_layers: Networks, stacked along a first axis.
            n_in: Even and odd features.
            width: Hidden units of each kind.
            n_out: Even and odd outputs per site.
            dtype: Precision.
        """

        def normal(i: int, rows: int, columns: int) -> Array:
            # drawn in float64 whatever the precision, so that both precisions start from the same network
            drawn = jax.random.normal(jax.random.fold_in(pinned(key), i), (n_layers, rows, columns))
            return (drawn / math.sqrt(max(1, columns))).astype(dtype)

        def zeros(*shape: int) -> Array:
            return jnp.zeros((n_layers, *shape), dtype)

        hidden = normal(2, width, 2 * width), zeros(width), normal(3, width, width)
        last = zeros(n_out[0], width), zeros(n_out[0]), zeros(n_out[1], width)
        return cls(normal(0, width, n_in[0]), zeros(width), normal(1, width, n_in[1]), *hidden, *last)

    def __call__(
        self, even: Float[Array, "n_even n_sites"], odd: Float[Array, "n_odd n_sites"]
    ) -> tuple[Float[Array, "out n_sites"], Float[Array, "out_odd n_sites"]]:
        """Even and odd outputs at every site."""
        e, f = even.astype(self.even.dtype), odd.astype(self.even.dtype)
        a = jax.nn.gelu(self.even @ e + self.even_bias[:, None])
        o = self.odd @ f
        h = jax.nn.gelu(self.hidden @ jnp.concatenate([a, o**2]) + self.hidden_bias[:, None])
        first = self.last_even @ h + self.last_bias[:, None]
        second = self.last_odd @ (o * (self.gate @ h))
        return first.astype(even.dtype), second.astype(even.dtype)
