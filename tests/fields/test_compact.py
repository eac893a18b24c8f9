"""Tori and spheres: their uniform coordinates, and molecular dynamics on them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from catalogue import hmc
from latflow.actions.directional import SphereModes
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.product import ProductSpace
from latflow.fields.spaces import ScalarSpace
from latflow.samplers.integrators import SCHEMES, integrate

SPACES = {
    "angles": TorusSpace((2, 3)),
    "S1": SphereSpace(1),
    "S2": SphereSpace(2, (2,)),
    "S3": SphereSpace(3),
    "S5": SphereSpace(5),
    "product": ProductSpace({"angles": TorusSpace((2,)), "vector": SphereSpace(2)}),
}


@pytest.mark.parametrize("name", SPACES)
def test_uniform_coordinates_are_inverted(name):
    space = SPACES[name]
    assert len(space.periodic) == space.n_uniforms == space.dof
    x = space.random(jax.random.key(1))
    u = space.uniforms_of(x)
    assert jnp.all((u >= 0) & (u < 1))
    assert space.distance(space.of_uniforms(u), x) < 1e-14
    assert space.defect(space.of_uniforms(u)) < 1e-14


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_uniform_coordinates_give_the_uniform_measure(dimension):
    """Second and fourth moments of every component within 5σ of 2¹⁴ draws; sees a second moment off by 3 %."""
    space, n = SphereSpace(dimension), 2**14
    u = jax.random.uniform(jax.random.key(2), (n, space.n_uniforms))
    x = np.asarray(jax.vmap(space.of_uniforms)(u))
    k = dimension + 1
    for power, expected in ((2, 1 / k), (4, 3 / (k * (k + 2)))):
        values = x**power
        pulls = (values.mean(axis=0) - expected) / (values.std(axis=0) / np.sqrt(n))
        assert np.abs(pulls).max() < 5


def test_poles_and_ends_are_finite():
    space = SphereSpace(2)
    for u in ([0.0, 0.3], [1.0, 0.3], [0.5, 0.0], [0.5, 1.0]):
        x, slope = jax.jvp(space.of_uniforms, (jnp.asarray(u),), (jnp.ones(2),))
        assert space.defect(x) < 1e-12
        assert jnp.all(jnp.isfinite(slope))
    for pole in ([1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]):
        assert jnp.all(jnp.isfinite(space.uniforms_of(jnp.asarray(pole))))
    assert TorusSpace((1,)).distance(jnp.asarray([np.pi]), jnp.asarray([-np.pi])) < 1e-15


def test_momenta_are_carried_along_a_great_circle():
    """A tangent vector at right angles to the way keeps its direction in space; one along it turns with it."""
    space = SphereSpace(2)
    x, way = jnp.asarray([0.0, 1.0, 0.0]), jnp.asarray([0.0, 0.0, 1.0])
    across = jnp.asarray([1.0, 0.0, 0.0])
    d = space.coordinates(x, 0.7 * way)
    y, p = space.carry(x, d, space.coordinates(x, across))
    np.testing.assert_allclose(y, [0, np.cos(0.7), np.sin(0.7)], atol=1e-15)
    np.testing.assert_allclose(space.displace(y, p), across, atol=1e-15)
    _, q = space.carry(x, d, d)
    np.testing.assert_allclose(space.displace(y, q), 0.7 * np.asarray([0, -np.sin(0.7), np.cos(0.7)]), atol=1e-15)


@pytest.mark.parametrize("name", ["omf2", "force-gradient"])
def test_integrators_have_their_order_on_a_sphere(name):
    """Half the step, error smaller by 2^order; frames of displaced points and of carried momenta turn."""
    action, scheme = SphereModes([(0.6, 0.0, 0.8)], concentration=2.0), SCHEMES[name]
    x = action.space.random(jax.random.key(4))
    p = action.space.momentum(jax.random.key(5))

    @functools.partial(jax.jit, static_argnames="n")
    def end(*, n):
        return integrate(action, scheme, x, p, step_size=jnp.asarray(1.6 / n), n_steps=n)[0]

    coarse, fine, best = end(n=4), end(n=8), end(n=64)
    ratio = jnp.linalg.norm(coarse - best) / jnp.linalg.norm(fine - best)
    assert 0.7 * 2**scheme.order < ratio < 1.6 * 2**scheme.order


def test_hmc_on_a_sphere():
    r"""⟨μ·x⟩ = coth κ − 1/κ on S² within 5σ, with trajectories so long that momenta turn; sees an error of 5 %."""
    kappa = 2.0
    action = SphereModes([(0.6, 0.0, 0.8)], concentration=kappa)
    chains = lf.run_chain(jax.random.key(3), hmc(action, "leapfrog", 0.4, 4), n=60, chains=512, warmup=20)
    heights = np.asarray(chains) @ np.asarray([0.6, 0.0, 0.8])
    assert heights.shape == (60, 512)
    means = heights.mean(axis=0)
    error = means.std(ddof=1) / np.sqrt(means.size)
    assert error < 6e-3
    assert abs(means.mean() - (1 / np.tanh(kappa) - 1 / kappa)) < 5 * error


def test_spaces_without_uniform_coordinates_refuse():
    for space in (SphereSpace(4), ScalarSpace((2,))):
        assert space.n_uniforms == 0
        assert space.periodic == ()
        with pytest.raises(ConfigError, match=r"uniform coordinates: .* has none; allowed: tori, spheres"):
            space.uniforms_of(space.cold())
    with pytest.raises(ConfigError, match="dimension: 0; allowed: at least 1"):
        SphereSpace(0)
    mixed = ProductSpace({"angles": TorusSpace((2,)), "field": ScalarSpace((2,))})
    assert mixed.n_uniforms == 0
    assert mixed.periodic == ()
