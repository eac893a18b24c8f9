"""Plain averages of long runs of cluster updates: what averages of draws are compared with."""

import jax
import jax.numpy as jnp
import numpy as np

import latflow as lf

CHAINS, WARMUP, THIN = 64, 300, 4


def long_run(action, columns, *, runs, records):
    """Means over chains of three sweeps and one Wolff cluster, four of them between records.

    Args:
        action: Of a scalar field.
        columns: From fields, shape (record, *lattice), to numbers, shape (record, observables).
        runs: Of 64 chains each.
        records: Of every chain.

    Returns:
        Averages and their errors, from the scatter of chains.
    """
    kernel, means = lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1), []
    for seed in range(runs):
        key = jax.random.key(1000 + seed)
        x = lf.run_chain(key, kernel, n=records, chains=CHAINS, warmup=WARMUP, thin=THIN)
        found = columns(np.asarray(x).reshape(-1, *action.space.shape))
        means.append(found.reshape(records, CHAINS, -1).mean(axis=0))
    every = np.concatenate(means)
    return every.mean(axis=0), every.std(axis=0, ddof=1) / np.sqrt(len(every))
