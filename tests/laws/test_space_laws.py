"""Every space of the catalogue keeps the laws of a space."""

import jax
import pytest

from catalogue import SPACES
from latflow.testing import SPACE_LAWS


@pytest.mark.parametrize("law", SPACE_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", SPACES)
def test_space_law(name, law):
    result = law(jax.random.key(11), SPACES[name]())
    assert result.passed, result.line()
