"""Splits of a coarse plaquette into two halves, one module per kind of group: the moving parts of `Doubling`."""
