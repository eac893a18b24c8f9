"""Masks of links by enumeration: plaquettes with one active link each, staples and frozen loops with none."""

import itertools

import numpy as np
import pytest

from latflow.bijections.stripes import Stripes, loop_table, loops, schedule
from latflow.errors import ConfigError
from latflow.lattice import Lattice

CASES = [((4, 4), 2), ((4, 8), 4), ((6, 3), 3), ((4, 2, 4), 2), ((3, 3, 6), 3), ((2, 4, 2, 2), 2)]


def plaquette(x, mu, nu, shape):
    """The four links (direction, site) of a plaquette, step by step."""

    def after(site, rho):
        return tuple((c + (i == rho)) % n for i, (c, n) in enumerate(zip(site, shape, strict=True)))

    return [(mu, x), (nu, after(x, mu)), (mu, after(x, nu)), (nu, x)]


@pytest.mark.parametrize(("shape", "period"), CASES, ids=str)
def test_masks_are_disjoint(shape, period):
    """Every active plaquette holds exactly one active link, and no two of a layer share it; staples are frozen."""
    d = len(shape)
    layers = schedule(Lattice(shape), n_layers=d * period * (d - 1), period=period)
    moved = np.zeros((d, *shape), int)
    for layer in layers:
        moved += layer.mask
        active = [(layer.mu, tuple(map(int, x))) for x in layer.sites.T]
        assert layer.links.tolist() == [mu * np.prod(shape) + np.ravel_multi_index(x, shape) for mu, x in active]
        for mu, x in active:
            # in every plane through the link, over it and under it
            for nu in set(range(d)) - {mu}:
                below = tuple((c - (i == nu)) % n for i, (c, n) in enumerate(zip(x, shape, strict=True)))
                for corner in (x, below):
                    held = [link for link in plaquette(corner, mu, nu, shape) if layer.mask[link[0]][link[1]]]
                    assert held == [(mu, x)]
        assert not layer.mask.reshape(-1)[layer.staples].any()
    # a round of layers moves every link as often as every other
    assert (moved == d - 1).all()


@pytest.mark.parametrize(("shape", "period"), CASES, ids=str)
def test_frozen_loops_hold_no_active_link(shape, period):
    lattice = Lattice(shape)
    tables = [links for links, _ in loop_table(lattice)]
    sizes = set()
    for layer in schedule(lattice, n_layers=2 * period * len(shape), period=period):
        mask, read = layer.mask.reshape(-1), layer.read(1)
        word, site = np.divmod(read, lattice.volume)
        for w, table in enumerate(tables):
            assert not mask[table[:, site[word == w]]].any()
        sizes.add(read.shape)
    assert len(sizes) == 1, "layers differ in how many loops they read"
    assert sizes.pop()[0] > 0


def test_loops_are_closed():
    for d in (2, 3, 4):
        for word in loops(d):
            assert all(word.count(rho) == word.count(-rho) for rho in range(1, d + 1))
    assert [len(loops(d)) for d in (2, 3, 4)] == [3, 9, 18]


def test_the_first_staple_closes_the_active_plaquette():
    layer = Stripes(Lattice((4, 4)), 1, 0, 2, 1)
    for i, x in enumerate(layer.sites.T):
        expected = plaquette(tuple(map(int, x)), 1, 0, (4, 4))[1:]
        assert layer.staples[0, :, i].tolist() == [mu * 16 + np.ravel_multi_index(y, (4, 4)) for mu, y in expected]


@pytest.mark.parametrize(("shape", "period"), [((4, 6), 4), ((3, 3), 2), ((2, 2, 3), 2)])
def test_a_period_that_does_not_fit_is_refused(shape, period):
    with pytest.raises(ConfigError, match=rf"flow\.period: {period}; allowed: a period that divides every extent"):
        schedule(Lattice(shape), n_layers=2, period=period)


def test_what_is_no_stripe_is_refused():
    with pytest.raises(ConfigError, match="allowed: two different ones of 0 to 1"):
        Stripes(Lattice((4, 4)), 1, 1, 2, 0)
    with pytest.raises(ConfigError, match=r"flow\.period: 1"):
        Stripes(Lattice((4, 4)), 0, 1, 1, 0)
    with pytest.raises(ConfigError, match="two or more directions"):
        Stripes(Lattice((4,)), 0, 1, 2, 0)
    assert len({*itertools.chain(schedule(Lattice((4, 4)), n_layers=4, period=2))}) == 4
