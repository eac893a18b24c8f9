"""Energies of points and particles: exact values against known numbers, the package against itself, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions import exact_particles
from latflow.actions.particles import DoubleWell, DoubleWellPairs, LennardJones, MuellerBrown, Particles
from latflow.errors import ConfigError
from latflow.theories.catalogue import table_of, theory_of

KNOWN = {
    "double-well": {"log_z": 11.02046723, "free_energy_difference": 3.37990107, "state_share": 1 - 0.96707045},
    "mueller-brown": {"log_z": 11.729590558, "energy": -13.49340441},
    "dw4": {
        "log_z": 29.6672322329,
        "energy": -22.5415096,
        "pair_distance": 4.04498684,
        "squared_pair_distance": 18.18308853,
        "state_share": 0.4946654714,
    },
}
"""From other programs, in as many digits as they gave."""


def known(kind):
    table = table_of(kind).model_validate({"kind": kind})
    return {name: found.value for name, found in theory_of(kind).known_values(table, table.own_shape()).items()}


@pytest.mark.parametrize("kind", KNOWN)
def test_known_values(kind):
    found = known(kind)
    for name, value in KNOWN[kind].items():
        assert abs(found[name] - value) < (2e-8 if abs(value) < 100 else 1e-7), name


def test_the_double_well_by_a_plain_sum():
    """log Z and the energy at another tilt and temperature, by a sum over a plane that shares nothing with the exact
    values but the energy of the class."""
    action = DoubleWell(tilt=-0.4, temperature=1.7)
    x, y = np.linspace(-5, 5, 1001), np.linspace(-14, 14, 201)
    plane = jnp.asarray(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2))
    s = np.asarray(jax.vmap(action)(plane))
    w = np.exp(-(s - s.min()))
    found = exact_particles.double_well_moments(tilt=-0.4, temperature=1.7)
    assert abs(np.log(w.sum() * 0.01 * 0.14) - s.min() - found.log_z) < 1e-9
    assert abs(w @ s / w.sum() - found.energy) < 1e-9


def test_a_finer_grid_changes_nothing():
    coarse, fine = (
        exact_particles.four_particles(lambda d: 0.5 * d**2, largest=8.0, n_distances=n, n_grid=g)
        for n, g in ((60, 64), (90, 96))
    )
    assert abs(coarse.log_z - fine.log_z) < 1e-6
    # every pair ½d²: Σ_{i<j} d² = n Σ x² on the mean-free subspace, a Gaussian in six directions with 1/s² = 4
    assert abs(fine.log_z - 3 * np.log(2 * np.pi / 4)) < 1e-6
    assert abs(fine.energy - 3) < 1e-5


def test_every_pair_is_counted_once():
    """Two particles at the minimum have −ε, a triangle three times that, four in a line six double wells."""
    oscillator = 0.5 * 2 * 0.25
    two = LennardJones(2, 1, epsilon=1.3).energy(jnp.asarray([[0.5], [-0.5]]))
    assert abs(float(two) - (-1.3 + oscillator)) < 1e-12
    triangle = jnp.asarray([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
    assert abs(float(LennardJones(3, 2, oscillator=2.0).energy(triangle)) - (-3 + 1.0)) < 1e-12
    d = np.asarray([1.0, 1, 1, 2, 2, 3]) - 4
    line = jnp.stack([jnp.arange(4.0), jnp.zeros(4)], axis=1)
    assert abs(float(DoubleWellPairs().energy(line)) - np.sum(0.9 * d**4 - 4 * d**2)) < 1e-12


def test_coincident_particles_have_a_finite_energy():
    for action in (LennardJones(), DoubleWellPairs()):
        x = jnp.zeros(action.space.shape).at[0, 0].set(1.0)
        value, force = action(x), action.force(x)
        assert jnp.isfinite(value)
        assert jnp.all(jnp.isfinite(force))
    assert float(LennardJones()(jnp.zeros((13, 3)))) > 1e30


def test_an_energy_of_ones_own():
    own = Particles(lambda x: 0.5 * jnp.sum(x**2), n=3, dim=2, temperature=2.0)
    assert own.space.mean_free
    x = own.space.cold()
    assert abs(float(own(x)) - float(jnp.sum(x**2)) / 4) < 1e-12
    with pytest.raises(TypeError, match=r"energy: .* allowed: one number"):
        Particles(lambda x: x, n=3, dim=2)
    with pytest.raises(TypeError, match="function"):
        Particles(3, n=3, dim=2)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LennardJones(1), "n: 1; allowed: at least 2"),
        (lambda: DoubleWellPairs(4, 0), "dim: 0; allowed: at least 1"),
        (lambda: LennardJones(epsilon=0.0), "action.epsilon: 0.0; allowed: a positive number"),
        (lambda: LennardJones(oscillator=-1.0), "action.oscillator: -1.0; allowed: a positive number"),
        (lambda: DoubleWell(temperature=-1.0), "action.temperature: -1.0; allowed: a positive number"),
        (lambda: MuellerBrown(scale=0.0), "action.scale: 0.0; allowed: a positive number"),
        (lambda: DoubleWellPairs(quartic=0.0), "action.quartic: 0.0; allowed: a positive number"),
        (lambda: LennardJones().with_parameters(radius=-1.0), "action.radius: -1.0; allowed: a positive number"),
        (lambda: Particles(jnp.sum, n=1, dim=3), "n: 1; allowed: at least 2"),
    ],
)
def test_bad_input(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
