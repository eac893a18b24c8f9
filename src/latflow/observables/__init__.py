"""Room: observables."""
