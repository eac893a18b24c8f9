"""Doubling flows: exact log Z before and after training, block couplings, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ive

from catalogue import wilson
from latflow.actions.exact_gauge import sun_log_z, u1_log_z
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.splits.su2 import block_energy
from latflow.bijections.splits.u1 import U1Split
from latflow.errors import ConfigError
from latflow.flows.architectures import cast
from latflow.flows.doubling import block_couplings, doubling_flow
from latflow.flows.weighted import FlowSampler
from latflow.groups.names import named
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.stats.weights import reweighting_ess

KEY = jax.random.key(1)


@pytest.mark.parametrize(
    ("group", "beta", "least", "log_z"),
    [
        ("U(1)", 2.0, 0.8, u1_log_z(2.0, volume=16)),
        ("SU(2)", 2.2, 0.95, sun_log_z(2, 2.2, volume=16)),
        ("SU(3)", 4.0, 0.95, sun_log_z(3, 4.0, volume=16)),
    ],
)
def test_the_start_is_close_to_the_theory_and_log_z_is_exact(group, beta, least, log_z):
    """4×4: without training the reweighting ESS of 2048 draws is near one, and log Z exact to 5σ."""
    sampler = FlowSampler(
        cast(doubling_flow(KEY, Lattice((4, 4)), named(group), beta), "float64"), wilson(group, (4, 4), beta)
    )
    weights = np.asarray(jax.jit(jax.vmap(sampler.draw))(jax.random.split(KEY, 2048)).log_weight)
    ess = float(reweighting_ess(weights))
    shifted = np.exp(weights - weights.max())
    error = np.sqrt((1 / ess - 1) / weights.size)
    assert ess > least
    assert abs(np.log(shifted.mean()) + weights.max() - log_z) < 5 * error
    assert error < 0.02


def test_block_couplings_have_powers_of_the_plaquette():
    kappas = block_couplings(3.0, Hierarchy(Lattice((4, 4)), 4), U1())
    average = ive(1, 3.0) / ive(0, 3.0)
    assert np.allclose(ive(1, kappas) / ive(0, kappas), average ** np.array([8, 4, 2, 1]), rtol=1e-9)


def test_the_split_is_continuous_where_the_plaquette_is_minus_one():
    """S = ±π is one plaquette: images agree there, though half the angle jumps by π."""
    split = U1Split.untrained(KEY, kappa=2.0, n_bins=5, hidden=(4,), dtype="float64")
    leaves, tree = jax.tree.flatten(split)
    noisy = [leaf + 0.3 * jax.random.normal(jax.random.fold_in(KEY, i), leaf.shape) for i, leaf in enumerate(leaves)]
    split, half = jax.tree.unflatten(tree, noisy), jnp.linspace(-3, 3, 9)
    images = [split.forward_and_log_det(half, jnp.full(9, sign * (jnp.pi - 1e-12))) for sign in (1, -1)]
    for one, other in zip(*images, strict=True):
        assert np.allclose(np.exp(1j * one), np.exp(1j * other), atol=1e-9)


def test_block_energy_of_one_plaquette_is_wilson():
    assert np.allclose(block_energy(2.2, n_plaquettes=1), [2.2, 0, 0, 0, 0], atol=1e-9)


def test_halvings():
    assert halvings(Lattice((4, 4))) == (1, 0, 1, 0)
    assert halvings(Lattice((3, 6))) == (1,)
    assert Hierarchy(Lattice((6, 4)), 3).coarsest == (3, 1)


@pytest.mark.parametrize(
    ("shape", "group", "settings", "message"),
    [
        ((4, 4, 4), "U(1)", {}, "two directions"),
        ((3, 5), "U(1)", {}, "an even extent"),
        ((4, 4), "U(1)", {"n_levels": 5}, "1 to 4"),
        ((4, 4), "U(1)", {"n_bins": 1}, "flow.bins"),
        ((4, 4), "SU(4)", {}, r"U\(1\), SU\(2\), SU\(3\) for a doubling flow"),
    ],
)
def test_what_cannot_be_is_refused(shape, group, settings, message):
    with pytest.raises(ConfigError, match=message):
        doubling_flow(KEY, Lattice(shape), named(group), 1.0, **settings)


def test_a_coupling_must_not_be_negative():
    with pytest.raises(ConfigError, match="beta"):
        doubling_flow(KEY, Lattice((4, 4)), U1(), -1.0)
