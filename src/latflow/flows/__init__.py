"""Flows: named architectures, flows conditional on a coupling, mixtures, and transfer to other lattices."""
