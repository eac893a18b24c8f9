"""Every law sees the defect it is there for: deliberately broken objects must not pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from typing_extensions import override

from latflow.actions.base import AbstractLocalAction
from latflow.actions.scalar import FreeField, PhiFour
from latflow.bijections.base import AbstractBijection
from latflow.distributions import AbstractDistribution, Normal
from latflow.fields.spaces import AbstractFieldSpace, ScalarSpace
from latflow.fields.symmetry import SignFlip, Translation
from latflow.lattice import Lattice
from latflow.samplers.base import AbstractWeightedSampler, Weighted
from latflow.testing import bijections, distributions, finite, spaces
from latflow.testing.actions import (
    agrees_with,
    colours_are_independent,
    force_is_finite_difference,
    force_is_gradient,
    invariant_under,
    site_difference_is_exact,
    value_comes_with_the_force,
)
from latflow.testing.result import judge, judge_mean

KEY = jax.random.key(81)
PLAIN = ScalarSpace((2, 2))


class BrokenSpace(AbstractFieldSpace):
    """R^V with one thing wrong."""

    fault: str
    shape: tuple[int, ...] = (2, 2)
    tangent_shape: tuple[int, ...] = (2, 2)

    @override
    def cold(self) -> Array:
        return PLAIN.cold()

    @override
    def random(self, key: Array) -> Array:
        return PLAIN.random(key)

    @override
    def start(self, key: Array, number: Array) -> Array:
        return PLAIN.start(key, number) / jnp.where(self.fault == "starts outside", number - 3, 1)

    @override
    def move(self, x: Array, p: Array) -> Array:
        if self.fault == "escapes":
            return x + p / 0.0
        return x + p + (0.1 * p**2 if self.fault == "one way" else 0.0)

    @override
    def displace(self, x: Array, p: Array) -> Array:
        return 1.1 * p if self.fault == "displace" else p

    @override
    def coordinates(self, x: Array, dx: Array) -> Array:
        return 1.1 * dx if self.fault == "coordinates" else dx

    @override
    def defect(self, x: Array) -> Array:
        return PLAIN.defect(x)

    @override
    def momentum(self, key: Array) -> Array:
        p = PLAIN.momentum(key)
        return {"cold": 0.9 * p, "drifting": p + 0.1, "correlated": p + 0.1 * jnp.roll(p, 1)}.get(self.fault, p)


SPACE_FAULTS = {
    "coordinates": spaces.coordinates_invert_displace,
    "displace": spaces.displace_is_first_order,
    "escapes": spaces.move_stays_inside,
    "starts outside": spaces.starts_are_inside,
    "one way": spaces.move_reverses,
    "cold": spaces.momentum_is_standard_normal,
    "drifting": spaces.momentum_is_standard_normal,
    "correlated": spaces.momentum_is_standard_normal,
}


@pytest.mark.parametrize("fault", SPACE_FAULTS)
def test_space_laws(fault):
    law = SPACE_FAULTS[fault]
    assert law(KEY, BrokenSpace("none")).passed
    assert not law(KEY, BrokenSpace(fault)).passed


class BrokenAction(AbstractLocalAction):
    """φ⁴ with one thing wrong."""

    fault: str
    space: ScalarSpace
    phi_four: PhiFour

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.phi_four = PhiFour(Lattice((2, 4)), mass_squared=-1.0, coupling=1.0)
        self.space = self.phi_four.space

    @override
    def __call__(self, x: Array) -> Array:
        extra = {
            "diagonal": jnp.sum(x * jnp.roll(x, (1, 1), axis=(0, 1))),
            "field": jnp.sum(x),
            "source": x[0, 0] ** 2,
        }
        return self.phi_four(x) + extra.get(self.fault, 0.0)

    @override
    def force(self, x: Array) -> Array:
        return (1 + 1e-8 * (self.fault == "force")) * self.phi_four.force(x)

    @override
    def value_and_force(self, x: Array) -> tuple[Array, Array]:
        return self(x) + 1e-9 * (self.fault == "force"), self.force(x)

    @override
    def site_difference(self, x: Array, proposal: Array) -> Array:
        if self.fault == "diagonal":
            far = jnp.roll(x, (1, 1), axis=(0, 1)) + jnp.roll(x, (-1, -1), axis=(0, 1))
            return self.phi_four.site_difference(x, proposal) + (proposal - x) * far
        return self.phi_four.site_difference(x, proposal)


ACTION_FAULTS = [
    ("force", force_is_finite_difference),
    ("force", force_is_gradient),
    ("force", value_comes_with_the_force),
    ("field", site_difference_is_exact),
    ("diagonal", colours_are_independent),
    ("field", lambda key, action: invariant_under(key, action, (SignFlip(),))),
    ("source", lambda key, action: invariant_under(key, action, (Translation((0, 1)),))),
    ("source", lambda key, action: agrees_with(key, action, lambda x: float(action.phi_four(jnp.asarray(x))))),
]


@pytest.mark.parametrize(("fault", "law"), ACTION_FAULTS)
def test_action_laws(fault, law):
    assert law(KEY, BrokenAction("none")).passed
    assert not law(KEY, BrokenAction(fault)).passed


class BrokenBijection(AbstractBijection):
    """A shear of the two halves of a field, with one thing wrong."""

    fault: str

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Array, Array]:
        a, b = x
        scale = jnp.tanh(a)
        y = jnp.stack([a, b * jnp.exp(scale)])
        if self.fault == "batch":
            # what a function with a hidden batch axis does: it mixes what vmap keeps apart, here through precision
            y = y.astype(jnp.float32).astype(x.dtype)
        return y, jnp.sum(scale) * (1 + 1e-9 * (self.fault == "log det"))

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Array, Array]:
        a, b = y
        scale = jnp.tanh(a)
        x = jnp.stack([a, b * jnp.exp(-scale * (1 + 1e-7 * (self.fault == "inverse")))])
        return x, -jnp.sum(scale) + 1e-9 * (self.fault == "sign")


BIJECTION_FAULTS = [
    ("inverse", bijections.round_trip_worst),
    ("inverse", bijections.round_trip_typical),
    ("batch", bijections.round_trip_worst),
    ("log det", bijections.log_det_is_jacobian),
    ("sign", bijections.inverse_log_det_is_negative),
]


@pytest.mark.parametrize(("fault", "law"), BIJECTION_FAULTS)
def test_bijection_laws(fault, law):
    fields = bijections.spread_fields(KEY, PLAIN)
    assert law(BrokenBijection("none"), PLAIN, fields).passed
    assert not law(BrokenBijection(fault), PLAIN, fields).passed


def test_equivariance():
    """The shear treats its rows differently, and its columns alike."""
    fields = bijections.spread_fields(KEY, PLAIN)
    assert bijections.equivariant_under(BrokenBijection("none"), PLAIN, (Translation((0, 1)),), fields).passed
    both = (Translation((0, 1)), Translation((1, 0)))  # the second one is no symmetry
    assert not bijections.equivariant_under(BrokenBijection("none"), PLAIN, both, fields).passed


class BrokenDensity(AbstractDistribution):
    """A normal distribution that lies about its density."""

    sampled: float
    claimed: float
    space: ScalarSpace = ScalarSpace((2,))

    @override
    def sample_and_log_prob(self, key: Array) -> tuple[Array, Array]:
        x, log_q = Normal((2,)).sample_and_log_prob(key)
        return x, log_q + self.sampled

    @override
    def log_prob(self, x: Array) -> Array:
        return Normal((2,)).log_prob(x) + self.claimed


def test_density_laws():
    assert distributions.log_prob_is_sampled(KEY, BrokenDensity(0.0, 0.0)).passed
    assert not distributions.log_prob_is_sampled(KEY, BrokenDensity(0.0, 1e-9)).passed
    assert distributions.density_is_normalised(KEY, BrokenDensity(0.0, 0.0), Narrow()).passed
    assert not distributions.density_is_normalised(KEY, BrokenDensity(0.05, 0.05), Narrow()).passed


class Draws(AbstractWeightedSampler):
    """Draws of a density with their weights in a normal theory, off by a constant."""

    density: BrokenDensity
    off: float

    @override
    def draw(self, key: Array) -> Weighted:
        x, log_q = self.density.sample_and_log_prob(key)
        return Weighted(x, -FreeField(Lattice((2,)), mass_squared=1.0)(x) - log_q + self.off)


@pytest.mark.parametrize(
    ("claimed", "off", "passed"), [(0.0, 0.0, [True, True]), (0.0, 1e-9, [True, False]), (1e-9, -1e-9, [False, True])]
)
def test_laws_of_a_flow_in_one_program(claimed, off, passed):
    density = BrokenDensity(0.0, claimed)
    results = distributions.flow_laws(KEY, Draws(density, off), density, FreeField(Lattice((2,)), mass_squared=1.0))
    assert [result.passed for result in results] == passed


class Narrow(AbstractDistribution):
    """A normal distribution of width one half."""

    space: ScalarSpace = ScalarSpace((2,))

    @override
    def sample_and_log_prob(self, key: Array) -> tuple[Array, Array]:
        x = 0.5 * jax.random.normal(key, (2,))
        return x, self.log_prob(x)

    @override
    def log_prob(self, x: Array) -> Array:
        return Normal((2,)).log_prob(2 * x) + 2 * jnp.log(2.0)


class Modes(AbstractWeightedSampler):
    """Draws of a normal target, or of its half x > 0 only; the weights look the same either way but for a factor."""

    collapsed: bool

    @override
    def draw(self, key: Array) -> Weighted:
        x = 1.1 * jax.random.normal(key, (1,))
        log_q = Normal((1,)).log_prob(x / 1.1) - jnp.log(1.1)
        if self.collapsed:
            x, log_q = jnp.abs(x), log_q + jnp.log(2.0)
        return Weighted(x, Normal((1,)).log_prob(x) - log_q)


def test_a_lost_mode_is_seen_in_log_z():
    """Acceptance near one, and log Z too small by ln 2."""
    assert distributions.weights_average_to_z(KEY, Modes(collapsed=False), log_z=0.0, n=20_000, max_error=0.01).passed
    result = distributions.weights_average_to_z(KEY, Modes(collapsed=True), log_z=0.0, n=20_000, max_error=0.01)
    assert not result.passed
    assert result.value > 100


def test_equal_samples_are_judged_at_rounding():
    assert judge_mean("mean", np.full(10, 0.1), expected=0.1).passed
    assert not judge_mean("mean", np.full(10, 0.1), expected=0.2).passed


def test_an_inconclusive_statistical_test_does_not_pass():
    samples = np.random.default_rng(0).normal(1.0, 1.0, size=100)
    assert judge_mean("mean", samples, expected=1.0).passed
    assert not judge_mean("mean", samples, expected=1.0, max_error=0.01).passed


def test_nan_never_passes():
    result = judge("law", float("nan"), limit=1.0, detail="why")
    assert not result.passed
    assert result.line() == "FAIL  law: nan ≤ 1.00e+00  (why)"


def test_transition_matrix_laws():
    """An accept rule without the minimum at one, and one that ignores the ratio."""
    energy = np.array([0.0, 0.4, 1.1])
    proposal = np.full((3, 3), 1 / 3)
    ratio = energy[:, None] - energy[None, :]
    weights = np.exp(-energy)
    rules = {
        "metropolis": lambda log_u: log_u < ratio,
        "heat bath": lambda log_u: log_u < -np.log1p(np.exp(-ratio)),
        "always": lambda log_u: np.full_like(log_u, fill_value=True, dtype=bool),
        "timid": lambda log_u: log_u < 2 * ratio,
    }
    verdicts = {}
    for name, rule in rules.items():
        matrix = finite.transition_matrix(proposal, finite.acceptance_probability(rule, (3, 3)))
        assert np.allclose(matrix.sum(axis=1), 1)
        verdicts[name] = finite.detailed_balance(matrix, weights).passed, finite.stationarity(matrix, weights).passed
    assert verdicts == {
        "metropolis": (True, True),
        "heat bath": (True, True),
        "always": (False, False),
        "timid": (False, False),
    }


def test_acceptance_probability_is_exact():
    probability = finite.acceptance_probability(lambda log_u: np.exp(log_u) < [0.0, 0.3, 1.0, 2.0], (4,))
    assert np.allclose(probability, [0.0, 0.3, 1.0, 1.0], rtol=1e-15, atol=1e-17)
