"""Named flows, ready to train."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from latflow._typing import PRNGKey
from latflow.arguments import count, positive, require_type
from latflow.bijections.base import AbstractBijection
from latflow.bijections.compose import Chain
from latflow.bijections.conditioners import AbstractConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.elementwise import Scale
from latflow.bijections.ode.continuous import AbstractVelocity
from latflow.bijections.partition import Partition
from latflow.bijections.spin_levels import FieldWeights
from latflow.bijections.spline import SplineCoupling, parameter_counts
from latflow.bijections.splits.base import AbstractSplit
from latflow.bijections.sublattice import Sublattice, coarse, coarse_mask
from latflow.distributions import Normal
from latflow.flows.flow import Flow
from latflow.flows.networks import Networks
from latflow.lattice import Lattice
from latflow.randomness import require_key

ARCHITECTURE = 1
"""Revision of the flows: raised whenever the same weights in the same configuration give another function, or the same
configuration another training. Models and checkpoints of another revision are refused."""

_FlowT = TypeVar("_FlowT", bound=eqx.Module)


def real_nvp(
    key: PRNGKey,
    lattice: Lattice,
    *,
    n_layers: int = 8,
    network: str = "convolutional",
    hidden: tuple[int, ...] = (32, 32, 32),
    kernel_size: int = 9,
    log_scale_bound: float = 2.0,
    z2: bool = False,
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
        z2: Whether the flow commutes with φ → −φ exactly, see `latflow.bijections.parity`.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If an extent is odd, no hidden layer is given, a number is not positive, or the network is unknown.

    References:
        arXiv:1904.12072, section III.
    """
    _require_common(key, lattice, log_scale_bound)
    networks = Networks(network=network, hidden=hidden, kernel_size=kernel_size, z2=z2, dtype=dtype)
    layers: list[AbstractBijection] = []
    for i in range(count("n_layers", n_layers)):
        partition = Partition.of(lattice.checkerboard(parity=i % 2))
        conditioner = networks.conditioner(jax.random.fold_in(key, i), partition, n_even=1, n_odd=1)
        layers.append(AffineCoupling(partition, conditioner, log_scale_bound))
    return Flow(Normal(lattice.shape), Chain((*layers, Scale())))


def rational_quadratic_spline(
    key: PRNGKey,
    lattice: Lattice,
    *,
    n_layers: int = 8,
    n_splines: int = 2,
    n_bins: int = 8,
    half_width: float = 4.0,
    slopes: str = "unbounded",
    log_scale_bound: float = 2.0,
    networks: Networks | None = None,
) -> Flow:
    """Couplings on alternating checkerboards, the first affine and the last rational-quadratic splines.

    It starts as the identity on a standard normal prior. Affine couplings correlate the sites cheaply; splines shape
    the distribution of each site: docs/decisions/0006-splines-and-levels.md.

    Args:
        key: Randomness of the networks.
        lattice: Even extents.
        n_layers: Couplings; each transforms half of the sites.
        n_splines: How many of them, the last ones, are splines.
        n_bins: Bins of a spline.
        half_width: Largest value that a spline changes, before the global scale.
        slopes: Of splines at their knots, "unbounded" or "bounded" by those of their bins.
        log_scale_bound: Largest |s| of an affine coupling.
        networks: What reads the frozen sites.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If an extent is odd, or a number out of range.

    References:
        arXiv:1906.04032.
    """
    _require_common(key, lattice, log_scale_bound)
    positive("half_width", half_width)
    n_splines = count("n_splines", n_splines, least=0)
    networks = _given(networks, Networks())
    n_even, n_odd = parameter_counts(count("n_bins", n_bins, least=2))
    layers: list[AbstractBijection] = []
    for i in range(count("n_layers", n_layers)):
        partition = Partition.of(lattice.checkerboard(parity=i % 2))
        layer_key = jax.random.fold_in(key, i)
        if i < n_layers - n_splines:
            conditioner = networks.conditioner(layer_key, partition, n_even=1, n_odd=1)
            layers.append(AffineCoupling(partition, conditioner, log_scale_bound))
        else:
            conditioner = networks.conditioner(layer_key, partition, n_even=n_even, n_odd=n_odd)
            layers.append(SplineCoupling(partition, conditioner, n_bins, half_width, slopes=slopes))
    return Flow(Normal(lattice.shape), Chain((*layers, Scale())))


def multiscale(
    key: PRNGKey,
    lattice: Lattice,
    *,
    n_coarse: int = 8,
    n_fine: int = 8,
    log_scale_bound: float = 2.0,
    networks: Networks | None = None,
) -> Flow:
    r"""The field of a coarse lattice first, then the fluctuations between its sites, level by level.

    The sites with even coordinates form the next coarser lattice, until an extent is odd or all are at most 2. The
    coarsest field is made by affine couplings on alternating colours. A finer level leaves the coarse sites unchanged
    and transforms the others in two turns, $q(\varphi)=q(\varphi_c)\,q(\varphi_f|\varphi_c)$: first those of the coarse
    sites' colour, then those of the other. All couplings read a window of one size, so each level is local on its own
    scale.

    Args:
        key: Randomness of the networks.
        lattice: Any extents, of more than one site.
        n_coarse: Couplings of the coarsest level.
        n_fine: Couplings of every other level.
        log_scale_bound: Largest |s| of a coupling.
        networks: What reads the frozen sites; use small windows.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If a number is out of range.

    References:
        The idea of levels: arXiv:1802.02840.
    """
    _require_common(key, lattice, log_scale_bound)
    n_coarse, n_fine = count("n_coarse", n_coarse), count("n_fine", n_fine)
    networks = _given(networks, Networks(kernel_size=5))

    def couplings(key: PRNGKey, masks: list[Bool[np.ndarray, "*sites"]]) -> tuple[AbstractBijection, ...]:
        layers: list[AbstractBijection] = []
        for i, mask in enumerate(masks):
            partition = Partition.of(mask)
            conditioner = networks.conditioner(jax.random.fold_in(key, i), partition, n_even=1, n_odd=1)
            layers.append(AffineCoupling(partition, conditioner, log_scale_bound))
        return tuple(layers)

    def level(key: PRNGKey, lattice: Lattice) -> Chain:
        odd = lattice.parity() == 1
        if any(n % 2 for n in lattice.shape) or max(lattice.shape) <= 2:
            return Chain((*couplings(key, _alternating([~odd, odd], n_coarse)), Scale()))
        below = Sublattice(level(jax.random.fold_in(key, n_fine), coarse(lattice)), lattice)
        between = ~odd & ~coarse_mask(lattice)
        masks = [between, odd] if np.any(between) else [odd]
        return Chain((below, *couplings(key, _alternating(masks, n_fine)), Scale()))

    return Flow(Normal(lattice.shape), level(key, lattice))


def cast(flow: _FlowT, dtype: str | jnp.dtype) -> _FlowT:
    """The same flow with networks of another precision; from float32 to float64 every weight is kept exactly."""

    def is_network(node: Any) -> bool:
        return isinstance(node, AbstractConditioner | AbstractVelocity | AbstractSplit | FieldWeights)

    def convert(node: Any) -> Any:
        return jax.tree.map(_to(dtype), node) if is_network(node) else node

    return jax.tree.map(convert, flow, is_leaf=is_network)


def _require_common(key: PRNGKey, lattice: Lattice, log_scale_bound: float) -> None:
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    positive("log_scale_bound", log_scale_bound)


def _given(networks: Networks | None, otherwise: Networks) -> Networks:
    require_type("networks", networks, Networks | None, "Networks(...)")
    return otherwise if networks is None else networks


def _alternating(masks: list[Bool[np.ndarray, "*sites"]], n: int) -> list[Bool[np.ndarray, "*sites"]]:
    return [masks[i % len(masks)] for i in range(n)]


def _to(dtype: str | jnp.dtype) -> Callable[[Any], Any]:
    return lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf
