"""Named flows, ready to train."""

from typing import Literal

import jax
import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.bijections.base import AbstractBijection
from latflow.bijections.compose import Chain
from latflow.bijections.conditioners import DenseConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.elementwise import Scale
from latflow.bijections.partition import Partition
from latflow.distributions import Normal
from latflow.flows.flow import Flow
from latflow.lattice import Lattice


def real_nvp(
    key: PRNGKey,
    lattice: Lattice,
    *,
    n_layers: int = 8,
    network: Literal["dense", "convolutional"] = "dense",
    hidden: tuple[int, ...] = (256, 256),
    kernel_size: int = 3,
    log_scale_bound: float = 2.0,
    dtype: jnp.dtype = jnp.float32,
) -> Flow:
    layers: list[AbstractBijection] = []
    for i in range(n_layers):
        partition = Partition.of(lattice.checkerboard(parity=i % 2))
        conditioner = DenseConditioner(jax.random.fold_in(key, i), partition, hidden=hidden, dtype=dtype)
        layers.append(AffineCoupling(partition, conditioner, log_scale_bound))
    return Flow(Normal(lattice.shape), Chain((*layers, Scale())))
