r"""Conditioners of definite parity, for flows that treat φ and −φ exactly alike.

A coupling commutes with the inversion of the field if the parameters that keep their sign under it are even functions
of the frozen values and the others are odd ones: even log-scales and odd shifts; for splines see
`latflow.bijections.spline`. Averaging any network with its mirror image gives such parameters.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow.bijections.conditioners import AbstractConditioner


class Symmetrised(AbstractConditioner):
    r"""$\tfrac12[N(x)+N(-x)]$ for the first parameters, $\tfrac12[N(x)-N(-x)]$ for the others.

    Two evaluations of the network N. Networks of even and odd layers, which need one, learned less in the same time:
    docs/decisions/0005-exact-field-inversion.md.

    Args:
        network: N, any conditioner.
        n_even: How many parameters are even.
    """

    network: AbstractConditioner
    n_even: int = eqx.field(static=True)

    @override
    def __call__(self, frozen: Float[Array, " n_frozen"]) -> Float[Array, "n_active n_parameters"]:
        here, mirrored = self.network(frozen), self.network(-frozen)
        even = 0.5 * (here + mirrored)[:, : self.n_even]
        odd = 0.5 * (here - mirrored)[:, self.n_even :]
        return jnp.concatenate([even, odd], axis=1)
