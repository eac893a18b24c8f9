"""Gauge theories: Wilson's action and improved ones, U(1) and SU(N)."""
