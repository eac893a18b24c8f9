"""Bijections: couplings, splines, gauge-equivariant maps, continuous flows, and compositions of them."""
