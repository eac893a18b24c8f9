"""The lattice symmetries form a group and act as permutations and signs."""

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.fields.symmetry import (
    NotASymmetryError,
    Product,
    Reflection,
    Rotation,
    SignFlip,
    Translation,
    generators,
    random_words,
)
from latflow.lattice import Lattice

X = jnp.arange(27.0).reshape(3, 3, 3)


@pytest.mark.parametrize("element", generators(Lattice((3, 3, 3))), ids=str)
def test_inverse(element):
    assert np.array_equal(element.inverse()(element(X)), X)
    assert np.array_equal(element(element.inverse()(X)), X)


@pytest.mark.parametrize("element", generators(Lattice((3, 3, 3))), ids=str)
def test_permutes_sites_up_to_a_sign(element):
    assert np.array_equal(np.sort(np.abs(element(X)).ravel()), X.ravel())


def test_meaning_of_each():
    x = jnp.arange(6.0).reshape(2, 3)
    assert np.array_equal(Translation((0, 1))(x), [[2, 0, 1], [5, 3, 4]])
    assert np.array_equal(Reflection(1)(x), [[0, 2, 1], [3, 5, 4]])
    assert np.array_equal(Rotation((0, 1))(jnp.array([[0.0, 1.0], [2.0, 3.0]])), [[1, 3], [0, 2]])
    assert np.array_equal(SignFlip()(x), -x)


def test_product_applies_the_last_factor_first():
    shift, mirror = Translation((0, 0, 1)), Reflection(2)
    assert np.array_equal(Product((shift, mirror))(X), shift(mirror(X)))
    word = Product((shift, mirror, Rotation((0, 1))))
    assert np.array_equal(word.inverse()(word(X)), X)


def test_generators_follow_the_extents():
    count = {(3, 3): 2 + 2 + 1 + 1, (3, 4): 2 + 2 + 1, (5,): 1 + 1 + 1}
    assert {shape: len(generators(Lattice(shape))) for shape in count} == count


def test_random_words_are_reproducible():
    elements = generators(Lattice((3, 3)))
    first, second = (random_words(elements, seed=4, n_words=3) for _ in range(2))
    assert [str(word) for word in first] == [str(word) for word in second]
    assert len({str(word) for word in first}) == 3


def test_quarter_turn_needs_equal_extents():
    with pytest.raises(NotASymmetryError, match="equal extents"):
        Rotation((0, 1))(jnp.zeros((2, 3)))
    assert Rotation((0, 1), 2)(jnp.zeros((2, 3))).shape == (2, 3)
