"""Smeared links: in the group, gauge covariant, by the formula site by site, and with less of the action."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.fields.field_strength import plaquette_energy
from latflow.fields.gauge_symmetry import LinkReflection, random_gauge_transformation
from latflow.fields.gradient_flow import GradientFlow
from latflow.fields.smearing import ape, hyp, stout
from latflow.fields.spaces import GaugeSpace
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.observables.gauge import WilsonLoops
from latflow.observables.smeared import SmearedWilsonLoops

SPACES = {
    "U(1)": GaugeSpace(Lattice((3, 2, 2)), named("U(1)")),
    "SU(2)": GaugeSpace(Lattice((3, 2, 2)), named("SU(2)")),
    "SU(3)": GaugeSpace(Lattice((2, 3)), named("SU(3)")),
}
CASES = {
    "U(1) ape": ("U(1)", lambda s, x: ape(s, x, alpha=0.4, n_steps=2)),
    "U(1) stout": ("U(1)", lambda s, x: stout(s, x, rho=0.1, n_steps=2)),
    "SU(2) ape, spatial": ("SU(2)", lambda s, x: ape(s, x, alpha=0.5, n_steps=2, spatial=True)),
    "SU(2) stout, spatial": ("SU(2)", lambda s, x: stout(s, x, rho=0.1, n_steps=2, spatial=True)),
    "SU(3) ape": ("SU(3)", lambda s, x: ape(s, x, alpha=0.4, n_steps=2)),
    "U(1) hyp": ("U(1)", lambda s, x: hyp(s, x, alphas=(0.6, 0.3), n_steps=2)),
    "SU(2) hyp": ("SU(2)", lambda s, x: hyp(s, x, alphas=(0.6, 0.3))),
    "SU(3) hyp": ("SU(3)", lambda s, x: hyp(s, x, alphas=(0.3,), n_steps=2)),
    "SU(3) stout": ("SU(3)", lambda s, x: stout(s, x, rho=0.1, n_steps=2)),
}


@functools.cache
def case(name):
    group, smear = CASES[name]
    space = SPACES[group]
    return space, jax.jit(lambda x: smear(space, x)), rough(space, 1)


def rough(space, seed):
    """Not Haar: staples that nearly cancel have no projection."""
    return space.move(space.cold(), 0.6 * space.momentum(jax.random.key(seed)))


@pytest.mark.parametrize("name", CASES)
def test_smearing_commutes_with_gauge_transformations(name):
    space, smear, x = case(name)
    for g in (random_gauge_transformation(jax.random.key(2), space), LinkReflection(space.group, 0)):
        np.testing.assert_allclose(space.links(smear(g(x))), space.links(g(smear(x))), atol=1e-12)
    assert float(space.defect(smear(x))) < 1e-13


@pytest.mark.parametrize("name", CASES)
def test_smearing_lowers_the_action_and_leaves_the_unit_field(name):
    space, smear, x = case(name)
    assert float(plaquette_energy(space, smear(x))) < 0.8 * float(plaquette_energy(space, x))
    np.testing.assert_allclose(smear(space.cold()), space.cold(), atol=1e-15)
    if "spatial" in name:
        np.testing.assert_array_equal(smear(x)[-1], x[-1])


def test_ape_by_hand():
    """One link of SU(2), where the projection is a division by the root of the determinant."""
    space, alpha = SPACES["SU(2)"], 0.5
    x = rough(space, 3)
    u = np.moveaxis(np.asarray(x), (1, 2), (-2, -1))

    def dagger(m):
        return m.conj().T

    # direction 0 at (1, 0, 1), plane with direction 1 whose extent is 2
    up = u[1, 1, 0, 1] @ u[0, 1, 1, 1] @ dagger(u[1, 2, 0, 1])
    down = dagger(u[1, 1, 1, 1]) @ u[0, 1, 1, 1] @ u[1, 2, 1, 1]
    mixed = (1 - alpha) * u[0, 1, 0, 1] + alpha / 2 * (up + down)
    expected = mixed / np.sqrt(np.linalg.det(mixed))
    found = jax.jit(lambda x: ape(space, x, alpha=alpha, spatial=True))(x)
    np.testing.assert_allclose(found[0, :, :, 1, 0, 1], expected, atol=1e-13)


def test_a_stout_step_is_a_step_of_the_flow():
    space, rho = SPACES["SU(3)"], 0.07
    x = space.random(jax.random.key(4))
    expected = space.move(x, rho * GradientFlow(space).velocity(x))
    np.testing.assert_allclose(stout(space, x, rho=rho), expected, atol=1e-14)


def test_hyp_in_two_dimensions_is_ape():
    space = SPACES["SU(3)"]
    x = rough(space, 6)
    np.testing.assert_allclose(hyp(space, x, alphas=(0.4,)), ape(space, x, alpha=0.4), atol=1e-14)


def test_hyp_level_by_level():
    """Phases in three dimensions: staples in the one direction left over first, then those of the smeared links."""
    space, (outer, inner) = GaugeSpace(Lattice((3, 4, 3)), named("U(1)")), (0.6, 0.3)
    x = rough(space, 7)
    u = np.exp(1j * np.asarray(x))

    def staple(a, b, mu, nu):
        """Of a, along mu, with sides b along nu: the path from x to x + mu, on both sides."""
        above = b * np.roll(a, -1, nu) * np.roll(b, -1, mu).conj()
        below = np.roll(b.conj() * a * np.roll(b, -1, mu), 1, nu)
        return above + below

    def phase(z):
        return z / np.abs(z)

    def level(mu, nu):
        """Link mu without staples in direction nu."""
        (rest,) = {0, 1, 2} - {mu, nu}
        return phase((1 - inner) * u[mu] + inner / 2 * staple(u[mu], u[rest], mu, rest))

    for mu in range(3):
        around = sum(staple(level(mu, nu), level(nu, mu), mu, nu) for nu in range(3) if nu != mu)
        expected = phase((1 - outer) * u[mu] + outer / 4 * around)
        np.testing.assert_allclose(np.exp(1j * hyp(space, x, alphas=(outer, inner))[mu]), expected, atol=1e-13)


def test_hyp_links_see_their_hypercubes_only():
    space = GaugeSpace(Lattice((4, 4, 4, 4)), named("U(1)"))
    x = rough(space, 8)
    turned = x.at[1, 2, 2, 2, 2].add(0.5)
    smear = jax.jit(lambda x: hyp(space, x))
    changed = np.argwhere(np.abs(np.asarray(smear(turned) - smear(x))) > 1e-12)
    # the link lies between coordinates 2 and 3 of direction 1; hypercubes reach one site further in the others
    for mu, *site in changed:
        ends = np.stack([site, np.array(site) + np.eye(4, dtype=int)[mu]])
        low, high = ends.min(axis=0), ends.max(axis=0)
        assert np.all(low >= [1, 2, 1, 1])
        assert np.all(high <= [3, 3, 3, 3])
    assert len(changed) > 50


def test_smeared_loops():
    """Nothing but loops of smeared links; without steps the loops themselves."""
    space = SPACES["SU(2)"]
    x = rough(space, 5)
    loops = SmearedWilsonLoops(space, 2, 1, alpha=0.5, n_steps=2)
    expected = WilsonLoops(space, 2, 1)(ape(space, x, alpha=0.5, n_steps=2, spatial=True))
    np.testing.assert_allclose(jax.jit(lambda x: loops(x))(x), expected, atol=1e-14)
    plain = SmearedWilsonLoops(space, 2, 1, n_steps=0)
    np.testing.assert_allclose(plain(x), WilsonLoops(space, 2, 1)(x), atol=1e-14)
    assert bool(jnp.all(expected > plain(x)))


def test_what_cannot_be_smeared_is_refused():
    flat = SPACES["SU(3)"]
    with pytest.raises(ConfigError, match="two or more directions"):
        stout(flat, flat.cold(), rho=0.1, spatial=True)
    with pytest.raises(ConfigError, match=r"smearing\.alpha: 1"):
        ape(flat, flat.cold(), alpha=1)
    with pytest.raises(ConfigError, match=r"smearing\.alphas: \(0\.75, 0\.6, 0\.3\); allowed: 1 numbers"):
        hyp(flat, flat.cold())
    with pytest.raises(ConfigError, match=r"smearing\.alphas: \(1\.0,\)"):
        hyp(flat, flat.cold(), alphas=(1.0,))
