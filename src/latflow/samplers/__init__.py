"""Markov kernels (HMC, heat bath, Metropolis, Wolff clusters), independence Metropolis over draws, and chain runs."""
