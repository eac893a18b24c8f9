"""Doubling flows of U(1): exact log Z before and after training, block couplings, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ive

from catalogue import wilson
from latflow.actions.exact_gauge import (
    su3_block_log_density,
    sun_block_log_density,
    sun_log_z,
    sun_open_log_z,
    sun_plaquette,
    u1_log_z,
    u1_open_log_z,
)
from latflow.actions.gauge import WilsonAction
from latflow.bijections.elementwise import Identity
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.splits.su2 import block_energy
from latflow.bijections.splits.su3 import block_couplings
from latflow.bijections.splits.u1 import U1Split, block_energies
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.architectures import cast
from latflow.flows.doubling import at_heat_bath, doubling_flow
from latflow.flows.flow import Flow
from latflow.flows.link_tables import LARGEST_BETA
from latflow.flows.weighted import FlowSampler
from latflow.groups.names import named
from latflow.groups.sun import SU
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.stats.weights import reweighting_ess
from latflow.study.build import build_flow
from latflow.study.config import StudyConfig

KEY = jax.random.key(1)


@pytest.mark.parametrize(
    ("group", "beta", "sizes", "least", "log_z"),
    [
        ("U(1)", 2.0, {}, 0.999, u1_log_z(2.0, volume=16)),
        ("U(1)", LARGEST_BETA, {}, 0.98, u1_log_z(LARGEST_BETA, volume=16)),
        ("SU(2)", 2.2, {"n_bins": 12, "n_terms": 5}, 0.999, sun_log_z(2, 2.2, volume=16)),
        ("SU(3)", 5.0, {"n_bins": 8, "n_terms": 3}, 0.99, sun_log_z(3, 5.0, volume=16)),
    ],
    ids=("U(1)", "largest", "SU(2)", "SU(3)"),
)
def test_the_start_is_close_to_the_theory_and_log_z_is_exact(group, beta, sizes, least, log_z):
    """4×4: without training the reweighting ESS of 1024 draws is near one, and log Z exact to 5σ."""
    flow = cast(doubling_flow(KEY, Lattice((4, 4)), named(group), beta, **sizes), "float64")
    sampler = FlowSampler(flow, wilson(group, (4, 4), beta))
    weights = np.asarray(jax.jit(jax.vmap(sampler.draw))(jax.random.split(KEY, 1024)).log_weight)
    ess = float(reweighting_ess(weights))
    shifted = np.exp(weights - weights.max())
    error = np.sqrt((1 / ess - 1) / weights.size)
    assert ess > least
    assert abs(np.log(shifted.mean()) + weights.max() - log_z) < 5 * error
    assert error < 0.02


@pytest.mark.parametrize(
    ("group", "beta", "sizes", "log_z"),
    [
        ("U(1)", 2.0, {}, u1_open_log_z(2.0, plaquettes=9)),
        pytest.param(
            "SU(2)",
            2.2,
            {"n_bins": 12, "n_terms": 5},
            sun_open_log_z(2, 2.2, plaquettes=9),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=("U(1)", "SU(2)"),
)
def test_with_open_boundaries_plaquettes_are_independent(group, beta, sizes, log_z):
    """4×4 with nine plaquettes: the ESS of 1024 draws is near one, and log Z that of nine plaquettes to 5σ."""
    lattice = Lattice((4, 4))
    flow = doubling_flow(KEY, lattice, named(group), beta, open_boundaries=True, dtype="float64", **sizes)
    sampler = FlowSampler(flow, WilsonAction(lattice, named(group), beta=beta, open_boundaries=True))
    weights = np.asarray(jax.jit(jax.vmap(sampler.draw))(jax.random.split(KEY, 1024)).log_weight)
    ess = float(reweighting_ess(weights))
    error = np.sqrt((1 / ess - 1) / weights.size)
    assert ess > 0.9999
    assert abs(np.log(np.exp(weights - weights.max()).mean()) + weights.max() - log_z) < 5 * error
    assert error < 5e-4


def test_the_energies_of_blocks_are_those_of_the_character_expansion():
    """Of 1, 2, 4 plaquettes at β = 3, the density Σ (I_k/I_0)^n e^{ikθ}; its log to 0.01 where above 1 %."""
    angles, k = np.linspace(0, np.pi, 50), np.arange(1, 40)
    for n, energy in zip((4, 2, 1), block_energies(3.0, 3, n_terms=8), strict=True):
        density = 1 + 2 * np.cos(np.outer(angles, k)) @ (ive(k, 3.0) / ive(0, 3.0)) ** n
        fit = np.cos(np.outer(angles, np.arange(1, 9))) @ (energy / np.arange(1, 9) ** 2)
        deviation = (fit - np.log(density))[density > 0.01 * density[0]]
        assert np.ptp(deviation) < 0.01


def test_the_energy_of_one_plaquette_is_wilson():
    assert np.allclose(block_energy(2.2, n_plaquettes=1), [2.2, 0, 0, 0, 0], atol=1e-9)


def test_blocks_of_su3_have_powers_of_the_plaquette():
    couplings = block_couplings(5.0, 3)
    averages = [sun_plaquette(3, kappa) for kappa in couplings]
    assert np.allclose(averages, sun_plaquette(3, 5.0) ** np.asarray([4, 2, 1]), rtol=1e-9)


def test_blocks_of_su3_are_convolutions():
    """Density of two plaquettes at β = 5: the mean over 4000 Haar links of the product of two weights, to 5σ."""
    links = np.asarray(SU(3).haar(jax.random.key(3), (4000,)))
    loop = np.asarray(SU(3).haar(jax.random.key(4), (1,)))[..., 0]
    rests = np.einsum("jin,jk->ikn", links.conj(), loop)
    one, other = (np.exp(su3_block_log_density(np.einsum("iin->n", x), 5.0, n_plaquettes=1)) for x in (links, rests))
    assert abs(np.mean(one) - 1) < 5 * np.std(one) / np.sqrt(4000)
    two = np.exp(su3_block_log_density(np.trace(loop)[None], 5.0, n_plaquettes=2)[0])
    assert abs(np.mean(one * other) - two) < 5 * np.std(one * other) / np.sqrt(4000)


def test_blocks_of_su4_are_convolutions():
    """As for SU(3), with the characters of any group, which for three colours are the same density."""
    group = SU(4)
    links, loop = (np.asarray(group.haar(jax.random.key(i), (n,))) for i, n in ((3, 1000), (4, 1)))
    rests = np.einsum("jin,jk->ikn", links.conj(), loop[..., 0])
    one, other = (_density(x, 5.0, 1) for x in (links, rests))
    assert abs(np.mean(one) - 1) < 5 * np.std(one) / np.sqrt(1000)
    error = np.std(one * other) / np.sqrt(1000)
    assert abs(np.mean(one * other) - _density(loop, 5.0, 2)[0]) < 5 * error
    three = np.asarray(SU(3).haar(KEY, (20,)))
    known = su3_block_log_density(np.einsum("iin->n", three), 5.0, n_plaquettes=2)
    assert np.allclose(np.log(_density(three, 5.0, 2)), known, atol=1e-9)


def _density(x, beta, n_plaquettes):
    values = np.linalg.eigvals(np.moveaxis(x, -1, 0))
    return np.exp(sun_block_log_density(values, beta, n_plaquettes=n_plaquettes))


def test_the_split_is_continuous_where_the_plaquette_is_minus_one():
    """S = ±π is one plaquette: images agree there, though half the angle jumps by π."""
    split, half = U1Split(jnp.asarray([2.0, -0.7, 0.4]), 5), jnp.linspace(-3, 3, 9)
    images = [split.forward_and_log_det(half, jnp.full(9, sign * (jnp.pi - 1e-12))) for sign in (1, -1)]
    for one, other in zip(*images, strict=True):
        assert np.allclose(np.exp(1j * one), np.exp(1j * other), atol=1e-9)


def test_a_flow_whose_shapes_are_asked_for_is_not_fitted():
    shapes = eqx.filter_eval_shape(lambda: doubling_flow(KEY, Lattice((4, 4)), SU(3), 5.0, n_bins=8))
    assert shapes.bijection.splits.kappa.shape == (4,)
    assert isinstance(shapes.bijection.splits.kappa, jax.ShapeDtypeStruct)


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
        ((4, 4), "U(1)", {"n_bins": 1}, "n_bins: 1; allowed: at least 2"),
        ((5, 5), "U(1)", {}, r"lattice.shape: \[5, 5\]"),
        ((1, 4), "U(1)", {}, "two directions of 2 or more sites"),
        ((4, 4), "U(1)", {"n_terms": 65}, "n_terms: 65; allowed: at most 64"),
        ((4, 4), "U(1)", {"dtype": "float16"}, "dtype: float16; allowed: float32 or float64"),
        ((4, 4), "SU(3)", {"open_boundaries": True}, r"U\(1\) or SU\(2\) for a doubling flow with open boundaries"),
        ((4, 4), "SU(5)", {}, r"U\(1\), SU\(2\), SU\(3\), SU\(4\) for a doubling flow"),
    ],
)
def test_what_cannot_be_is_refused(shape, group, settings, message):
    with pytest.raises(ConfigError, match=message):
        doubling_flow(KEY, Lattice(shape), named(group), 1.0, **settings)


@pytest.mark.parametrize(("beta", "n_bins", "largest"), [(-1.0, 32, "30"), (30.1, 32, "30"), (6.5, 8, "6.4")])
def test_a_coupling_is_one_that_bins_resolve(beta, n_bins, largest):
    with pytest.raises(ConfigError, match=f"from 0 to {largest} with {n_bins} bins"):
        doubling_flow(KEY, Lattice((4, 4)), U1(), beta, n_bins=n_bins)


def test_a_traced_coupling_is_refused():
    with pytest.raises(ConfigError, match="beta: traced"):
        jax.eval_shape(lambda beta: doubling_flow(KEY, Lattice((4, 4)), U1(), beta), 2.0)


def test_a_study_starts_at_the_heat_bath_of_its_coupling():
    """A model file has no theory: what is built for one begins at β = 0, and the study moves it to its own β."""
    theory = {"kind": "wilson", "group": "U(1)", "beta": 2.0}
    study = {"name": "a", "lattice": {"shape": [4, 4]}, "action": theory, "flow": {"kind": "doubling", "terms": 3}}
    config = StudyConfig.model_validate({**study, "sampling": {"samplers": ["flow", "heatbath"]}})
    energies = build_flow(config).bijection.splits.energy
    assert np.allclose(energies, block_energies(2.0, 4, n_terms=3), rtol=1e-6)
    with pytest.raises(TypeError, match="a doubling flow"):
        at_heat_bath(Flow(HaarPrior(GaugeSpace(Lattice((4, 4)), U1())), Identity()), 2.0)
