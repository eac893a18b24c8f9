"""Named flows of gauge fields, ready to train."""

from latflow._typing import PRNGKey
from latflow.arguments import count, require_type
from latflow.bijections.compose import Chain
from latflow.bijections.gauge import PERIOD, PlaquetteCoupling
from latflow.distributions import HaarPrior
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.randomness import require_key


def u1_plaquette_flow(key: PRNGKey, lattice: Lattice, *, n_layers: int = 16) -> Flow:
    """Haar links of U(1) in two dimensions and gauge-equivariant couplings of their plaquettes.

    The active lines of successive couplings walk through the lattice, four in one direction, then four in the other:
    eight couplings move every link once. It starts as the identity, and has eight weights per coupling.

    Args:
        key: Not used, for weights start at zero; builders of flows take one.
        lattice: Two directions; extents that are multiples of 4.
        n_layers: Couplings.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the lattice is another one.

    References:
        arXiv:2003.06413, section III.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    n = count("n_layers", n_layers)
    layers = [PlaquetteCoupling.untrained(lattice, mu=i // PERIOD % 2, offset=-i % PERIOD) for i in range(n)]
    return Flow(HaarPrior(GaugeSpace(lattice, U1())), Chain(tuple(layers)))
