"""A conditional flow is an ordinary flow at every coupling, by polynomials in the logarithm over its range."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import conditional_flow
from latflow.actions.scalar import FreeField, PhiFour
from latflow.errors import ConfigError
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow, conditioned, flow_for
from latflow.flows.continuous import continuous_flow
from latflow.flows.mixture import Z2Mixture
from latflow.flows.transfer import transferred, widened
from latflow.lattice import Lattice
from latflow.testing import scrambled
from latflow.training.model_file import ModelMismatchError, load_model, save_model

LOWER, UPPER, ORDER = 5.0, 7.0, 2
LATTICE = Lattice((4, 4))


def ordinary(dtype="float64", lattice=LATTICE):
    fresh = continuous_flow(
        jax.random.key(1), lattice, n_contexts=2, n_hidden=3, n_times=2, radius=2, n_steps=2, dtype=dtype
    )
    return scrambled(jax.random.key(2), fresh, scale=0.2)


def model(dtype="float64"):
    flat = conditioned(ordinary(dtype), lower=LOWER, upper=UPPER, order=ORDER)
    return scrambled(jax.random.key(3), flat, scale=0.1)


def arrays(flow):
    return jax.tree.leaves(eqx.filter(flow, eqx.is_inexact_array))


def distance(a, b):
    return max(float(jnp.max(jnp.abs(x - y))) for x, y in zip(arrays(a), arrays(b), strict=True))


def by_hand(coefficients, coupling):
    """θ(λ) from the textbook: T_k(u) = cos(k arccos u) and u linear in ln λ."""
    u = 2 * math.log(coupling / LOWER) / math.log(UPPER / LOWER) - 1
    return sum(math.cos(k * math.acos(min(1.0, max(-1.0, u)))) * c for k, c in enumerate(np.asarray(coefficients)))


@pytest.mark.parametrize("coupling", [5.0, 5.3, 6.4, 7.0])
def test_weights_are_chebyshev_sums_in_the_logarithm(coupling):
    conditional = model()
    found = conditional.at(coupling)
    for coefficients, leaf in zip(arrays(conditional.coefficients), arrays(found), strict=True):
        np.testing.assert_allclose(leaf, by_hand(coefficients, coupling), rtol=0, atol=1e-13)
    # an ordinary flow: the structure of the one it came from, none of the polynomials left
    assert jax.tree.structure(found) == jax.tree.structure(ordinary())
    assert [leaf.shape for leaf in arrays(found)] == [leaf.shape for leaf in arrays(ordinary())]


def test_positions_and_couplings():
    conditional = model()
    assert np.allclose([conditional.position(x) for x in (LOWER, math.sqrt(LOWER * UPPER), UPPER)], [-1, 0, 1])
    assert np.isclose(conditional.value(conditional.position(5.7)), 5.7)
    assert (conditional.contains(5.0), conditional.contains(7.0), conditional.contains(4.99)) == (True, True, False)
    assert conditional.order == ORDER


def test_beyond_an_end_stands_the_flow_of_that_end():
    conditional = model()
    assert distance(conditional.at(8.5), conditional.at(7.0)) < 1e-12
    assert distance(conditional.at(3.0), conditional.at(5.0)) < 1e-12
    assert distance(conditional.at(5.0), conditional.at(7.0)) > 1e-2


def test_an_ordinary_flow_becomes_the_same_at_every_coupling():
    flow = ordinary("float32")
    flat = conditioned(flow, lower=LOWER, upper=UPPER, order=3)
    assert all(distance(flat.at(c), flow) < 1e-6 for c in (5.0, 5.9, 7.0))
    assert [leaf.dtype for leaf in arrays(flat.at(6.0))] == [leaf.dtype for leaf in arrays(flow)]


def test_a_smaller_range_and_a_higher_degree_change_nothing():
    conditional = model()
    again = conditioned(conditional, lower=5.5, upper=6.5, order=4)
    assert (again.lower, again.upper, again.order) == (5.5, 6.5, 4)
    assert max(distance(again.at(c), conditional.at(c)) for c in (5.5, 5.8, 6.2, 6.5)) < 1e-12


def test_mixtures_have_couplings_too():
    conditional = conditioned(Z2Mixture(ordinary()), lower=LOWER, upper=UPPER, order=1)
    found = conditional.at(6.0)
    assert type(found) is Z2Mixture
    assert distance(found, Z2Mixture(ordinary())) < 1e-12


def test_the_flow_for_an_action_is_that_at_its_parameter():
    flow, at_6 = ordinary(), PhiFour(LATTICE, mass_squared=5.5, coupling=6.0)
    assert flow_for(flow, at_6) is flow
    assert distance(flow_for(model(), at_6), model().at(6.0)) == 0
    of_mass = eqx.tree_at(lambda f: f.coefficients, massive(), model().coefficients)
    assert distance(flow_for(of_mass, at_6), model().at(5.5)) == 0
    with pytest.raises(ConfigError, match="FreeField: no parameter coupling"):
        flow_for(model(), FreeField(LATTICE, mass_squared=1.0))


def massive():
    return conditioned(ordinary(), lower=LOWER, upper=UPPER, order=ORDER, parameter="mass_squared")


def test_its_parameter_is_kept_and_no_other_one_taken():
    """On another lattice, with wider kernels and over a smaller range it is conditional on the same."""
    flow = massive()
    narrow = conditioned(flow, lower=5.5, upper=6.5, order=1, parameter="mass_squared")
    others = [transferred(flow, Lattice((6, 6))), widened(flow, 3), narrow]
    assert [other.parameter for other in others] == 3 * ["mass_squared"]
    assert model().parameter == "coupling"
    assert len(jax.tree.leaves(flow)) == len(jax.tree.leaves(model()))
    with pytest.raises(ConfigError, match=r"flow\.parameter: coupling; allowed: mass_squared"):
        conditioned(flow, lower=5.5, upper=6.5, order=1)


@eqx.filter_jit
def draw(conditional, coupling):
    return conditional.at(coupling).sample_and_log_prob(jax.random.key(5))[0]


def test_draws_differ_smoothly_between_values():
    """The same key at couplings closer and closer: differences fall in proportion."""
    x = {c: draw(model(), jnp.asarray(c)) for c in (6.0, 6.01, 6.1)}
    near, far = (float(jnp.max(jnp.abs(x[c] - x[6.0]))) for c in (6.01, 6.1))
    assert 0 < near < 0.2 * far


def test_another_lattice():
    """At the nodes, and for weights stored by displacement everywhere, it is the ordinary transfer."""
    conditional, large = model(), Lattice((6, 6))
    moved = transferred(conditional, large)
    assert moved.shape == (6, 6)
    velocity = transferred(conditional.at(5.8), large).bijection
    assert distance(moved.at(5.8).bijection, velocity) < 1e-12
    node = conditional.value(0.0)
    assert distance(moved.at(node), transferred(conditional.at(node), large)) < 1e-12


def test_room_for_wider_kernels_changes_nothing():
    narrow = model()
    wide = widened(narrow, 3)
    x = jax.random.normal(jax.random.key(8), LATTICE.shape)
    assert isinstance(wide, ConditionalFlow)
    assert wide.at(5.3).bijection.velocity.radius == 3
    assert eqx.tree_equal(widened(narrow, narrow.at(5.3).bijection.velocity.radius), narrow)
    assert np.isclose(wide.at(5.3).log_prob(x), narrow.at(5.3).log_prob(x), atol=1e-10)


def test_float64_combines_the_very_weights_of_float32():
    conditional = model("float32")
    wide = cast(conditional, "float64").at(6.1)
    for coefficients, leaf in zip(arrays(conditional.coefficients), arrays(wide), strict=True):
        assert leaf.dtype == np.float64
        np.testing.assert_allclose(leaf, by_hand(np.asarray(coefficients, float), 6.1), rtol=0, atol=1e-13)


def test_saved_and_loaded(tmp_path):
    conditional = model("float32")
    save_model(tmp_path, conditional, header={})
    loaded, _ = load_model(tmp_path, conditioned(ordinary("float32"), lower=LOWER, upper=UPPER, order=ORDER))
    assert bool(eqx.tree_equal(loaded, conditional))
    with pytest.raises(ModelMismatchError, match="float32"):
        load_model(tmp_path, conditioned(ordinary("float32"), lower=LOWER, upper=UPPER, order=3))
    with pytest.raises(ModelMismatchError):
        load_model(tmp_path, ordinary("float32"))


@pytest.mark.parametrize(("lower", "upper"), [(7.0, 5.0), (5.0, 5.0), (0.0, 5.0), (-1.0, 5.0), (5.0, math.inf)])
def test_no_range(lower, upper):
    with pytest.raises(ConfigError, match=r"flow\.coupling_range.*two increasing numbers > 0"):
        ConditionalFlow(ordinary(), lower, upper)


def test_the_catalogue_flow_is_conditional():
    """The laws of the catalogue would prove little if its weights were the same at all couplings."""
    flow = conditional_flow((2, 2))
    assert distance(flow.at(5.0), flow.at(6.4)) > 1e-2
