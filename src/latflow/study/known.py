"""Known values beside which a study's estimates are printed.

Three kinds, never mixed up: *exact* closed forms, *independent Monte Carlo* results obtained with codes that share
nothing with this one, and *published* values with their paper. The Monte Carlo tables were made with the house
normalisation of docs/conventions.md.
"""

import math

import numpy as np

from latflow.actions import exact
from latflow.lattice import Lattice
from latflow.study.config import StudyConfig
from latflow.study.known_gauge import gauge_values
from latflow.study.known_value import MC, Known

PAPER = "arXiv:1904.12072"

_PHI4 = {
    ((6, 6), -4.0, 6.975): {
        "susceptibility": Known(1.0641, 0.0011, MC),
        "abs_susceptibility": Known(0.3428, 0.0003, MC),
        "abs_magnetization": Known(0.14155, 0.00008, MC),
        "phi_squared": Known(0.16137, 0.00003, MC),
        "ising_energy": Known(0.05835, 0.00003, MC),
        "pole_mass_times_length": Known(3.96, 0.03, PAPER),
        "log_z": Known(6.9826, 0.0019, MC),
    },
    ((8, 8), -4.0, 6.008): {
        "susceptibility": Known(1.9000, 0.0022, MC),
        "abs_susceptibility": Known(0.6022, 0.0007, MC),
        "abs_magnetization": Known(0.14240, 0.00009, MC),
        "phi_squared": Known(0.18391, 0.00003, MC),
        "ising_energy": Known(0.07563, 0.00003, MC),
        "pole_mass_times_length": Known(3.97, 0.05, PAPER),
        "log_z": Known(15.9881, 0.0032, MC),
    },
    ((10, 10), -4.0, 5.550): {"pole_mass_times_length": Known(4.00, 0.04, PAPER)},
    ((12, 12), -4.0, 5.276): {"pole_mass_times_length": Known(3.96, 0.05, PAPER)},
    ((14, 14), -4.0, 5.113): {"pole_mass_times_length": Known(4.03, 0.06, PAPER)},
}


def known_values(config: StudyConfig) -> dict[str, Known]:
    """Reference values of a study's observables, by observable name; empty where nothing is known."""
    return _with_free_energy(_known_values(config), math.prod(config.lattice.shape))


def _known_values(config: StudyConfig) -> dict[str, Known]:
    shape, action = tuple(config.lattice.shape), config.action
    if action.kind == "wilson":
        return gauge_values(shape, action)
    if action.kind == "improved":
        return {}
    if action.kind == "free":
        return _free_field(Lattice(shape), action.mass_squared)
    couplings = action.house(len(shape))
    if shape == (2, 2):
        return _ring(exact.phi_four_2x2(mass_squared=couplings[0], coupling=couplings[1]))
    if len(shape) == 1 and shape[0] > 1:
        return _ring(exact.phi_four_chain(shape[0], mass_squared=couplings[0], coupling=couplings[1]))
    for (table_shape, mass_squared, coupling), values in _PHI4.items():
        if shape == table_shape and np.allclose(couplings, (mass_squared, coupling), rtol=1e-12, atol=0):
            return values
    return {}


def _with_free_energy(known: dict[str, Known], volume: int) -> dict[str, Known]:
    """Beside log Z also −ln Z / V."""
    if "log_z" not in known:
        return known
    log_z = known["log_z"]
    return {**known, "free_energy_density": Known(-log_z.value / volume, log_z.error / volume, log_z.source)}


def known_log_z(config: StudyConfig) -> float | None:
    """Log Z where it is known, else None."""
    known = known_values(config).get("log_z")
    return None if known is None else known.value


def _free_field(lattice: Lattice, mass_squared: float) -> dict[str, Known]:
    mass = exact.free_pole_mass(mass_squared=mass_squared)
    values = {
        "susceptibility": exact.free_susceptibility(mass_squared=mass_squared),
        "phi_squared": exact.free_phi_squared(lattice, mass_squared=mass_squared),
        "pole_mass_times_length": mass * lattice.shape[-1],
        "log_z": exact.free_log_z(lattice, mass_squared=mass_squared),
    }
    return {name: Known(value, 0.0, "exact") for name, value in values.items()}


def _ring(moments: exact.RingMoments) -> dict[str, Known]:
    values = {
        "susceptibility": moments.susceptibility,
        "phi_squared": moments.phi_squared,
        "ising_energy": moments.neighbour,
        "log_z": moments.log_z,
    }
    return {name: Known(value, 0.0, "exact") for name, value in values.items()}
