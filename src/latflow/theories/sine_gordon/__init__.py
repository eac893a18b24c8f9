"""Sine-Gordon theory: a scalar field in a periodic potential."""
