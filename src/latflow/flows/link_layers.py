"""Flows of links by layers on stripes: couplings of plaquettes, and residual steps along staples."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, require_type
from latflow.bijections.class_maps.base import AbstractClassMap
from latflow.bijections.class_maps.projections import Projections
from latflow.bijections.class_maps.su2 import SU2Spectrum
from latflow.bijections.class_maps.su3 import SU3Spectrum
from latflow.bijections.class_maps.u1 import CircularSpline
from latflow.bijections.link_coupling import ClassCoupling, n_features
from latflow.bijections.link_layers import AbstractLinkLayer, LinkLayers
from latflow.bijections.loop_network import LoopNetwork
from latflow.bijections.stout import StoutLayer
from latflow.bijections.stripes import Stripes, schedule
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.flows.link_tables import TRANSFORMS
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import require_key

SPECTRA: dict[str, Callable[[int, int], AbstractClassMap]] = {
    "U(1)": CircularSpline,
    "SU(2)": SU2Spectrum,
    "SU(3)": SU3Spectrum,
}
_WITH_SUMS = ("U(1)", "SU(2)")
"""Groups whose sums are multiples of elements."""


def require_inverses(flow: object, fields: Inexact[np.ndarray, "n *shape"], log_prob: Float[np.ndarray, " n"]) -> None:
    """Stop where an inverse by iteration has not converged; flows of other kinds, and other faults, pass.

    Args:
        flow: Any flow.
        fields: Configurations at which its density was asked for.
        log_prob: What came; NaN where an inverse has not converged.

    Raises:
        PhysicsStop: Says layer, residual and link of the first of them.
    """
    unknown = np.flatnonzero(np.isnan(log_prob))
    if unknown.size and isinstance(flow, Flow) and isinstance(flow.bijection, LinkLayers):
        flow.bijection.require_inverse(jnp.asarray(fields[unknown[0]]))


def link_coupling_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    *,
    n_layers: int = 16,
    transform: str = "spline",
    centred: bool = True,
    period: int = 2,
    reach: int = 1,
    width: int = 16,
    n_bins: int = 12,
    n_terms: int = 4,
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links and couplings of active plaquettes, in two or more dimensions.

    It commutes with gauge transformations, charge conjugation, and translations by the period of the stripes. It starts
    as the identity, up to the interpolation of the spectra of SU(N).

    Args:
        key: Randomness of the networks.
        lattice: Two or more directions whose extents are multiples of the period.
        group: U(1), SU(2) or SU(3).
        n_layers: Couplings; one for every direction and offset of stripes moves every link once.
        transform: Of the active plaquettes: ``spline`` moves eigenvalues by splines, ``projections``, for U(1), angles
            by mixtures of non-compact projections.
        centred: Whether what is moved is the active link times the direction of a weighted sum of all its staples, in
            place of the active plaquette; U(1) and SU(2) only, others have the plaquette.
        period: Distance of stripes, at least 2.
        reach: Largest displacement, in any direction, of the frozen loops that a network reads; below half the extents.
        width: Hidden units of the networks.
        n_bins: Bins of the splines, at least 2.
        n_terms: Harmonics of the densities the splines are made of, or projections.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If lattice, group or a number is not allowed.

    References:
        arXiv:2003.06413, arXiv:2008.05456; stripes in any dimension arXiv:2305.02402.
    """
    choice("flow.transform", transform, TRANSFORMS)
    stripes = _stripes(key, lattice, group, n_layers=n_layers, period=period, reach=reach)
    if group.name not in SPECTRA:
        raise ConfigError([f"group: {group}; allowed: {', '.join(SPECTRA)} for couplings of links"])
    if transform == "projections" and group.name != "U(1)":
        raise ConfigError([f"flow.transform: projections of {group}; allowed: U(1) only"])
    n_bins, n_terms = count("flow.bins", n_bins, least=2), count("flow.terms", n_terms)
    class_map = Projections(n_terms) if transform == "projections" else SPECTRA[group.name](n_bins, n_terms)
    n_staples = 2 * (lattice.ndim - 1)
    network = LoopNetwork.untrained(
        key,
        n_layers=len(stripes),
        n_in=n_features(stripes[0].read(reach).shape[0], n_staples),
        width=count("flow.width", width),
        n_out=(class_map.n_even, class_map.n_odd),
        dtype=jnp.dtype(dtype),
    )
    weights = jnp.ones((len(stripes), n_staples), jnp.dtype(dtype)) / n_staples
    layers = ClassCoupling(class_map, network, weights if centred and group.name in _WITH_SUMS else None)
    return _flow(lattice, group, stripes, layers, reach)


def stout_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    *,
    n_layers: int = 16,
    period: int = 2,
    reach: int = 1,
    width: int = 16,
    slope_bound: float = 0.6,
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links and residual steps along frozen staples, for any group in two or more dimensions.

    It commutes with what `link_coupling_flow` commutes with, and starts as the identity.

    Args:
        key: Randomness of the networks.
        lattice: Two or more directions whose extents are multiples of the period.
        group: Of the links.
        n_layers: Steps; one for every direction and offset of stripes moves every link once.
        period: Distance of stripes, at least 2.
        reach: Largest displacement, in any direction, of the frozen loops that a network reads; below half the extents.
        width: Hidden units of the networks.
        slope_bound: Bound on how fast a step changes with its link, below 1.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If lattice or a number is not allowed.

    References:
        arXiv:hep-lat/0311018; as layers of a flow arXiv:0907.5491.
    """
    stripes = _stripes(key, lattice, group, n_layers=n_layers, period=period, reach=reach)
    n_staples = 2 * (lattice.ndim - 1)
    n_even, n_odd = n_features(stripes[0].read(reach).shape[0], n_staples)
    network = LoopNetwork.untrained(
        key,
        n_layers=len(stripes),
        n_in=(n_even - 1, n_odd),
        width=count("flow.width", width),
        n_out=(n_staples, 0),
        dtype=jnp.dtype(dtype),
    )
    return _flow(lattice, group, stripes, StoutLayer(network, slope_bound), reach)


def _stripes(
    key: PRNGKey, lattice: Lattice, group: AbstractGroup, *, n_layers: int, period: int, reach: int
) -> tuple[Stripes, ...]:
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    require_type("group", group, AbstractGroup, "U1(), SU(n), or groups.named(text)")
    stripes = schedule(lattice, n_layers=count("flow.layers", n_layers), period=period)
    if min(lattice.shape) < 2:
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: extents of 2 or more, for plaquettes"])
    if 2 * count("flow.reach", reach) > min(lattice.shape):
        most = min(lattice.shape) // 2
        raise ConfigError([f"flow.reach: {reach}; allowed: at most {most} on {list(lattice.shape)}, half an extent"])
    return stripes


def _flow(
    lattice: Lattice, group: AbstractGroup, stripes: tuple[Stripes, ...], layers: AbstractLinkLayer, reach: int
) -> Flow:
    return Flow(HaarPrior(GaugeSpace(lattice, group)), LinkLayers(layers, group, stripes, reach))
