r"""Flows of links from coarse to fine lattices, which start as the heat bath of blocks.

Integrating over the links inside a block of n plaquettes leaves a density of the loop around it. In two dimensions its
average is the n-th power of that of one plaquette, $A(\beta)=I_1(\beta)/I_0(\beta)$ for U(1). Every level starts with
blocks of Wilson's action at the coupling κ with $A(\kappa_n)=A(\beta)^n$; those of SU(2) are closer, a
fit to the character expansion. One entry of `_SPLITS` per group.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import root_scalar
from scipy.special import ive

from latflow._typing import PRNGKey
from latflow.actions.exact_gauge import sun_plaquette
from latflow.arguments import count, number, require_type
from latflow.bijections.doubling import Doubling, stacked
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.splits.base import AbstractSplit
from latflow.bijections.splits.su2 import SU2Split, block_energy
from latflow.bijections.splits.su3 import SU3Split
from latflow.bijections.splits.u1 import U1Split
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import require_key

_STRONG = 1e-4
"""Averages below which κ is proportional to A, to their square."""

_WEAK = 1e-9
"""Couplings of blocks of SU(2) below which powers of the trace beyond the first are left out."""


class _Block(NamedTuple):
    """A half plaquette of one level: its coupling, and the plaquettes of coupling β that it is made of."""

    kappa: float
    beta: float
    n_plaquettes: int


class _Gauge(NamedTuple):
    """What a group needs: its average plaquette at a coupling, κ/A at strong coupling, default bins, and its split."""

    average: Callable[[float], float]
    strong: float
    n_bins: int
    split: Callable[..., AbstractSplit]


def _u1(key: PRNGKey, block: _Block, n_bins: int, hidden: tuple[int, ...], dtype: str | jnp.dtype) -> AbstractSplit:
    return U1Split.untrained(key, kappa=block.kappa, n_bins=n_bins, hidden=hidden, dtype=dtype)


def _su2(key: PRNGKey, block: _Block, n_bins: int, hidden: tuple[int, ...], dtype: str | jnp.dtype) -> AbstractSplit:
    del key, hidden, dtype
    if block.kappa < _WEAK:
        return SU2Split.untrained(kappa=block.kappa, higher=(0.0,) * 4, n_bins=n_bins)
    first, *higher = block_energy(block.beta, n_plaquettes=block.n_plaquettes)
    return SU2Split.untrained(kappa=first, higher=[c / first for c in higher], n_bins=n_bins)


def _su3(key: PRNGKey, block: _Block, n_bins: int, hidden: tuple[int, ...], dtype: str | jnp.dtype) -> AbstractSplit:
    return SU3Split.untrained(key, kappa=block.kappa, n_bins=n_bins, hidden=hidden, dtype=dtype)


_SPLITS = {
    "U(1)": _Gauge(lambda beta: float(ive(1, beta) / ive(0, beta)), 2.0, 20, _u1),
    "SU(2)": _Gauge(lambda beta: sun_plaquette(2, beta), 4.0, 12, _su2),
    "SU(3)": _Gauge(lambda beta: sun_plaquette(3, beta), 18.0, 8, _su3),
}


def doubling_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    beta: float,
    *,
    n_levels: int | None = None,
    n_bins: int | None = None,
    hidden: tuple[int, ...] = (24, 24),
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """Haar links of a coarse lattice in two dimensions, and new links level by level: a doubling flow.

    It commutes with gauge transformations and draws full link fields, with Polyakov loops and topological charge.
    Extents that are powers of two are halved down to one site, odd factors stay in the coarsest lattice. Links of the
    coarsest lattice keep their Haar density, which is exact there for a single site only.

    Args:
        key: Randomness of the networks.
        lattice: Two directions, periodic.
        group: U(1), SU(2) or SU(3).
        beta: Coupling of Wilson's action whose heat bath of blocks is the start; at least 0.
        n_levels: How often the volume is halved; by default until no even extent is left.
        n_bins: Bins of the splines; by default 20 for U(1), 12 for SU(2), 8 for SU(3).
        hidden: Units of the networks of every level; SU(2) has none.
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
    if group.name not in _SPLITS:
        raise ConfigError([f"group: {group}; allowed: {', '.join(_SPLITS)} for a doubling flow"])
    gauge = _SPLITS[group.name]
    n = len(halvings(lattice)) if n_levels is None else count("n_levels", n_levels)
    hierarchy = Hierarchy(lattice, n)
    splits = [
        gauge.split(
            jax.random.fold_in(key, i),
            _Block(float(kappa), beta, 2 ** (n - 1 - i)),
            gauge.n_bins if n_bins is None else n_bins,
            hidden,
            dtype,
        )
        for i, kappa in enumerate(block_couplings(beta, hierarchy, group))
    ]
    return Flow(HaarPrior(GaugeSpace(lattice, group)), Doubling(stacked(splits), group, hierarchy))


def block_couplings(beta: float, hierarchy: Hierarchy, group: AbstractGroup) -> Float[np.ndarray, " levels"]:
    """Couplings κ of the half plaquettes of every level, the coarsest first.

    Args:
        beta: Coupling of the fine plaquettes.
        hierarchy: The levels; a half plaquette of the finest one is a single fine plaquette.
        group: U(1), SU(2) or SU(3).
    """
    gauge = _SPLITS[group.name]
    sizes = 2 ** np.arange(hierarchy.n_levels)[::-1]
    average = gauge.average(beta) if beta > 0 else 0.0
    return np.asarray([_coupling(gauge, average ** int(n), beta) for n in sizes])


def _coupling(gauge: _Gauge, average: float, beta: float) -> float:
    """The κ with which the average plaquette is a given one."""
    if average < _STRONG:
        return gauge.strong * average
    return float(root_scalar(lambda kappa: gauge.average(kappa) - average, bracket=(1e-6, 2 * beta + 1)).root)
