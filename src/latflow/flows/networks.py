"""Which networks read the frozen sites of the couplings of a flow: one choice for all of its layers."""

import dataclasses

import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.bijections.conditioners import AbstractConditioner, ConvolutionalConditioner, DenseConditioner
from latflow.bijections.parity import Symmetrised
from latflow.bijections.partition import Partition
from latflow.errors import ConfigError

NETWORKS = ("dense", "convolutional")


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
        ConfigError: If no hidden layer is given or the network is unknown.
    """

    network: str = "convolutional"
    hidden: tuple[int, ...] = (32, 32, 32)
    kernel_size: int = 9
    z2: bool = False
    dtype: str | jnp.dtype = "float32"

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ConfigError([f"flow.network: {self.network}; allowed: {', '.join(NETWORKS)}"])
        if not self.hidden:
            raise ConfigError(["flow.hidden: []; allowed: one or more positive widths"])

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
