"""Transport against loops over sites in numpy, in two, three and four dimensions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.fields import transport
from latflow.fields.spaces import GaugeSpace
from latflow.groups import SU, U1
from latflow.lattice import Lattice

CASES = {
    "U(1) 3x4": (U1(), (3, 4)),
    "SU(2) 4x2": (SU(2), (4, 2)),
    "SU(3) 2x3x3": (SU(3), (2, 3, 3)),
    "SU(3) 2x2x2x3": (SU(3), (2, 2, 2, 3)),
}
every_case = pytest.mark.parametrize("name", CASES)


@functools.cache
def fields(name):
    group, shape = CASES[name]
    space = GaugeSpace(Lattice(shape), group)
    return shape, space.links(space.random(jax.random.key(31)))


class Walker:
    """Multiplies links one by one along a path of signed directions (1 is the first)."""

    def __init__(self, links, shape):
        self.links, self.shape = np.asarray(links), shape

    def path(self, x, steps):
        x, out = list(x), np.eye(self.links.shape[1])
        for step in steps:
            mu = abs(step) - 1
            if step < 0:
                x[mu] = (x[mu] - 1) % self.shape[mu]
            u = self.links[(mu, slice(None), slice(None), *x)]
            out = out @ (u if step > 0 else u.conj().T)
            if step > 0:
                x[mu] = (x[mu] + 1) % self.shape[mu]
        return out

    def everywhere(self, steps):
        out = np.zeros((*self.links.shape[1:3], *self.shape), dtype=complex)
        for x in np.ndindex(*self.shape):
            out[(slice(None), slice(None), *x)] = self.path(x, steps)
        return out


def planes(shape):
    return [(mu, nu) for mu in range(len(shape)) for nu in range(len(shape)) if mu != nu]


def agree(ours, naive):
    return ours.shape == naive.shape and np.abs(np.asarray(ours) - naive).max() < 1e-13


@every_case
def test_plaquettes_are_paths(name):
    shape, links = fields(name)
    for mu, nu in planes(shape)[:3]:
        m, n = mu + 1, nu + 1
        assert agree(transport.plaquette(links, mu=mu, nu=nu), Walker(links, shape).everywhere([m, n, -m, -n]))


@every_case
def test_loops_and_lines_are_paths(name):
    shape, links = fields(name)
    walker = Walker(links, shape)
    (mu, nu), m, n = (1, 0), 2, 1
    ours = transport.wilson_loop(links, mu=mu, nu=nu, steps_mu=2, steps_nu=3)
    assert agree(ours, walker.everywhere([m] * 2 + [n] * 3 + [-m] * 2 + [-n] * 3))
    assert agree(transport.line(links, mu=mu, steps=3), walker.everywhere([m] * 3))
    polyakov = transport.polyakov_line(links, mu=mu)
    assert agree(polyakov, np.take(walker.everywhere([m] * shape[mu]), 0, axis=2 + mu))


@every_case
def test_staples_are_paths(name):
    shape, links = fields(name)
    walker = Walker(links, shape)
    for mu in range(2):
        m, others = mu + 1, [nu + 1 for nu in range(len(shape)) if nu != mu]
        # a staple begins where the link ends
        naive = np.roll(sum(walker.everywhere([s, -m, -s]) for n in others for s in (n, -n)), -1, axis=2 + mu)
        assert agree(transport.staples(links, mu=mu), naive)


@every_case
def test_staples_count_every_plaquette_of_a_link(name):
    """Σ over plaquettes that contain a link = Re tr U A: summed over links, every plaquette is met four times."""
    shape, links = fields(name)
    d = len(shape)
    total = sum(
        float(jnp.sum(jnp.real(jnp.einsum("ij...,ji...->...", links[mu], transport.staples(links, mu=mu)))))
        for mu in range(d)
    )
    plaquettes = sum(
        float(jnp.sum(jnp.real(jnp.trace(transport.plaquette(links, mu=mu, nu=nu)))))
        for mu in range(d)
        for nu in range(mu + 1, d)
    )
    assert abs(total - 4 * plaquettes) < 1e-11


def test_batches_are_loops():
    space = GaugeSpace(Lattice((3, 4)), SU(2))
    x = jax.vmap(space.random)(jax.random.split(jax.random.key(32), 3))
    staples = jax.vmap(lambda x: transport.staples(space.links(x), mu=1))
    one = transport.staples(space.links(x[1]), mu=1)
    assert np.allclose(staples(x)[1], one, rtol=0, atol=1e-14)
    moved = jax.vmap(lambda x: transport.staples(space.links(x), mu=1), in_axes=-1)(jnp.moveaxis(x, 0, -1))
    assert np.allclose(moved, staples(x), rtol=0, atol=1e-14)
