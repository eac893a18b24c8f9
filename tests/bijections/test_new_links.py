"""New links of a doubled lattice by enumeration: the order of filling in, and which staples are known."""

import jax
import numpy as np
import pytest

from latflow.bijections.new_links import NewLinks, doubled, fillings, halved
from latflow.bijections.stripes import loop_table
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.groups import named
from latflow.lattice import Lattice

CASES = [((4, 2), 0), ((4, 4), 1), ((4, 2, 2), 0), ((2, 4, 6), 1), ((4, 2, 2, 2), 0), ((4, 4, 2, 4), 3)]


@pytest.mark.parametrize(("shape", "nu"), CASES, ids=str)
def test_every_new_link_is_filled_in_once(shape, nu):
    odd = np.indices(shape)[nu] % 2 == 1
    expected = np.stack([odd * (mu != nu) for mu in range(len(shape))])
    layers = fillings(Lattice(shape), nu)
    np.testing.assert_array_equal(sum(layer.mask.astype(int) for layer in layers), expected)
    for layer in layers:
        assert layer.links.size == odd.sum() // (2 if len(shape) > 2 else 1)
        assert not layer.mask.reshape(-1)[layer.staples].any(), "a staple moves with its link"


@pytest.mark.parametrize(("shape", "nu"), CASES, ids=str)
def test_known_is_what_was_filled_in_before(shape, nu):
    """Staples and loops of every active link, one by one; the first layer knows two staples, the last one all."""
    layers = fillings(Lattice(shape), nu)
    there = np.logical_not(sum(layer.mask.astype(int) for layer in layers)).reshape(-1)
    tables = [links for links, _ in loop_table(Lattice(shape))]
    counts = []
    for layer in layers:
        staples = [[there[list(sides)].all() for sides in zip(*staple, strict=True)] for staple in layer.staples]
        for found, known in zip(staples, layer.known_staples(), strict=True):
            assert set(found) == {known}
        counts.append(int(layer.known_staples().sum()))
        read = layer.read(1)
        for numbers, known in zip(read, layer.known_loops(1), strict=True):
            w, sites = np.divmod(numbers, np.prod(shape))
            assert {bool(there[tables[w[0]][:, site]].all()) for site in sites} == {bool(known)}
        there |= layer.mask.reshape(-1)
    assert there.all()
    assert (counts[0], counts[-1]) == (2, 2 * (len(shape) - 1))


@pytest.mark.parametrize("group", ["U(1)", "SU(2)"])
def test_halves_are_put_together_again(group):
    """A coarse link is the product of two fine ones, and a changed one changes second halves only."""
    space = GaugeSpace(Lattice((2, 4)), named(group))
    x, other = (space.random(jax.random.key(i)) for i in (1, 2))
    coarse, kept = halved(space.group, x, direction=1)
    np.testing.assert_allclose(doubled(space.group, coarse, kept, direction=1), x, atol=1e-14)
    changed = doubled(space.group, halved(space.group, other, direction=1)[0], kept, direction=1)
    again, same = halved(space.group, changed, direction=1)
    first, second = (x[1][..., i::2] for i in (0, 1))
    np.testing.assert_allclose(coarse[1], space.group.compose(first, second), atol=1e-14)
    np.testing.assert_allclose(again, halved(space.group, other, direction=1)[0], atol=1e-13)
    np.testing.assert_array_equal(same[0], kept[0])


def test_what_has_no_new_links_is_refused():
    with pytest.raises(ConfigError, match=r"lattice\.shape: \[4, 3\]; allowed: even extents"):
        NewLinks(Lattice((4, 3)), 1, 0, odd=False)
    for mu, nu in ((0, 0), (2, 0), (0, -1)):
        with pytest.raises(ConfigError, match=f"directions {mu} and {nu}; allowed: two different ones of 0 to 1"):
            NewLinks(Lattice((4, 4)), mu, nu, odd=False)
