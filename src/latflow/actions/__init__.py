"""Euclidean lattice actions and their forces: φ⁴, free field, Wilson and improved gauge actions; exact results."""
