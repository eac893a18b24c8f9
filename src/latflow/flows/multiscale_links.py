r"""Multiscale flows of links: a coarse lattice, doubled direction by direction, in two or more dimensions.

New links start as the heat bath about the staples that are known when they are drawn. A plaquette between links of a
coarse lattice stands for a block of n plaquettes, and starts with the coupling $\kappa_n$ at which one plaquette has
the n-th power of the average at β: right in two dimensions, to leading order of strong coupling in others.
"""

from collections.abc import Sequence
from typing import TypeAlias

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from scipy.optimize import root_scalar
from scipy.special import i0e, i1e

from latflow._typing import PRNGKey, Scalar
from latflow.actions.exact_gauge import sun_plaquette
from latflow.arguments import count, number, require_type
from latflow.bijections.class_maps.base import AbstractClassMap
from latflow.bijections.compose import Chain
from latflow.bijections.link_layers import LinkLayers
from latflow.bijections.loop_network import LoopNetwork
from latflow.bijections.multiscale_links import KnownCoupling, MultiscaleLinks, n_known_features
from latflow.bijections.new_links import NewLinks, fillings
from latflow.bijections.stripes import AbstractActiveLinks, schedule
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.flows.link_layers import SPECTRA
from latflow.flows.link_tables import LARGEST_BETA
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import require_key

_LEADING = {"U(1)": 1.0, "SU(2)": 1.0, "SU(3)": 1 / 3}
"""First even parameter of the class map at the heat bath of β = 1 and a staple of length one."""


def multiscale_link_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    beta: float | Scalar,
    *,
    n_doublings: int = 1,
    n_coarse: int = 8,
    n_fine: int = 8,
    reach: int = 0,
    width: int = 16,
    n_bins: int = 12,
    n_terms: int = 3,
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links of a coarse lattice, moved by couplings, and new links doubling by doubling.

    It commutes with gauge transformations, charge conjugation, and translations by two sites of the coarsest lattice.

    Args:
        key: Randomness of the networks.
        lattice: Two or more directions.
        group: U(1), SU(2) or SU(3).
        beta: Coupling of Wilson's action whose heat bath new links start as, from 0 to 30; it is read when the flow is
            built, and cannot be traced.
        n_doublings: How often every direction is doubled; the extents of the coarsest lattice must be even.
        n_coarse: Couplings on the coarsest lattice, which start as the identity.
        n_fine: The same on every lattice whose directions were all doubled equally often; twice as many as there are
            directions move every link once.
        reach: Largest displacement, in any direction, of the loops that a network reads, at most half an extent of
            the coarsest lattice. At 0 only loops beside the link, and pairs of its staples.
        width: Hidden units of the networks.
        n_bins: Bins of the splines, at least 2.
        n_terms: Harmonics of the densities the splines are made of.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If an extent cannot be halved so often, or group or a number is not allowed.

    References:
        arXiv:2404.10819.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    require_type("group", group, AbstractGroup, "U1()")
    if group.name not in SPECTRA:
        raise ConfigError([f"group: {group}; allowed: {', '.join(SPECTRA)} for multiscale flows of links"])
    beta = _coupling(beta)
    shape = _coarsest(lattice, count("flow.doublings", n_doublings))
    if count("flow.reach", reach, least=0) > min(shape) // 2:
        raise ConfigError([f"flow.reach: {reach}; allowed: at most {min(shape) // 2}, half an extent of {list(shape)}"])
    class_map = SPECTRA[group.name](count("flow.bins", n_bins, least=2), count("flow.terms", n_terms))
    width = count("flow.width", width)
    n_coarse, n_fine = count("flow.coarse_layers", n_coarse, least=0), count("flow.fine_layers", n_fine, least=0)
    stages: list[_Stage] = [_stripes(Lattice(tuple(shape)), n_coarse)]
    for mu in (directions := tuple(range(lattice.ndim)) * n_doublings):
        shape[mu] *= 2
        finer = Lattice(tuple(shape))
        stages.append(fillings(finer, mu))
        stages.append(_stripes(finer, n_fine if mu == lattice.ndim - 1 else 0))
    sizes = {"class_map": class_map, "reach": reach, "width": width, "dtype": jnp.dtype(dtype)}
    built = _built(key, group, stages, **sizes)
    coarsest, *refinements = (each or Chain(()) for each in built[::2])
    filled = tuple(each for each in built[1::2] if each)
    links = MultiscaleLinks(coarsest, filled, tuple(refinements), group, directions)
    return at_known_heat_bath(Flow(HaarPrior(GaugeSpace(lattice, group)), links), beta)


def at_known_heat_bath(flow: Flow, beta: float) -> Flow:
    """A multiscale flow of links whose new links are those of the heat bath at β; other layers stay as they are.

    Args:
        flow: A multiscale flow of links.
        beta: Coupling of Wilson's action.
    """
    links = flow.bijection
    if not isinstance(links, MultiscaleLinks):
        raise TypeError(f"flow: {flow}; allowed: a multiscale flow of links")
    fine = links.fillings[-1].stripes[0].lattice.shape
    started = tuple(_started(each, fine, _coupling(beta)) for each in links.fillings)
    return Flow(flow.prior, eqx.tree_at(lambda bijection: bijection.fillings, links, started))


def blocked_coupling(group: AbstractGroup, beta: float, area: int) -> float:
    """The coupling at which one plaquette has the average of a loop around `area` plaquettes in two dimensions at β.

    Args:
        group: U(1), SU(2) or SU(3).
        beta: Coupling of the plaquettes.
        area: Plaquettes of the block.

    >>> from latflow.groups import named
    >>> round(blocked_coupling(named("U(1)"), 2.0, 1), 10)
    2.0
    """
    wanted = _average(group, beta) ** area
    if not beta:
        return 0.0
    return float(root_scalar(lambda kappa: _average(group, kappa) - wanted, bracket=(0.0, beta + 1)).root)


def _average(group: AbstractGroup, kappa: float) -> float:
    return float(i1e(kappa) / i0e(kappa)) if group.name == "U(1)" else sun_plaquette(group.n, kappa)


_Stage: TypeAlias = tuple[AbstractActiveLinks, ...]


def _stripes(lattice: Lattice, n_layers: int) -> _Stage:
    return schedule(lattice, n_layers=n_layers, period=2)


def _built(
    key: PRNGKey,
    group: AbstractGroup,
    stages: Sequence[_Stage],
    *,
    class_map: AbstractClassMap,
    reach: int,
    width: int,
    dtype: jnp.dtype,
) -> list[LinkLayers | None]:
    """The layers of all stages, None of those that have none, with weights of one draw, for that is compiled once."""
    known = [[_known(links, reach) for links in stage] for stage in stages]
    n_staples = 2 * (stages[1][0].lattice.ndim - 1)
    most = max(len(loops) for layers in known for _, loops in layers)
    networks = LoopNetwork.untrained(
        key,
        n_layers=sum(map(len, stages)),
        n_in=n_known_features(most, n_staples),
        width=width,
        n_out=(class_map.n_even, class_map.n_odd),
        dtype=dtype,
    )
    found: list[LinkLayers | None] = []
    first = 0
    for stage, layers in zip(stages, known, strict=True):
        part = slice(first, first + len(stage))
        first = part.stop
        if not stage:
            found.append(None)
            continue
        staples, loops = (jnp.asarray(np.stack(masks)) for masks in zip(*layers, strict=True))
        n_even, n_odd = n_known_features(loops.shape[1], n_staples)
        network = _part(networks, part, n_even, n_odd)
        weights = jnp.ones(staples.shape, dtype) / n_staples
        found.append(LinkLayers(KnownCoupling(class_map, network, weights, staples, loops), group, stage, reach))
    return found


def _part(networks: LoopNetwork, part: slice, n_even: int, n_odd: int) -> LoopNetwork:
    """Some of the networks, which read the first of the features only."""
    some = jax.tree.map(lambda leaf: leaf[part], networks)
    first = some.even[..., :n_even], some.odd[..., :n_odd]
    return eqx.tree_at(lambda network: (network.even, network.odd), some, first)


def _known(links: AbstractActiveLinks, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Staples and loops that are known: all of them but for new links."""
    if isinstance(links, NewLinks):
        return links.known_staples(), links.known_loops(reach)
    return np.ones(2 * len(links.others), bool), np.ones(len(links.read(reach)), bool)


def _started(layers: LinkLayers, fine: tuple[int, ...], beta: float) -> LinkLayers:
    coupling, group = layers.layers, layers.group
    if not isinstance(coupling, KnownCoupling):
        raise TypeError(f"layers: {coupling}; allowed: couplings of known staples")
    shape = layers.stripes[0].lattice.shape
    spacing = [whole // extent for whole, extent in zip(fine, shape, strict=True)]
    kappa = {area: blocked_coupling(group, beta, area) for area in _areas(layers, spacing)}
    table = [[kappa[spacing[each.mu] * spacing[rho]] for rho in each.others for _ in (0, 1)] for each in layers.stripes]
    largest = np.asarray([max(row) for row in table])
    weights = np.asarray(table) / largest[:, None] if beta else np.ones((len(table), len(table[0])))
    bias = np.zeros(coupling.network.last_bias.shape)
    bias[:, 0] = _LEADING[group.name] * largest
    started = eqx.tree_at(
        lambda known: (known.weights, known.network.last_bias),
        coupling,
        (jnp.asarray(weights, coupling.weights.dtype), jnp.asarray(bias, coupling.network.last_bias.dtype)),
    )
    return LinkLayers(started, group, layers.stripes, layers.reach)


def _areas(layers: LinkLayers, spacing: list[int]) -> set[int]:
    return {spacing[each.mu] * spacing[rho] for each in layers.stripes for rho in each.others}


def _coupling(beta: float | Scalar) -> float:
    number("beta", beta)
    if isinstance(beta, jax.core.Tracer):
        raise ConfigError(["beta: traced; allowed: a number that is known when the flow is built"])
    if not 0 <= beta <= LARGEST_BETA:
        raise ConfigError([f"beta: {beta}; allowed: from 0 to {LARGEST_BETA:g}"])
    return float(beta)


def _coarsest(lattice: Lattice, n_doublings: int) -> list[int]:
    least, shape = 2 ** (n_doublings + 1), list(lattice.shape)
    if lattice.ndim < 2:
        raise ConfigError([f"lattice.shape: {shape}; allowed: two or more directions for flows of links"])
    if any(extent % least for extent in shape):
        why = f"multiples of {least}, to be halved {n_doublings} times to even extents"
        raise ConfigError([f"lattice.shape: {shape}; allowed: {why}"])
    return [extent // 2**n_doublings for extent in shape]
