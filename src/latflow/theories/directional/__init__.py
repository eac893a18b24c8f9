"""Densities of angles and unit vectors with known integrals: targets of flows on tori and spheres."""
