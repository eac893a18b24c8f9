"""Named flows, ready to train."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.bijections.base import AbstractBijection
from latflow.bijections.compose import Chain
from latflow.bijections.conditioners import AbstractConditioner, ConvolutionalConditioner, DenseConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.elementwise import Scale
from latflow.bijections.partition import Partition
from latflow.distributions import AbstractDistribution, Normal
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.lattice import Lattice

_FlowT = TypeVar("_FlowT", bound=AbstractDistribution)


def real_nvp(
    key: PRNGKey,
    lattice: Lattice,
    *,
    n_layers: int = 8,
    network: str = "convolutional",
    hidden: tuple[int, ...] = (32, 32, 32),
    kernel_size: int = 9,
    log_scale_bound: float = 2.0,
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Real NVP: a standard normal prior, affine couplings on alternating checkerboards and one global scale.

    It starts as the identity. Densities and couplings are float64; `dtype` is that of the networks.

    Args:
        key: Randomness of the networks.
        lattice: Even extents.
        n_layers: Couplings; each transforms half of the sites.
        network: What reads the frozen sites, see `latflow.bijections.conditioners`.
        hidden: Units or channels of the hidden layers.
        kernel_size: Window of a convolutional network.
        log_scale_bound: Largest |s| of a coupling.
        dtype: Precision of the networks.

    Raises:
        ConfigError: If an extent is odd, no hidden layer is given, or the network is unknown.

    References:
        arXiv:1904.12072, section III.
    """
    builders = {
        "dense": DenseConditioner,
        "convolutional": functools.partial(ConvolutionalConditioner, kernel_size=kernel_size),
    }
    if network not in builders:
        raise ConfigError([f"flow.network: {network}; allowed: {', '.join(builders)}"])
    if not hidden:
        raise ConfigError(["flow.hidden: []; allowed: one or more positive widths"])
    layers: list[AbstractBijection] = []
    for i in range(n_layers):
        partition = Partition.of(lattice.checkerboard(parity=i % 2))
        conditioner = builders[network](
            jax.random.fold_in(key, i), partition, hidden=tuple(hidden), dtype=jnp.dtype(dtype)
        )
        layers.append(AffineCoupling(partition, conditioner, log_scale_bound))
    return Flow(Normal(lattice.shape), Chain((*layers, Scale())))


def cast(flow: _FlowT, dtype: str | jnp.dtype) -> _FlowT:
    """The same flow with networks of another precision; from float32 to float64 every weight is kept exactly."""

    def is_network(node: Any) -> bool:
        return isinstance(node, AbstractConditioner)

    def convert(node: Any) -> Any:
        return jax.tree.map(_to(dtype), node) if is_network(node) else node

    return jax.tree.map(convert, flow, is_leaf=is_network)


def _to(dtype: str | jnp.dtype) -> Callable[[Any], Any]:
    return lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf
