r"""Flows of links from coarse to fine lattices, which start as the heat bath of blocks.

In two dimensions, integrating over the links inside a block of n plaquettes leaves a density of the loop around it,
which is the convolution of n weights of a plaquette. Every level starts with a fit to it, for SU(3) and SU(4) of
networks beside the heat bath of Wilson blocks, see `latflow.flows.sun_start`. One entry of `_SPLITS` per group.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax.core
import jax.numpy as jnp

from latflow._typing import PRNGKey, Scalar
from latflow.arguments import count, number, require_type
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.splits.base import AbstractSplit
from latflow.bijections.splits.su2 import SU2Split
from latflow.bijections.splits.su3 import SU3Split
from latflow.bijections.splits.sun import SUNSplit
from latflow.bijections.splits.u1 import U1Split
from latflow.distributions import AbstractDistribution, HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.flows.link_tables import MOST_TERMS, largest_beta
from latflow.flows.sun_start import fitted
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import require_key

_Sizes: TypeAlias = tuple[int, int, int]
"""Levels, bins and terms."""


_DTYPES = ("float32", "float64", jnp.dtype("float32"), jnp.dtype("float64"))


def _u1(key: PRNGKey, sizes: _Sizes, dtype: str | jnp.dtype) -> AbstractSplit:
    del key
    n_levels, n_bins, n_terms = sizes
    return U1Split(jnp.zeros((n_levels, n_terms), dtype), n_bins)


def _su2(key: PRNGKey, sizes: _Sizes, dtype: str | jnp.dtype) -> AbstractSplit:
    del key
    n_levels, n_bins, n_terms = sizes
    return SU2Split(jnp.zeros((n_levels, n_terms), dtype), n_bins)


def _su3(key: PRNGKey, sizes: _Sizes, dtype: str | jnp.dtype) -> AbstractSplit:
    n_levels, n_bins, n_terms = sizes
    return SU3Split.untrained(key, n_levels=n_levels, n_bins=n_bins, n_terms=n_terms, dtype=dtype)


def _su4(key: PRNGKey, sizes: _Sizes, dtype: str | jnp.dtype) -> AbstractSplit:
    n_levels, n_bins, n_terms = sizes
    return SUNSplit.untrained(key, n=4, n_levels=n_levels, n_bins=n_bins, n_terms=n_terms, dtype=dtype)


def _unchanged(splits: AbstractSplit, beta: float) -> AbstractSplit:
    del beta
    return splits


class _Kind(NamedTuple):
    """How the splits of a group are made, and what follows their heat bath at the start of a flow."""

    untrained: Callable[[PRNGKey, _Sizes, str | jnp.dtype], AbstractSplit]
    fitted: Callable[[Any, float], AbstractSplit] = _unchanged


_SPLITS = {
    "U(1)": _Kind(_u1),
    "SU(2)": _Kind(_su2),
    "SU(3)": _Kind(_su3, fitted),
    "SU(4)": _Kind(_su4, fitted),
}


def doubling_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    beta: float | Scalar,
    *,
    n_levels: int | None = None,
    n_bins: int = 32,
    n_terms: int = 8,
    dtype: str | jnp.dtype = "float32",
    open_boundaries: bool = False,
) -> Flow:
    """Haar links of a coarse lattice in two dimensions, and new links level by level: a doubling flow.

    It commutes with gauge transformations and draws full link fields, with Polyakov loops and topological charge.
    Extents that are powers of two are halved down to one site, odd factors stay in the coarsest lattice. Links of the
    coarsest lattice keep their Haar density, which is exact there for a single site only.

    Args:
        key: Randomness of the networks of SU(3) and SU(4); the flows of other groups start without any.
        lattice: Two directions of two or more sites.
        group: U(1), SU(2), SU(3) or SU(4).
        beta: Coupling of Wilson's action whose heat bath of blocks is the start; from 0 to K²/10 with K bins, at most
            30. It is read when the flow is built, and cannot be traced.
        n_levels: How often the volume is halved; by default until no even extent is left.
        n_bins: Bins of the splines.
        n_terms: Coefficients of the energy of blocks; for SU(3) and SU(4) of the series of every coordinate. See
            `latflow.bijections.splits`.
        dtype: Precision of weights, and of the densities that splines are made of.
        open_boundaries: For `WilsonAction` with open boundaries in both directions; U(1) and SU(2) only. Plaquettes are
            independent there, so that the start is exact but for splines. By default the lattice is periodic.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If lattice, group or a number is not allowed.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    require_type("group", group, AbstractGroup, "U1()")
    if group.name not in _SPLITS:
        raise ConfigError([f"group: {group}; allowed: {', '.join(_SPLITS)} for a doubling flow"])
    if dtype not in _DTYPES:
        raise ConfigError([f"dtype: {dtype}; allowed: float32 or float64"])
    require_type("open_boundaries", open_boundaries, bool, "True or False")
    if open_boundaries and group.name not in _ALONE:
        allowed = f"{' or '.join(_ALONE)} for a doubling flow with open boundaries"
        raise ConfigError([f"group: {group}; allowed: {allowed}"])
    n_bins, n_terms = count("n_bins", n_bins, least=2), count("n_terms", n_terms)
    if n_terms > MOST_TERMS:
        raise ConfigError([f"n_terms: {n_terms}; allowed: at most {MOST_TERMS}"])
    beta = _coupling(beta, n_bins)
    hierarchy = _hierarchy(lattice, n_levels)
    splits = _SPLITS[group.name].untrained(key, (hierarchy.n_levels, n_bins, n_terms), dtype)
    doubling = Doubling(_started(splits, group, beta), group, hierarchy, open_boundaries)
    return Flow(HaarPrior(GaugeSpace(lattice, group)), doubling)


_ALONE = ("U(1)", "SU(2)")
"""Groups whose splits have halves alone."""


def _started(splits: AbstractSplit, group: AbstractGroup, beta: float) -> AbstractSplit:
    return _SPLITS[group.name].fitted(splits.heat_bath(beta), beta)


def _coupling(beta: float | Scalar, n_bins: int) -> float:
    number("beta", beta)
    if isinstance(beta, jax.core.Tracer):
        raise ConfigError(["beta: traced; allowed: a number that is known when the flow is built"])
    if not 0 <= beta <= largest_beta(n_bins):
        raise ConfigError([f"beta: {beta}; allowed: from 0 to {largest_beta(n_bins):g} with {n_bins} bins"])
    return float(beta)


def _hierarchy(lattice: Lattice, n_levels: int | None) -> Hierarchy:
    shape, most = list(lattice.shape), len(halvings(lattice))
    if min(shape) < 2:
        raise ConfigError([f"lattice.shape: {shape}; allowed: two directions of 2 or more sites for a doubling flow"])
    if not most:
        raise ConfigError([f"lattice.shape: {shape}; allowed: an even extent for a doubling flow"])
    n = most if n_levels is None else count("n_levels", n_levels)
    if n > most:
        raise ConfigError([f"n_levels: {n}; allowed: 1 to {most}, the halvings of {shape}"])
    return Hierarchy(lattice, n)


def at_heat_bath(flow: Flow, beta: float) -> Flow:
    """A doubling flow with other weights: those of the start at a coupling.

    Args:
        flow: A doubling flow.
        beta: Coupling of the plaquettes.
    """
    doubling = flow.bijection
    if not isinstance(doubling, Doubling):
        raise TypeError(f"flow: {flow}; allowed: a doubling flow")
    started = eqx.tree_at(lambda bijection: bijection.splits, doubling, _started(doubling.splits, doubling.group, beta))
    return Flow(flow.prior, started)


def doubled(flow: AbstractDistribution) -> Hierarchy | None:
    """The levels of a doubling flow; None of any other flow."""
    bijection = flow.bijection if isinstance(flow, Flow) else None
    return bijection.hierarchy if isinstance(bijection, Doubling) else None
