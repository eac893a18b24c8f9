"""Actions name their numbers, and make the same theory at other values of them."""

import math

import equinox as eqx
import jax
import pytest

from catalogue import ACTIONS
from latflow.actions.gauge import WilsonAction
from latflow.actions.scalar import FreeField, PhiFour
from latflow.actions.sums import SummedAction
from latflow.errors import ConfigError
from latflow.groups import U1
from latflow.lattice import Lattice
from latflow.theories.sine_gordon.physics import SineGordon

LATTICE = Lattice((2, 2))
SINE_GORDON = SineGordon(LATTICE, mass_squared=0.4, alpha=1.3)


def test_names_are_those_of_the_numbers_in_order() -> None:
    assert PhiFour(LATTICE, mass_squared=-4.0, coupling=8.0).parameters == ("mass_squared", "coupling")
    assert SINE_GORDON.parameters == ("mass_squared", "alpha")
    assert SummedAction((FreeField(LATTICE, mass_squared=1.0),)).parameters == ()


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_itself_at_its_own_parameters(name: str) -> None:
    action = ACTIONS[name]()
    own = {parameter: float(getattr(action, parameter)) for parameter in action.parameters}
    assert bool(eqx.tree_equal(action.with_parameters(**own), action))


def test_other_values_are_those_of_the_constructor() -> None:
    found = SINE_GORDON.with_parameters(alpha=0.7, mass_squared=0.3)
    assert bool(eqx.tree_equal(found, SineGordon(LATTICE, mass_squared=0.3, alpha=0.7)))
    assert float(SINE_GORDON.alpha) == 1.3


def test_they_are_named_under_jit_and_differentiated() -> None:
    x = jax.random.normal(jax.random.key(1), (2, 2))

    @eqx.filter_jit
    def slope(action: SineGordon, alpha: jax.Array) -> jax.Array:
        return jax.grad(lambda alpha: action.with_parameters(alpha=alpha)(x))(alpha)

    expected = (1 - jax.numpy.cos(x)).sum()
    assert float(slope(SINE_GORDON, jax.numpy.asarray(0.5))) == pytest.approx(float(expected))


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ConfigError, match="SineGordon: no parameter beta; allowed: mass_squared, alpha"):
        SINE_GORDON.with_parameters(beta=1.0)
    with pytest.raises(ConfigError, match="SummedAction: no parameter beta; allowed: none"):
        SummedAction((SINE_GORDON,)).with_parameters(beta=1.0)


@pytest.mark.parametrize(
    ("action", "values"),
    [
        (PhiFour(Lattice((2, 2)), mass_squared=1.0, coupling=1.0), {"coupling": -2.0}),
        (PhiFour(Lattice((2, 2)), mass_squared=1.0, coupling=1.0), {"coupling": 0.0, "mass_squared": -1.0}),
        (FreeField(Lattice((2, 2)), mass_squared=1.0), {"mass_squared": -1.0}),
        (FreeField(Lattice((2, 2)), mass_squared=1.0), {"mass_squared": math.nan}),
        (WilsonAction(Lattice((2, 2)), U1(), beta=1.0), {"beta": -1.0}),
        (WilsonAction(Lattice((2, 2)), U1(), beta=1.0), {"beta": math.inf}),
        (SINE_GORDON, {"mass_squared": 0.0}),
    ],
)
def test_values_without_a_theory_are_refused(action, values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        action.with_parameters(**values)


def test_words_are_no_values():
    with pytest.raises(TypeError, match="alpha"):
        SINE_GORDON.with_parameters(alpha="3")
