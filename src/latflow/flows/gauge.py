"""Named flows of gauge fields, ready to train."""

from latflow._typing import PRNGKey
from latflow.bijections.compose import Chain
from latflow.bijections.gauge import PERIOD, PlaquetteCoupling
from latflow.distributions import HaarPrior
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.u1 import U1
from latflow.lattice import Lattice


def u1_plaquette_flow(key: PRNGKey, lattice: Lattice, *, n_layers: int = 16) -> Flow:
    """Haar links of U(1) in two dimensions and gauge-equivariant couplings of their plaquettes.

    The active lines of successive couplings walk through the lattice, four in one direction, then four in the other:
    eight couplings move every link once. It starts as the identity, and has eight weights per coupling.

    Args:
        key: Not used, for weights start at zero; builders of flows take one.
        lattice: Two directions; extents that are multiples of 4.
        n_layers: Couplings.

    Raises:
        ConfigError: If the lattice is another one.

    References:
        arXiv:2003.06413, section III.
    """
    layers = [PlaquetteCoupling.untrained(lattice, mu=i // PERIOD % 2, offset=-i % PERIOD) for i in range(n_layers)]
    return Flow(HaarPrior(GaugeSpace(lattice, U1())), Chain(tuple(layers)))
