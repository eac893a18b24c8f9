"""Quasi-random draws of a flow: exact averages, errors that cover, the same bits in any blocks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.actions.exact import free_log_z
from latflow.actions.exact_gauge import u1_log_z
from latflow.distributions import AbstractDistribution, FreeFieldPrior
from latflow.samplers import quasi
from latflow.samplers.quasi import sobol_points

LATTICE = lf.Lattice((4, 4))
TARGET = lf.FreeField(LATTICE, mass_squared=0.5)
FLOW = FreeFieldPrior.of_mass(LATTICE, mass_squared=0.6)
EXACT = {"susceptibility": 1.0}
"""1/(2m²) in the normalisation of the action."""


def test_errors_of_corrected_averages_cover_where_weights_have_tails():
    """12 runs of a free field drawn from another one: no average further than 5σ from its exact value, all doubted."""
    action, flow = lf.FreeField(LATTICE, mass_squared=0.5), lf.FreeFieldPrior.of_mass(LATTICE, mass_squared=0.6)
    exact = 1 / (2 * 0.5)
    pulls = []
    for seed in range(100, 112):
        samples = lf.quasi_sample(jax.random.key(seed), flow, action, points=256, scramblings=16)
        with pytest.warns(lf.UnreliableWarning, match="lower bounds|error underestimated"):
            found = lf.reweighted_estimates(action, samples)["susceptibility"][0]
        assert found.state == "error underestimated"
        pulls.append((found.value - exact) / found.error)
    assert np.max(np.abs(pulls)) < 5


def drawn(seed, **settings):
    return lf.quasi_sample(jax.random.key(seed), FLOW, TARGET, **{"points": 256, "scramblings": 16, **settings})


def test_free_field_is_exact_with_small_errors():
    """log Z and χ within 5σ of the closed forms; the variance is ten times smaller than that of plain random draws."""
    found = drawn(3)
    assert abs(found.log_z.value - free_log_z(LATTICE, mass_squared=0.5)) < 5 * found.log_z.error
    with pytest.warns(lf.UnreliableWarning, match="errors of .*susceptibility.* are lower bounds"):
        quasi_value = lf.reweighted_estimates(TARGET, found)["susceptibility"][0]
    assert abs(quasi_value.value - EXACT["susceptibility"]) < 5 * quasi_value.error
    random = lf.sample(jax.random.key(4), lf.FlowSampler(FLOW, TARGET), n=256 * 16)
    plain = lf.reweighted_estimates(TARGET, dataclasses.replace(random, modes=None))["susceptibility"][0]
    assert plain.error**2 > 10 * quasi_value.error**2


def test_random_draws_have_variates_where_these_help():
    """4096 draws of φ⁴ from a free field, ESS .91: the variances of φ² and χ, of which a few draws have the tail."""
    action, flow = (
        lf.PhiFour(LATTICE, mass_squared=0.5, coupling=2.0),
        FreeFieldPrior.of_mass(LATTICE, mass_squared=1.5),
    )
    random = lf.sample(jax.random.key(4), lf.FlowSampler(flow, action), n=4096, block_size=2048)
    found = [lf.reweighted_estimates(action, each) for each in (random, dataclasses.replace(random, modes=None))]
    for name in ("phi_squared", "susceptibility"):
        (varied,), (plain,) = (each[name] for each in found)
        assert plain.error**2 > 8 * varied.error**2
        assert abs(varied.value - plain.value) < 5 * plain.error
    assert np.all(np.abs(random.variates.mean(axis=0)) < 5 * random.variates.std(axis=0) / 64)


def test_blocks_do_not_change_a_draw():
    a, b = drawn(5, scramblings=8, block_size=256), drawn(5, scramblings=8, block_size=64)
    np.testing.assert_allclose(a.proposals, b.proposals, rtol=1e-13, atol=1e-13)


def test_points_are_functions_of_their_number():
    key, settings = jax.random.key(6), {"dimensions": 5, "scrambling": 3}
    whole = sobol_points(key, **settings, first=0, n=64)
    np.testing.assert_array_equal(whole[32:48], sobol_points(key, **settings, first=32, n=16))
    assert np.all((whole > 0) & (whole < 1))
    assert not np.any(whole == sobol_points(key, dimensions=5, scrambling=4, first=0, n=64))
    # every sixteenth of every direction has exactly four of 64 points of a net
    counts = [np.bincount((16 * column).astype(int), minlength=16) for column in whole.T]
    assert np.all(np.asarray(counts) == 4)


def test_dimensions_beyond_the_sequence_are_random(monkeypatch):
    monkeypatch.setattr(quasi, "MOST_DIMENSIONS", 3)
    key, settings = jax.random.key(7), {"dimensions": 5, "scrambling": 0}
    whole = sobol_points(key, **settings, first=0, n=1024)
    np.testing.assert_array_equal(whole[512:], sobol_points(key, **settings, first=512, n=512))
    even = [np.bincount((64 * column).astype(int), minlength=64).std() for column in whole.T]
    assert even[:3] == [0, 0, 0]
    assert min(even[3:]) > 2  # 4 for independent numbers


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points": 100}, "points: 100; allowed: a power of two"),
        ({"scramblings": 4}, "scramblings: 4"),
        ({"points": 0}, "points: 0"),
    ],
)
def test_bad_numbers_are_refused(settings, message):
    with pytest.raises(lf.LatflowError, match=message):
        drawn(1, **settings)


def test_the_last_numbers_of_a_doubling_flow_are_its_gauge():
    lattice, key = lf.Lattice((2, 4)), jax.random.key(3)
    flow = lf.doubling_flow(key, lattice, lf.U1(), 1.2, n_bins=8, n_terms=4, dtype="float64")
    action = lf.WilsonAction(lattice, lf.U1(), beta=1.0)
    u = jax.random.uniform(key, (flow.n_uniforms,))
    several = jnp.stack([u, u.at[-(lattice.volume - 1) :].set(0.37), u.at[-lattice.volume].set(0.37)])
    fields, log_q = jax.jit(jax.vmap(flow.of_uniforms))(several)
    assert float(flow.space.distance(fields[0], fields[1])) > 0.1
    np.testing.assert_allclose([log_q[0], action(fields[0])], [log_q[1], action(fields[1])], rtol=1e-12)
    assert abs(float(log_q[2] - log_q[0])) > 1e-6


class Mapless(AbstractDistribution):
    """Links of which no map of uniform numbers is known."""

    space: lf.GaugeSpace

    def sample_and_log_prob(self, key):
        raise NotImplementedError

    def log_prob(self, x):
        raise NotImplementedError


def test_a_flow_without_a_map_is_refused():
    links = lf.GaugeSpace(LATTICE, lf.SU(2))
    with pytest.raises(lf.LatflowError, match="no map of uniform numbers"):
        lf.quasi_sample(jax.random.key(1), Mapless(links), lf.WilsonAction(LATTICE, lf.SU(2), beta=1.0))


def test_a_doubling_flow_at_quasi_random_points_is_exact_and_has_smaller_errors():
    """log Z within 5σ, from the scatter of scramblings, whose error is a third of that of as many random draws."""
    lattice, key = lf.Lattice((2, 4)), jax.random.key(2)
    action = lf.WilsonAction(lattice, lf.U1(), beta=1.5)
    # the start at another coupling: weights scatter
    flow = lf.doubling_flow(key, lattice, lf.U1(), 1.2, n_bins=8, n_terms=4, dtype="float64")
    found = lf.quasi_sample(key, flow, action, points=256, scramblings=16, block_size=256)
    assert abs(found.log_z.value - u1_log_z(1.5, volume=8)) < 5 * found.log_z.error
    weights = np.exp(found.log_weight - found.log_weight.mean())
    assert found.log_z.error < np.std(weights) / np.mean(weights) / np.sqrt(weights.size) / 3
