"""Which networks read the frozen sites of the couplings of a flow: one choice for all of its layers."""

import dataclasses

import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, counts, require_type
from latflow.bijections.conditioners import AbstractConditioner, ConvolutionalConditioner, DenseConditioner
from latflow.bijections.parity import Symmetrised
from latflow.bijections.partition import Partition

NETWORKS = ("dense", "convolutional")
PRECISIONS = ("float32", "float64")


@dataclasses.dataclass(frozen=True)
class Networks:
    """Settings of the conditioners of a flow.

    Args:
        network: Its kind, one of `NETWORKS`; see `latflow.bijections.conditioners`.
        hidden: Units or channels of the hidden layers.
        kernel_size: Window of a convolutional network.
        z2: Whether the couplings commute with φ → −φ, at the cost of a second evaluation.
        dtype: Precision of weights and arithmetic.

    Raises:
        TypeError: If a setting is of another type.
        ConfigError: If no hidden layer is given, a number is not positive, or the network is unknown.
    """

    network: str = "convolutional"
    hidden: tuple[int, ...] = (32, 32, 32)
    kernel_size: int = 9
    z2: bool = False
    dtype: str | jnp.dtype = "float32"

    def __post_init__(self) -> None:
        choice("flow.network", self.network, NETWORKS)
        counts("flow.hidden", self.hidden, words="one or more positive widths")
        count("flow.kernel_size", self.kernel_size)
        require_type("flow.z2", self.z2, bool, "True or False")
        choice("flow.dtype", str(jnp.dtype(self.dtype)), PRECISIONS)

    def conditioner(self, key: PRNGKey, partition: Partition, *, n_even: int, n_odd: int) -> AbstractConditioner:
        """A conditioner with `n_even` parameters that keep their sign under φ → −φ and `n_odd` that change it."""
        n, dtype = n_even + n_odd, jnp.dtype(self.dtype)
        if self.network == "dense":
            conditioner = DenseConditioner(key, partition, hidden=tuple(self.hidden), n_parameters=n, dtype=dtype)
        else:
            conditioner = ConvolutionalConditioner(
                key,
                partition,
                hidden=tuple(self.hidden),
                kernel_size=self.kernel_size,
                n_parameters=n,
                dtype=dtype,
            )
        return Symmetrised(conditioner, n_even) if self.z2 else conditioner
