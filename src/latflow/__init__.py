"""latflow: exact ensembles of lattice-field configurations from machine-learned flows, HMC and local updates."""

__version__ = "0.1.0"
