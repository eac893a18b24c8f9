"""Room: samplers."""
