"""Energies of a point in the plane and of particles: targets of Boltzmann generators."""
