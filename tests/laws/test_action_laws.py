"""Every action of the catalogue keeps the laws of an action: force, locality, symmetries (E5, E18)."""

import jax
import pytest

from catalogue import ACTIONS, LINK_ACTIONS, LOCAL_ACTIONS, symmetries
from latflow.fields.symmetry import random_words
from latflow.testing import ACTION_LAWS, LINK_ACTION_LAWS, LOCAL_ACTION_LAWS, invariant_under


@pytest.mark.parametrize("law", ACTION_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", ACTIONS)
def test_action_law(name, law):
    result = law(jax.random.key(21), ACTIONS[name]())
    assert result.passed, result.line()


@pytest.mark.parametrize("law", LOCAL_ACTION_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", LOCAL_ACTIONS)
def test_local_action_law(name, law):
    result = law(jax.random.key(22), LOCAL_ACTIONS[name]())
    assert result.passed, result.line()


@pytest.mark.parametrize("law", LINK_ACTION_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", LINK_ACTIONS)
def test_link_action_law(name, law):
    result = law(jax.random.key(24), LINK_ACTIONS[name]())
    assert result.passed, result.line()


@pytest.mark.parametrize("name", ACTIONS)
def test_action_respects_the_lattice_symmetries(name):
    action = ACTIONS[name]()
    if elements := symmetries(action):
        result = invariant_under(jax.random.key(23), action, random_words(elements, seed=3, n_words=3))
        assert result.passed, result.line()
