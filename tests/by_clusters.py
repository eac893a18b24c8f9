"""Averages of φ⁴ by cluster updates, which know nothing of flows, Sobol points or Hermite variates, to compare with."""

import jax
import jax.numpy as jnp

import latflow as lf

NAMES = ("susceptibility", "pole_mass", "ising_energy", "phi_squared")


def by_clusters(action: lf.PhiFour, *, seed: int, n: int) -> lf.Reduced:
    """Chains of cluster updates, corrected by learned Stein fields, which know the action alone.

    Args:
        action: The theory.
        seed: Of chains and training.
        n: Records of each of 64 chains, every fourth update; 32 others train the fields.
    """
    kernel = lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1)
    key, settings = jax.random.key(seed), {"warmup": 300, "thin": 4}
    other = lf.run_chain(jax.random.fold_in(key, 1), kernel, n=200, chains=32, **settings)
    fields = lf.reduce(action, other, training=lf.SteinTraining(steps=300)).fields
    chains = lf.run_chain(jax.random.fold_in(key, 2), kernel, n=n, chains=64, **settings)
    return lf.reduce(action, chains, velocities=fields)
