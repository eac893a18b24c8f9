"""Every observable is invariant under the symmetries of its lattice (E18)."""

import jax
import pytest

from catalogue import OBSERVABLE_ACTIONS, observables
from latflow.fields.symmetry import SignFlip, generators, random_words
from latflow.lattice import Lattice
from latflow.testing import observables_invariant_under


@pytest.mark.parametrize("name", OBSERVABLE_ACTIONS)
def test_lattice_symmetries(name):
    action = OBSERVABLE_ACTIONS[name]()
    elements = [e for e in generators(Lattice(action.space.shape)) if not isinstance(e, SignFlip)]
    words = random_words(tuple(elements), seed=8, n_words=3)
    results = observables_invariant_under(jax.random.key(91), observables(action), action.space, words)
    assert [result.line() for result in results if not result.passed] == []


@pytest.mark.parametrize("name", OBSERVABLE_ACTIONS)
def test_only_the_magnetization_sees_the_sign(name):
    action = OBSERVABLE_ACTIONS[name]()
    results = observables_invariant_under(jax.random.key(92), observables(action), action.space, (SignFlip(),))
    assert [result.name for result in results if not result.passed] == ["magnetization respects the symmetries"]
