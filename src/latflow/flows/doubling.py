r"""Flows of links from coarse to fine lattices, which start as the heat bath of blocks.

Integrating over the links inside a block of n plaquettes leaves a density of the loop around it. In two dimensions its
average is the n-th power of that of one plaquette, $A(\beta)=I_1(\beta)/I_0(\beta)$ for U(1). Every level starts with
blocks of Wilson's action at the coupling κ with $A(\kappa_n)=A(\beta)^n$.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import ive

from latflow._typing import PRNGKey
from latflow.arguments import count, number, require_type
from latflow.bijections.doubling import Doubling, stacked
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

_STRONG = 1e-4
"""Averages below which κ = 2A, to their square."""


def doubling_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    beta: float,
    *,
    n_levels: int | None = None,
    n_bins: int = 20,
    hidden: tuple[int, ...] = (24, 24),
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links of a coarse lattice in two dimensions, and new links level by level: a doubling flow of U(1).

    It commutes with gauge transformations and draws full link fields, with Polyakov loops and topological charge.
    Extents that are powers of two are halved down to one site, odd factors stay in the coarsest lattice. Links of the
    coarsest lattice keep their Haar density, which is exact there for a single site only.

    Args:
        key: Randomness of the networks.
        lattice: Two directions, periodic.
        group: U(1).
        beta: Coupling of Wilson's action whose heat bath of blocks is the start; at least 0.
        n_levels: How often the volume is halved; by default until no even extent is left.
        n_bins: Bins of the splines.
        hidden: Units of the network of every level.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If lattice, group or a number is not allowed.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    require_type("group", group, AbstractGroup, "U1()")
    number("beta", beta)
    if not 0 <= beta < np.inf:
        raise ConfigError([f"beta: {beta}; allowed: a number ≥ 0"])
    if not isinstance(group, U1):
        raise ConfigError([f"group: {group}; allowed: U(1) for a doubling flow"])
    n = len(halvings(lattice)) if n_levels is None else count("n_levels", n_levels)
    hierarchy = Hierarchy(lattice, n)
    splits = [
        U1Split.untrained(jax.random.fold_in(key, i), kappa=float(kappa), n_bins=n_bins, hidden=hidden, dtype=dtype)
        for i, kappa in enumerate(block_couplings(beta, hierarchy))
    ]
    return Flow(HaarPrior(GaugeSpace(lattice, group)), Doubling(stacked(splits), group, hierarchy))


def block_couplings(beta: float, hierarchy: Hierarchy) -> Float[np.ndarray, " levels"]:
    """Couplings κ of the half plaquettes of every level of U(1), the coarsest first.

    Args:
        beta: Coupling of the fine plaquettes.
        hierarchy: The levels; a half plaquette of the finest one is a single fine plaquette.
    """
    sizes = 2 ** np.arange(hierarchy.n_levels)[::-1]
    return np.asarray([_coupling((ive(1, beta) / ive(0, beta)) ** int(n), beta) for n in sizes])


def _coupling(average: float, beta: float) -> float:
    """The κ with which the average plaquette is a given one."""
    if average < _STRONG:
        return 2 * average
    return float(brentq(lambda kappa: ive(1, kappa) / ive(0, kappa) - average, 0.0, 2 * beta))
