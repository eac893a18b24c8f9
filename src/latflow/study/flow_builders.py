"""Untrained flows by the kind that a study names: one function per table of `latflow.study.config.flows`."""

from collections.abc import Callable
from typing import Any

from latflow._typing import PRNGKey
from latflow.flows.architectures import multiscale, rational_quadratic_spline, real_nvp
from latflow.flows.continuous import continuous_flow
from latflow.flows.flow import Flow
from latflow.flows.networks import Networks
from latflow.lattice import Lattice


def _continuous(key: PRNGKey, lattice: Lattice, table: Any, dtype: str) -> Flow:
    return continuous_flow(
        key,
        lattice,
        n_contexts=table.contexts,
        n_features=table.features,
        n_hidden=table.hidden,
        n_times=table.times,
        radius=table.radius,
        n_steps=table.steps,
        dtype=dtype,
    )


def _real_nvp(key: PRNGKey, lattice: Lattice, table: Any, dtype: str) -> Flow:
    return real_nvp(
        key,
        lattice,
        n_layers=table.layers,
        network=table.network,
        hidden=tuple(table.hidden),
        kernel_size=table.kernel_size,
        log_scale_bound=table.log_scale_bound,
        z2=table.z2,
        dtype=dtype,
    )


def _spline(key: PRNGKey, lattice: Lattice, table: Any, dtype: str) -> Flow:
    networks = Networks(table.network, tuple(table.hidden), table.kernel_size, z2=table.z2, dtype=dtype)
    return rational_quadratic_spline(
        key,
        lattice,
        n_layers=table.layers,
        n_splines=table.splines,
        n_bins=table.bins,
        half_width=table.half_width,
        networks=networks,
    )


def _multiscale(key: PRNGKey, lattice: Lattice, table: Any, dtype: str) -> Flow:
    networks = Networks("convolutional", tuple(table.hidden), table.kernel_size, z2=table.z2, dtype=dtype)
    return multiscale(
        key,
        lattice,
        n_coarse=table.coarse_layers,
        n_fine=table.fine_layers,
        log_scale_bound=table.log_scale_bound,
        networks=networks,
    )


BUILDERS: dict[str, Callable[[PRNGKey, Lattice, Any, str], Flow]] = {
    "continuous": _continuous,
    "real_nvp": _real_nvp,
    "spline": _spline,
    "multiscale": _multiscale,
}
"""Called with key, lattice, the table ``[flow]`` and the precision of the networks."""
