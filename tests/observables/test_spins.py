"""Observables of spins: symmetries, loops over sites, the integer charge of a texture with known winding."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace
from latflow.fields.spin_symmetry import spin_generators
from latflow.fields.symmetry import random_words
from latflow.observables.base import measure
from latflow.observables.spins import SpinCharge, spin_observables
from latflow.testing import observables_invariant_under


@pytest.mark.parametrize(("components", "shape"), [(2, (3, 4)), (3, (3, 4)), (4, (2, 3, 4))])
def test_symmetries(components, shape):
    """Only the charge knows reflections, and rotations of spins that are improper: it changes its sign."""
    space = SphereSpace(components - 1, shape)
    words = random_words(spin_generators(jax.random.key(1), space), seed=8, n_words=3)
    observables = [o for o in spin_observables(space) if not isinstance(o, SpinCharge)]
    results = observables_invariant_under(jax.random.key(2), observables, space, words)
    assert [result.line() for result in results if not result.passed] == []


def test_columns_against_loops():
    space = SphereSpace(1, (3, 4))
    x = np.asarray(space.random(jax.random.key(3)))
    found = {name: values[0] for name, values in measure(spin_observables(space), x[None]).items()}
    a = np.arctan2(x[1], x[0])
    bonds = [np.cos(np.roll(a, -1, axis=mu) - a) for mu in (0, 1)]
    wave = np.exp(2j * np.pi * np.arange(4) / 4)
    total = np.sum(np.exp(1j * a))
    slices = np.sum(np.exp(1j * a), axis=0)
    assert found["spin_product"] == pytest.approx(np.mean(bonds), abs=1e-12)
    assert found["spin_magnetization"] == pytest.approx(abs(total) / 12, abs=1e-12)
    assert found["spin_susceptibility"] == pytest.approx(abs(total) ** 2 / 12, abs=1e-12)
    both_ways = sum(abs(np.sum(np.exp(1j * a) * w)) ** 2 for w in (wave, wave.conj())) / 2
    assert found["spin_structure"] == pytest.approx(both_ways / 12, abs=1e-12)
    assert found["spin_product_along"] == pytest.approx(np.mean(bonds[1]), abs=1e-12)
    current = np.sum(np.sin(np.roll(a, -1, axis=1) - a))
    assert found["spin_current_squared"] == pytest.approx(current**2 / 12, abs=1e-12)
    correlator = [np.sum(slices * np.conj(np.roll(slices, -t))).real / 12 for t in range(3)]
    np.testing.assert_allclose(found["spin_correlator"], correlator, atol=1e-12)
    assert found["spin_correlator"][0] + 2 * found["spin_correlator"][1] + found["spin_correlator"][2] == pytest.approx(
        found["spin_susceptibility"], abs=1e-12
    )


def test_a_vortex_and_an_antivortex():
    """Angles that turn around two plaquettes in opposite senses."""
    x, y = np.meshgrid(np.arange(12) - 5.5, np.arange(12) - 5.5, indexing="ij")
    a = np.arctan2(y, x - 2) - np.arctan2(y, x + 2)
    spins = jnp.asarray(np.stack([np.cos(a), np.sin(a)]))[None]
    found = measure(spin_observables(SphereSpace(1, (12, 12))), spins)
    assert found["vortex_density"][0] * 144 == pytest.approx(2, abs=1e-12)


def skyrmion(size, charge):
    """The polar angle falls from π to 0 with the distance from the centre, the longitude turns `charge` times."""
    x, y = np.meshgrid(np.arange(size) - size / 2 + 0.5, np.arange(size) - size / 2 + 0.5, indexing="ij")
    polar = np.pi * np.maximum(1 - np.hypot(x, y) / (size / 2), 0)
    longitude = charge * np.arctan2(y, x)
    return np.stack([np.cos(polar), np.sin(polar) * np.cos(longitude), np.sin(polar) * np.sin(longitude)])


def test_charges_of_textures():
    one, two = (measure([SpinCharge()], skyrmion(16, q)[None])["topological_charge"][0] for q in (1, -2))
    assert abs(one) == pytest.approx(1, abs=1e-12)
    assert two == pytest.approx(-2 * one, abs=1e-12)
    mirrored = measure([SpinCharge()], -skyrmion(16, 1)[None])["topological_charge"][0]
    assert mirrored == pytest.approx(-one, abs=1e-12)


def test_the_charge_is_an_integer():
    space = SphereSpace(2, (5, 6))
    x = jax.vmap(space.random)(jax.random.split(jax.random.key(4), 64))
    found = measure([SpinCharge()], x)["topological_charge"]
    np.testing.assert_allclose(found, np.rint(found), atol=1e-12)
    assert len(set(np.rint(found))) > 3


def test_what_is_measured_of_which_spins():
    names = {
        (dimension, shape): {o.name for o in spin_observables(SphereSpace(dimension, shape))}
        for dimension, shape in itertools.product((1, 2, 3), ((4,), (4, 4)))
    }
    assert ("vortex_density" in names[1, (4, 4)], "vortex_density" in names[1, (4,)]) == (True, False)
    assert [key for key, found in names.items() if "topological_charge" in found] == [(2, (4, 4))]
    with pytest.raises(ConfigError, match="allowed: one unit vector per site"):
        spin_observables(SphereSpace(2))
