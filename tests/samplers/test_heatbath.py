"""Heat bath and overrelaxation: exact plaquettes in two dimensions, what must not change, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.gauge import WilsonAction
from latflow.errors import ConfigError
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.observables.base import measure
from latflow.observables.gauge import Plaquette
from latflow.samplers.chains import advance
from latflow.samplers.heatbath import HeatBath

EXACT = {("U(1)", 2.0): 0.69777466, ("SU(2)", 2.2): 0.46447903, ("SU(3)", 6.0): 0.42253174}
"""Plaquettes on 8 × 8 by character sums."""

N_CHAINS, N_RECORDS = 32, 60


@functools.cache
def kernel(group: str, beta: float, shape: tuple[int, ...] = (8, 8), n_overrelaxation: int = 1) -> HeatBath:
    return HeatBath(WilsonAction(Lattice(shape), named(group), beta=beta), n_overrelaxation=n_overrelaxation)


@pytest.mark.parametrize(("group", "beta"), EXACT)
def test_the_plaquette_is_exact(group: str, beta: float) -> None:
    """From hot starts; chains are independent, so their scatter is the error, about 0.2 % here."""
    sampler = kernel(group, beta)
    space = sampler.action.space
    x = jax.vmap(space.random)(jax.random.split(jax.random.key(11), N_CHAINS))
    x, _ = advance(sampler, jax.random.key(12), x, first=0, n_records=N_RECORDS, thin=1)
    x, records = advance(sampler, jax.random.key(13), x, first=0, n_records=N_RECORDS, thin=1)
    values = measure((Plaquette(space),), np.asarray(records.x).reshape(-1, *space.shape))["plaquette"]
    means = values.reshape(N_RECORDS, N_CHAINS).mean(axis=0)
    error = means.std(ddof=1) / np.sqrt(N_CHAINS)
    assert error < 0.005
    assert abs(means.mean() - EXACT[group, beta]) < 5 * error
    assert float(jnp.max(jax.vmap(space.defect)(x))) < 1e-12
    # Best and Fisher succeed in two of three trials at worst, three of them in 97 of 100.
    assert float(records.transition.acceptance.mean()) > 0.95


@pytest.mark.parametrize("group", ["U(1)", "SU(2)", "SU(3)"])
def test_overrelaxation_keeps_the_action_and_moves_every_link(group: str) -> None:
    sampler = kernel(group, 2.0, (4, 4))
    space = sampler.action.space
    x = space.random(jax.random.key(5))
    y = jax.jit(lambda x: sampler.overrelaxed(x))(x)
    assert abs(float(sampler.action(x) - sampler.action(y))) < 1e-12 * sampler.action.n_plaquettes
    assert float(jnp.min(jnp.abs(x - y).reshape(2, -1, 16).max(axis=1))) > 1e-3
    assert float(space.defect(y)) < 1e-13


def test_three_dimensions_overrelax_too() -> None:
    sampler = kernel("SU(2)", 2.0, (2, 4, 2))
    x = sampler.action.space.random(jax.random.key(6))
    y = jax.jit(lambda x: sampler.overrelaxed(x))(x)
    assert abs(float(sampler.action(x) - sampler.action(y))) < 1e-12 * sampler.action.n_plaquettes


def test_what_a_heat_bath_cannot_do_is_refused() -> None:
    group = named("U(1)")
    with pytest.raises(ConfigError, match="even"):
        HeatBath(WilsonAction(Lattice((3, 4)), group, beta=1.0))
    with pytest.raises(ConfigError, match="at least 0"):
        HeatBath(WilsonAction(Lattice((4, 4)), group, beta=1.0), n_overrelaxation=-1)
