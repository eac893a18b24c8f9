"""Spin models: S against a naive loop, one spin against its neighbours, and exact values against quadrature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.exact_spins import (
    TooWideError,
    ring,
    strip_is_narrow,
    strong_coupling_product,
    two_by_two,
    xy_strip,
)
from latflow.actions.spins import SpinModel, neighbours
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.testing import agrees_with


def loop(x, beta):
    """S by a loop over sites and directions."""
    shape, total = x.shape[1:], 0.0
    for site in np.ndindex(*shape):
        for mu in range(len(shape)):
            ahead = tuple((s + (nu == mu)) % shape[nu] for nu, s in enumerate(site))
            total += x[(slice(None), *site)] @ x[(slice(None), *ahead)]
    return -beta * total


@pytest.mark.parametrize(("components", "shape"), [(2, (3, 4)), (3, (2, 3, 2)), (4, (5,))])
def test_action_is_a_sum_over_bonds(components, shape):
    action = SpinModel(Lattice(shape), components=components, beta=0.7)
    result = agrees_with(jax.random.key(1), action, lambda x: loop(x, 0.7))
    assert result.passed, result.line()


def test_one_spin_alone():
    """Changing one spin changes S by −β times the change of n·h; both bonds to a neighbour across an extent of 2."""
    action = SpinModel(Lattice((2, 3)), components=3, beta=1.3)
    x, y = jax.vmap(action.space.random)(jax.random.split(jax.random.key(2)))
    changed = jnp.sum((y - x) * neighbours(x, ndim=2), axis=0)
    masks = jnp.eye(6).reshape(6, 2, 3)
    changes = jax.jit(jax.vmap(lambda mask: action(jnp.where(mask[None] > 0, y, x)) - action(x)))(masks)
    np.testing.assert_allclose(changes, -1.3 * changed.ravel(), atol=1e-12)


def angles_by_brute_force(shape, beta, n):
    """Sums over equidistant angles, which converge like the Bessel functions; the first angle is zero."""
    turn = 2 * np.pi * np.arange(n) / n
    free = np.asarray(list(itertools.product(turn, repeat=int(np.prod(shape)) - 1)))
    a = np.concatenate([np.zeros((len(free), 1)), free], axis=1).reshape(-1, *shape)
    axes, volume, time = tuple(range(1, a.ndim)), int(np.prod(shape)), shape[-1]
    bonds = [np.cos(a - np.roll(a, -1, axis=axis)).sum(axes) for axis in axes]
    current = np.sin(a - np.roll(a, -1, axis=-1)).sum(axes)
    wave = np.exp(2j * np.pi * np.arange(time) / time)
    w = np.exp(beta * sum(bonds))
    found = {
        "spin_product": sum(bonds) / volume / len(axes),
        "susceptibility": abs(np.exp(1j * a).sum(axes)) ** 2 / volume,
        "structure": abs((np.exp(1j * a) * wave).sum(axes)) ** 2 / volume,
        "helicity": (bonds[-1] - beta * current**2) / volume,
    }
    return {name: np.mean(w * values) / np.mean(w) for name, values in found.items()} | {"log_z": np.log(np.mean(w))}


@pytest.mark.parametrize(
    ("found", "shape", "beta"),
    [
        (lambda: ring(5, components=2, beta=0.7), (5,), 0.7),
        (lambda: xy_strip(2, 2, beta=0.5), (2, 2), 0.5),
        (lambda: xy_strip(2, 3, beta=0.6, charges=8), (2, 3), 0.6),
        (lambda: xy_strip(3, 2, beta=0.4, charges=7), (3, 2), 0.4),
    ],
)
def test_xy_models_by_brute_force(found, shape, beta):
    exact = found()
    for name, value in angles_by_brute_force(shape, beta, 11).items():
        assert abs(getattr(exact, name) - value) < 1e-7, name


@pytest.mark.parametrize(("components", "sites"), [(3, 3), (4, 2), (6, 2)])
def test_rings_by_quadrature(components, sites):
    """Over the uniform coordinates of all spins but the first, at the action itself."""
    action = SpinModel(Lattice((sites,)), components=components, beta=0.9)
    one = SpinModel(Lattice((1,)), components=components, beta=0.9).space
    nodes, weights = np.polynomial.legendre.leggauss(8 if components < 6 else 5)
    n = 10 if components < 6 else 7
    rules = [
        (np.arange(n) / n, np.full(n, 1 / n)) if circle else ((nodes + 1) / 2, weights / 2) for circle in one.periodic
    ]
    points = np.asarray(list(itertools.product(*(rule[0] for rule in rules))))
    share = np.prod(list(itertools.product(*(rule[1] for rule in rules))), axis=1)
    spins = np.asarray(jax.vmap(one.of_uniforms)(jnp.asarray(points)))[..., 0]
    chosen = np.asarray(list(itertools.product(range(len(spins)), repeat=sites - 1)))
    x = np.concatenate([np.broadcast_to(np.eye(components)[0], (len(chosen), 1, components)), spins[chosen]], axis=1)
    w = np.prod(share[chosen], axis=1) * np.exp(-np.asarray(jax.vmap(action)(jnp.asarray(np.moveaxis(x, 1, 2)))))
    exact, total = ring(sites, components=components, beta=0.9), np.sum(x, axis=1)
    limit = 2e-4 if components < 6 else 2e-3
    assert abs(np.log(np.sum(w)) - exact.log_z) < limit
    assert abs(np.sum(w * np.sum(total**2, axis=1)) / sites / np.sum(w) - exact.susceptibility) < limit


def test_the_derivative_of_log_z():
    """⟨n·n'⟩ is d log Z/dβ per bond, for every N; four sites of the plaquette have eight bonds."""
    for components in (2, 3, 4, 7):
        low, high = (two_by_two(components=components, beta=0.8 + h).log_z for h in (-1e-4, 1e-4))
        product = two_by_two(components=components, beta=0.8).spin_product
        assert abs((high - low) / 2e-4 / 8 - product) < 1e-7


def test_two_by_two_is_a_strip():
    strip, plaquette = xy_strip(2, 2, beta=0.9), two_by_two(components=2, beta=0.9)
    for name in ("log_z", "spin_product", "susceptibility", "structure"):
        assert abs(getattr(strip, name) - getattr(plaquette, name)) < 1e-9


def test_strips_do_not_depend_on_the_largest_charge():
    few, many = (xy_strip(2, 16, beta=1.1, charges=charges) for charges in (11, 15))
    for name in ("log_z", "spin_product", "susceptibility", "structure", "helicity"):
        assert abs(getattr(few, name) - getattr(many, name)) < 1e-8


def test_strong_coupling():
    """On 5 × 6 sites, where what winds around has four bonds or more."""
    exact = xy_strip(5, 6, beta=0.15, charges=2).spin_product
    assert abs(strong_coupling_product(components=2, beta=0.15, dimensions=2) - exact) < 0.15**5
    assert abs(strong_coupling_product(components=2, beta=0.15, dimensions=1) - exact) > 0.15**3 / 5


def test_what_is_refused():
    lattice = Lattice((4, 4))
    with pytest.raises(ConfigError, match=r"action.beta: -1.0; allowed: a positive number"):
        SpinModel(lattice, components=3, beta=-1.0)
    with pytest.raises(ConfigError, match=r"action.components: 1; allowed: "):
        SpinModel(lattice, components=1, beta=1.0)
    with pytest.raises(TypeError, match="lattice"):
        SpinModel((4, 4), components=3, beta=1.0)
    with pytest.raises(TooWideError, match="8 sites with charges up to"):
        xy_strip(8, 8, beta=1.0)
    assert strip_is_narrow(3, 1.0)
    assert not strip_is_narrow(4, 1.0)
