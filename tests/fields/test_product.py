"""Products of fields, and a toy of what needs them: an auxiliary field that is drawn afresh for every trajectory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from latflow.actions import exact
from latflow.actions.base import AbstractAction, autodiff_force
from latflow.actions.scalar import FreeField
from latflow.actions.sums import SummedAction
from latflow.errors import ConfigError
from latflow.fields.product import Held, ProductSpace
from latflow.fields.spaces import ScalarSpace
from latflow.in_memory import run_chain
from latflow.lattice import Lattice
from latflow.samplers import chains as chains_module
from latflow.samplers.chains import advance, starts
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import FORCE_GRADIENT, OMF2

LATTICE = Lattice((2, 3))
FREE = FreeField(LATTICE, mass_squared=0.7)
KEY = jax.random.key(71)
N_CHAINS, N_STEPS = 512, 120


class Companion(AbstractAction):
    """A free field φ and a field χ that is φ and standard normal noise: integrated over χ, the free field."""

    space: ProductSpace

    def __init__(self, held):
        scalar = ScalarSpace(LATTICE.shape)
        self.space = ProductSpace({"phi": scalar, "chi": Held(scalar) if held else scalar})

    @override
    def __call__(self, x):
        return FREE(x["phi"]) + 0.5 * jnp.sum((x["chi"] - x["phi"]) ** 2)

    @override
    def force(self, x):
        return autodiff_force(self, x)

    @override
    def refresh(self, key, x):
        return x | {"chi": x["phi"] + jax.random.normal(key, LATTICE.shape)}


@eqx.filter_jit
def run(kernel, key, *, n_steps):
    """Chains from over-dispersed starts: their last states and, of every step, the means of φ² and χ²."""

    def chain(key, number):
        state = kernel.init(kernel.action.space.start(key, number))

        def step(state, i):
            state, transition = kernel.step(jax.random.fold_in(key, i), state)
            return state, ({name: jnp.mean(field**2) for name, field in state.x.items()}, transition.acceptance)

        return jax.lax.scan(step, state, jnp.arange(n_steps))

    return jax.vmap(chain)(jax.random.split(key, N_CHAINS), jnp.arange(N_CHAINS))


@pytest.mark.parametrize("held", [True, False], ids=["held", "moving"])
@pytest.mark.parametrize("scheme", [OMF2, FORCE_GRADIENT], ids=lambda scheme: scheme.name)
def test_hmc_is_exact(scheme, held):
    """⟨φ²⟩ of the free field and one more for χ, within five standard errors of at most 1 %, over chains."""
    kernel = HMC(Companion(held), scheme, step_size=0.4, n_steps=2)
    _, (squares, acceptance) = run(kernel, KEY, n_steps=N_STEPS)
    assert 0.5 < float(jnp.mean(acceptance)) < 1
    expected = float(exact.free_propagator(LATTICE, mass_squared=0.7).flat[0])
    for name, value in {"phi": expected, "chi": expected + 1}.items():
        chains = np.asarray(squares[name])[:, N_STEPS // 2 :].mean(axis=1)
        error = chains.std(ddof=1) / np.sqrt(N_CHAINS)
        assert error < 0.01 * value
        assert abs(chains.mean() - value) < 5 * error


def test_chains_of_several_fields():
    """Tuned chains of both fields in memory: in groups as at once, and exact within five standard errors."""
    kernel = HMC(Companion(held=False), OMF2, step_size=0.3, n_steps=2)
    fields = run_chain(KEY, kernel, n=400, chains=64, warmup=60, thin=2)
    assert {name: field.shape for name, field in fields.items()} == dict.fromkeys(
        ("phi", "chi"), (400, 64, *LATTICE.shape)
    )
    expected = float(exact.free_propagator(LATTICE, mass_squared=0.7).flat[0])
    for name, value in {"phi": expected, "chi": expected + 1}.items():
        chains = np.mean(fields[name] ** 2, axis=(0, 2, 3))
        error = chains.std(ddof=1) / np.sqrt(len(chains))
        assert error < 0.01 * value
        assert abs(chains.mean() - value) < 5 * error


@pytest.mark.parametrize("chains", [16, 64])
def test_groups_of_chains_change_no_bit(chains, monkeypatch):
    kernel = HMC(Companion(held=True), OMF2, step_size=0.3, n_steps=2)
    x = starts(KEY, kernel.action.space, chains=chains)
    whole = advance(kernel, KEY, x, first=3, n_records=2, thin=2)
    monkeypatch.setattr(chains_module, "group_size", lambda n, size: n // 2)
    parts = advance(kernel, KEY, x, first=3, n_records=2, thin=2)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, whole, parts))


def test_auxiliary_fields_are_new_after_a_rejected_trajectory():
    """Steps far too long: φ stays, χ is drawn afresh about it, and the state carries the action of both."""
    action = Companion(held=False)
    kernel = HMC(action, OMF2, step_size=50.0, n_steps=2)
    before = kernel.init(action.space.random(KEY))
    after, transition = kernel.step(jax.random.fold_in(KEY, 1), before)
    assert not transition.accepted
    assert jnp.array_equal(after.x["phi"], before.x["phi"])
    assert not jnp.any(after.x["chi"] == before.x["chi"])
    assert float(after.action) == pytest.approx(float(action(after.x)))


def test_sums_refresh_every_part():
    action = SummedAction((Companion(held=True), Companion(held=True)))
    x = action.space.random(KEY)
    fresh = action.refresh(KEY, x)
    assert jnp.array_equal(fresh["phi"], x["phi"])
    assert not jnp.any(fresh["chi"] == x["chi"])
    force = action.force(x)
    assert force["chi"].shape == (0,)
    np.testing.assert_allclose(force["phi"], 2 * action.parts[0].force(x)["phi"])


def test_actions_without_auxiliary_fields_compute_nothing():
    x = FREE.space.random(KEY)
    assert FREE.refresh(KEY, x) is x
    assert SummedAction((FREE, FREE)).refresh(KEY, x) is x


def test_shapes_and_degrees_of_freedom():
    space = Companion(held=True).space
    assert space.shape == {"phi": (2, 3), "chi": (2, 3)}
    assert space.tangent_shape == {"phi": (2, 3), "chi": (0,)}
    assert space.dof == 6
    assert not space.is_compact


def test_fields_do_not_share_random_numbers():
    x = Companion(held=False).space.random(KEY)
    assert not jnp.any(x["phi"] == x["chi"])


def test_an_empty_product_is_refused():
    with pytest.raises(ConfigError, match="one or more spaces"):
        ProductSpace({})
