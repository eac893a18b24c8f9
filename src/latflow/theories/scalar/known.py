"""Exact values of scalar theories by the names of their estimates."""

from latflow.actions import exact
from latflow.lattice import Lattice
from latflow.theories.known_value import Known, exactly


def free_values(shape: tuple[int, ...], *, mass_squared: float) -> dict[str, Known]:
    """The free field on any lattice."""
    lattice = Lattice(shape)
    return exactly(
        {
            "susceptibility": exact.free_susceptibility(mass_squared=mass_squared),
            "phi_squared": exact.free_phi_squared(lattice, mass_squared=mass_squared),
            "pole_mass_times_length": exact.free_pole_mass(mass_squared=mass_squared) * lattice.shape[-1],
            "log_z": exact.free_log_z(lattice, mass_squared=mass_squared),
        }
    )


def ring_values(moments: exact.RingMoments) -> dict[str, Known]:
    """A ring of sites, solved by its transfer matrix."""
    return exactly(
        {
            "susceptibility": moments.susceptibility,
            "phi_squared": moments.phi_squared,
            "ising_energy": moments.neighbour,
            "log_z": moments.log_z,
        }
    )
