"""The laws of Stein fields, over every family of the catalogue."""

import functools

import jax
import jax.numpy as jnp
import pytest

from catalogue import STEIN_FIELDS, STEIN_ROUNDING, key
from latflow.actions.base import AbstractAction
from latflow.actions.exact import draw_free_field
from latflow.actions.gauge import WilsonAction
from latflow.actions.scalar import FreeField
from latflow.lattice import Lattice
from latflow.samplers.chains import advance
from latflow.samplers.heatbath import HeatBath
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import OMF2
from latflow.testing.stein import ROUNDING, divergence_is_trace, stein_averages_vanish
from latflow.variates.base import AbstractSteinFields
from latflow.variates.catalogue import family


@pytest.mark.parametrize("name", STEIN_FIELDS)
def test_divergences_are_traces(name: str) -> None:
    fields, action = STEIN_FIELDS[name]()
    result = divergence_is_trace(key(71), fields, action, limit=STEIN_ROUNDING.get(name, ROUNDING))
    assert result.passed, result.line()
    assert len(fields.names) == fields.n_fields == len(set(fields.names))


@functools.cache
def groups(name: str) -> jax.Array:
    """64 independent chains of the action of these fields, whose start is forgotten: 16 records each."""
    action = STEIN_FIELDS[name]()[1]
    step = jnp.asarray(0.25)
    kernel = HeatBath(action) if isinstance(action, WilsonAction) else HMC(action, OMF2, step_size=step, n_steps=4)
    start = jax.vmap(action.space.random)(jax.random.split(key(76), 64))
    _, records = advance(kernel, key(77), start, first=0, n_records=20, thin=5)
    return jnp.swapaxes(records.x, 0, 1)[:, 4:]


AT_NIGHT = ("loops, SU(3) 4x4",)
"""Ten seconds of compilation; `variates/test_gauge_loops.py` has means of loops of other groups by day."""
BY_DAY = [pytest.param(name, marks=pytest.mark.nightly) if name in AT_NIGHT else name for name in STEIN_FIELDS]


@pytest.mark.parametrize("name", BY_DAY)
def test_averages_vanish(name: str) -> None:
    """On chains; of the largest of all fields a true mean of 0 reaches 5σ of 63 degrees of freedom once in 10 000 keys.

    Seen is a mean of about a sixth of the spread of one value, 5/√(64 · 16), where records are independent.
    """
    fields, action = STEIN_FIELDS[name]()
    of_action = next(other for other in STEIN_FIELDS if repr(STEIN_FIELDS[other]()[1]) == repr(action))
    result = stein_averages_vanish(fields, action, groups(of_action))
    assert result.passed, result.line()


@pytest.fixture(scope="module")
def free() -> tuple[AbstractSteinFields, AbstractAction, jax.Array]:
    """Fields at their default size, and 64 groups of 500 exact draws."""
    lattice = Lattice((4, 4))
    action = FreeField(lattice, mass_squared=0.5)
    draw = jax.jit(jax.vmap(lambda k: draw_free_field(k, lattice, mass_squared=0.5)))
    x = draw(jax.random.split(key(72), 64 * 500)).reshape(64, 500, 4, 4)
    return family("lattice").create(key(73), action.space, {}), action, x


def test_averages_vanish_on_exact_draws(free: tuple[AbstractSteinFields, AbstractAction, jax.Array]) -> None:
    """Among 171 fields a true mean of 0 reaches 5σ of 63 degrees of freedom once in 1000 keys."""
    result = stein_averages_vanish(*free)
    assert result.passed, result.line()


def test_averages_of_another_action_do_not_vanish(
    free: tuple[AbstractSteinFields, AbstractAction, jax.Array],
) -> None:
    fields, action, x = free
    result = stein_averages_vanish(fields, action.with_parameters(mass_squared=0.52), x)
    assert not result.passed


def test_fields_on_another_lattice_keep_their_weights() -> None:
    small, _ = STEIN_FIELDS["lattice, sine-Gordon 3x3"]()
    large = small.on(FreeField(Lattice((6, 8)), mass_squared=1.0).space)
    assert large.names == small.names
    assert jax.tree.all(jax.tree.map(jnp.array_equal, jax.tree.leaves(large), jax.tree.leaves(small)))
