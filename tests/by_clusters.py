"""Averages of φ⁴ by cluster updates, which know nothing of flows, Sobol points or variates, to compare with."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import latflow as lf
from latflow.stats.estimates import Estimate

NAMES = ("susceptibility", "pole_mass", "ising_energy", "phi_squared")


def by_clusters(action: lf.PhiFour, *, seeds: Iterable[int], n: int) -> dict[str, Estimate]:
    """Means over independent runs of 64 chains, n records each.

    Args:
        action: The theory.
        seeds: One of every run.
        n: Records of a chain, every fourth sweep.
    """
    kernel = lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1)
    settings = {"n": n, "chains": 64, "warmup": 300, "thin": 4}
    parts = [lf.estimates(action, lf.run_chain(jax.random.key(seed), kernel, **settings)) for seed in seeds]
    values = {name: np.array([[part[name][0].value, part[name][0].error] for part in parts]) for name in NAMES}
    return {
        name: Estimate(float(v[:, 0].mean()), float(np.sqrt(np.sum(v[:, 1] ** 2)) / len(v)))
        for name, v in values.items()
    }


def require_agreement(
    found: Mapping[str, list[Estimate]], reference: Mapping[str, Estimate], *, precision: Mapping[str, float]
) -> None:
    """Every average within five combined errors of that of clusters, whose own error is small enough.

    Args:
        found: Averages of a flow.
        reference: Those of `by_clusters`.
        precision: Largest error of clusters by name, relative to the value: about five of these are seen as a bias.
    """
    for name, largest in precision.items():
        one, other = found[name][0], reference[name]
        assert other.error <= largest * abs(other.value), f"{name}: clusters {other}"
        assert abs(one.value - other.value) <= 5 * np.hypot(one.error, other.error), f"{name}: {one}, clusters {other}"
