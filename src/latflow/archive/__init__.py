"""Finished and unfinished runs, read back: directories, ensembles as arrays, tables of many runs. Without JAX."""
