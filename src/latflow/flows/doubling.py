r"""Flows of links from coarse to fine lattices, which start as the heat bath of blocks.

In two dimensions, integrating over the links inside a block of n plaquettes leaves a density of the loop around it,
which is the convolution of n weights of a plaquette. Every level starts with a fit to it.
"""

import equinox as eqx
import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.arguments import count, number, require_type
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.splits.u1 import U1Split
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.base import AbstractGroup
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.randomness import require_key

LARGEST_BETA = 100.0
"""Of the start of a doubling flow; plaquettes at larger couplings are narrower than bins of its splines can be."""


def doubling_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    beta: float,
    *,
    n_levels: int | None = None,
    n_bins: int = 32,
    n_terms: int = 8,
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links of a coarse lattice in two dimensions, and new links level by level: a doubling flow of U(1).

    It commutes with gauge transformations and draws full link fields, with Polyakov loops and topological charge.
    Extents that are powers of two are halved down to one site, odd factors stay in the coarsest lattice. Links of the
    coarsest lattice keep their Haar density, which is exact there for a single site only.

    Args:
        key: Not used by U(1), whose flow starts without randomness; builders of flows take one.
        lattice: Two directions, periodic.
        group: U(1).
        beta: Coupling of Wilson's action whose heat bath of blocks is the start; from 0 to 100.
        n_levels: How often the volume is halved; by default until no even extent is left.
        n_bins: Bins of the splines.
        n_terms: Coefficients of the energy of blocks, see `latflow.bijections.splits.u1`.
        dtype: Precision of weights, and of the densities that splines are made of.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If lattice, group or a number is not allowed.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    require_type("group", group, AbstractGroup, "U1()")
    number("beta", beta)
    if not 0 <= beta <= LARGEST_BETA:
        raise ConfigError([f"beta: {beta}; allowed: from 0 to {LARGEST_BETA:g}"])
    if not isinstance(group, U1):
        raise ConfigError([f"group: {group}; allowed: U(1) for a doubling flow"])
    n = len(halvings(lattice)) if n_levels is None else count("n_levels", n_levels)
    hierarchy = Hierarchy(lattice, n)
    splits = U1Split(jnp.zeros((n, count("n_terms", n_terms)), dtype), n_bins).heat_bath(beta)
    return Flow(HaarPrior(GaugeSpace(lattice, group)), Doubling(splits, group, hierarchy))


def at_heat_bath(flow: Flow, beta: float) -> Flow:
    """A doubling flow with other weights: those of the start at a coupling.

    Args:
        flow: A doubling flow.
        beta: Coupling of the plaquettes.
    """
    doubling = flow.bijection
    if not isinstance(doubling, Doubling):
        raise TypeError(f"flow: {flow}; allowed: a doubling flow")
    started = eqx.tree_at(lambda bijection: bijection.splits, doubling, doubling.splits.heat_bath(beta))
    return Flow(flow.prior, started)
