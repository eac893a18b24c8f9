"""Untrained flows by the kind that a study names: one function per table of `latflow.flows.tables`."""

from collections.abc import Mapping
from typing import Any

from latflow._typing import PRNGKey
from latflow.bijections.elementwise import Identity
from latflow.distributions import HaarPrior, IsotropicNormal
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace
from latflow.flows import architectures
from latflow.flows.autoregressive import autoregressive_flow
from latflow.flows.continuous import continuous_flow
from latflow.flows.doubling import at_heat_bath, doubling_flow
from latflow.flows.flow import Flow
from latflow.flows.gauge import u1_plaquette_flow
from latflow.flows.link_layers import link_coupling_flow, stout_flow
from latflow.flows.links import continuous_link_flow
from latflow.flows.multiscale_links import at_known_heat_bath, multiscale_link_flow
from latflow.flows.networks import Networks
from latflow.flows.particles import pair_flow
from latflow.flows.spins import at_spin_coupling, spin_levels_flow
from latflow.flows.villain import at_coupling, villain_flow
from latflow.lattice import Lattice


def continuous(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """An equivariant continuous flow from a free field."""
    return continuous_flow(
        key,
        Lattice(space.shape),
        n_contexts=table.contexts,
        n_features=table.features,
        n_hidden=table.hidden,
        n_times=table.times,
        radius=table.radius,
        n_steps=table.steps,
        dtype=dtype,
    )


def autoregressive(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Splines of uniform coordinates, one after another."""
    return autoregressive_flow(
        key,
        space,
        bins=table.bins,
        hidden=tuple(table.hidden),
        order=table.order,
        circle_map=table.map,
        windings=table.windings,
        dtype=dtype,
    )


def real_nvp(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Affine couplings on alternating checkerboards."""
    built = architectures.real_nvp(
        key,
        Lattice(space.shape),
        n_layers=table.layers,
        network=table.network,
        hidden=tuple(table.hidden),
        kernel_size=table.kernel_size,
        log_scale_bound=table.log_scale_bound,
        z2=table.z2,
        dtype=dtype,
    )
    return _of_space(space, built)


def spline(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Couplings of which the last are rational-quadratic splines."""
    networks = Networks(table.network, tuple(table.hidden), table.kernel_size, z2=table.z2, dtype=dtype)
    built = architectures.rational_quadratic_spline(
        key,
        Lattice(space.shape),
        n_layers=table.layers,
        n_splines=table.splines,
        n_bins=table.bins,
        half_width=table.half_width,
        slopes=table.slopes,
        networks=networks,
    )
    return _of_space(space, built)


def pairs(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Particles along gradients of many-body potentials."""
    if not isinstance(space, EuclideanSpace):
        raise ConfigError([f"flow.kind: built for particles; this theory has {type(space).__name__}"])
    return pair_flow(
        key,
        space,
        width=table.width,
        n_local=table.local,
        n_total=table.total,
        n_bells=table.bells,
        n_times=table.times,
        reach=table.reach,
        n_steps=table.steps,
        dtype=dtype,
    )


def multiscale(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """A coarse lattice first, then the fluctuations between its sites."""
    networks = Networks("convolutional", tuple(table.hidden), table.kernel_size, z2=table.z2, dtype=dtype)
    return architectures.multiscale(
        key,
        Lattice(space.shape),
        n_coarse=table.coarse_layers,
        n_fine=table.fine_layers,
        log_scale_bound=table.log_scale_bound,
        networks=networks,
    )


def plaquettes(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Couplings of U(1) plaquettes; all their numbers are float64."""
    del dtype
    return u1_plaquette_flow(key, _links(space).lattice, n_layers=table.layers)


def doubling(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """From coarse links to fine ones; weights are those of β = 0, see `doubling_start`."""
    links = _links(space)
    sizes = {"n_levels": table.levels, "n_bins": table.bins, "n_terms": table.terms}
    return doubling_flow(key, links.lattice, links.group, 0.0, **sizes, dtype=dtype)


def doubling_start(flow: Flow, values: Mapping[str, float]) -> Flow:
    """The same flow as the heat bath of blocks of Wilson's action at the β of the theory."""
    return at_heat_bath(flow, values["beta"])


def loops(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """A continuous flow of links along loops; all its numbers are float64."""
    del dtype
    links = _links(space)
    return continuous_link_flow(
        key,
        links.lattice,
        links.group,
        beta=table.start_beta,
        order=table.order,
        n_times=table.times,
        n_steps=table.steps,
    )


def villain(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """From Villain links of β = 1, see `villain_start`; all numbers are float64."""
    del dtype
    links = _links(space)
    sizes = {"n_harmonics": table.harmonics, "n_powers": table.powers, "n_times": table.times}
    return villain_flow(key, links.lattice, beta=1.0, **sizes, n_steps=table.steps)


def villain_start(flow: Flow, values: Mapping[str, float]) -> Flow:
    """The same flow from Villain links of the β of the theory."""
    return at_coupling(flow, values["beta"])


def levels(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Spins from coarse sites to fine ones; the last stage draws uniform ones, see `levels_start`."""
    if not isinstance(space, SphereSpace):
        raise ConfigError([f"flow.kind: levels on {space.summary}; allowed: spins on a lattice"])
    sizes = {"neighbours": table.neighbours, "near": table.near, "width": table.width}
    return spin_levels_flow(key, Lattice(space.sites), space.dimension + 1, beta=0.0, dtype=dtype, **sizes)


def levels_start(flow: Flow, values: Mapping[str, float]) -> Flow:
    """The same flow with the heat bath at the β of the theory as its last stage."""
    return at_spin_coupling(flow, values["beta"])


def link_coupling(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Couplings of active plaquettes on stripes."""
    links = _links(space)
    return link_coupling_flow(
        key,
        links.lattice,
        links.group,
        n_layers=table.layers,
        transform=table.transform,
        centred=table.centred,
        period=table.period,
        reach=table.reach,
        width=table.width,
        n_bins=table.bins,
        n_terms=table.terms,
        dtype=dtype,
    )


def link_multiscale(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """From coarse links to fine ones in any dimension; new links are Haar, see `link_multiscale_start`."""
    links = _links(space)
    return multiscale_link_flow(
        key,
        links.lattice,
        links.group,
        0.0,
        n_doublings=table.doublings,
        n_coarse=table.coarse_layers,
        n_fine=table.fine_layers,
        reach=table.reach,
        width=table.width,
        n_bins=table.bins,
        n_terms=table.terms,
        dtype=dtype,
    )


def link_multiscale_start(flow: Flow, values: Mapping[str, float]) -> Flow:
    """The same flow with new links as in the heat bath about known staples at the β of the theory."""
    return at_known_heat_bath(flow, values["beta"])


def stout(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Residual steps along staples on stripes."""
    links = _links(space)
    return stout_flow(
        key,
        links.lattice,
        links.group,
        n_layers=table.layers,
        period=table.period,
        reach=table.reach,
        width=table.width,
        slope_bound=table.slope_bound,
        dtype=dtype,
    )


def identity(key: PRNGKey, space: AbstractFieldSpace, table: Any, dtype: str) -> Flow:
    """Uniform draws."""
    del key, table, dtype
    return Flow(HaarPrior(space), Identity())


def _of_space(space: AbstractFieldSpace, flow: Flow) -> Flow:
    """The same map from a normal density on a Euclidean space, where a flow of fields was built on an array alone."""
    return Flow(IsotropicNormal.of_width(space), flow.bijection) if isinstance(space, EuclideanSpace) else flow


def _links(space: AbstractFieldSpace) -> GaugeSpace:
    if not isinstance(space, GaugeSpace):
        raise ConfigError([f"flow.kind: built for links; this theory has {type(space).__name__}"])
    return space
