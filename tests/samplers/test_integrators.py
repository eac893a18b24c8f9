"""The tables, and the engine against motion that is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typing_extensions import override

from latflow.actions.base import AbstractAction
from latflow.actions.gauge import ImprovedAction
from latflow.actions.scalar import FreeField, PhiFour
from latflow.actions.sums import SummedAction
from latflow.errors import ConfigError
from latflow.fields.spaces import ScalarSpace
from latflow.fourier import complex_momentum_squared
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.samplers import integrators
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import FORCE_GRADIENT, LEAPFROG, OMF2, SCHEMES, Level, Nested, integrate, n_forces

FREE = FreeField(Lattice((4,)), mass_squared=0.8)
STEPS = (10, 14, 20, 28, 40)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_table(scheme):
    """Consistent, palindromic (hence reversible), one kick more than drifts."""
    assert len(scheme.kicks) == len(scheme.drifts) + 1
    assert sum(scheme.kicks) == pytest.approx(1, abs=1e-15)
    assert sum(scheme.drifts) == pytest.approx(1, abs=1e-15)
    assert scheme.kicks == pytest.approx(scheme.kicks[::-1], abs=0)
    assert scheme.drifts == pytest.approx(scheme.drifts[::-1], abs=0)
    assert scheme.gradients == scheme.gradients[::-1]
    assert len(scheme.gradients) in (0, len(scheme.drifts) - 1)


def exact_motion(x, p, time):
    """Normal modes of the free field oscillate with frequency sqrt(2 (k² + m²))."""
    omega = np.sqrt(2 * (complex_momentum_squared(Lattice((4,))) + 0.8))
    a, b = np.fft.fft(x), np.fft.fft(p)
    y = a * np.cos(omega * time) + b * np.sin(omega * time) / omega
    q = b * np.cos(omega * time) - a * omega * np.sin(omega * time)
    return np.fft.ifft(y).real, np.fft.ifft(q).real


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_order_of_the_trajectory(scheme):
    """E6: the distance from the exact end point, not only the energy, falls like step_size**order."""
    x, p = np.random.default_rng(0).normal(size=(2, 4))
    errors = []
    for n in STEPS:
        y, q, _ = jax.jit(lambda x, p, n=n: integrate(FREE, scheme, x, p, step_size=jnp.asarray(1 / n), n_steps=n))(
            x, p
        )
        errors.append(np.max(np.abs(np.concatenate([y, q]) - np.concatenate(exact_motion(x, p, 1.0)))))
    slope = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
    assert slope == pytest.approx(scheme.order, abs={2: 0.05, 4: 0.1}[scheme.order])


PHI_FOUR = PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)
TWO = Nested((Level(LEAPFROG, terms=(0,)), Level(OMF2, 2, terms=(1,))))


@pytest.mark.parametrize("scheme", [LEAPFROG, TWO], ids=lambda s: s.name)
def test_returns_the_action_of_the_end_point(scheme):
    action = PHI_FOUR
    x, p = 0.3 * np.random.default_rng(1).normal(size=(2, 4, 4))
    y, _, value = integrate(action, scheme, jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(0.1), n_steps=3)
    assert float(value) == pytest.approx(float(action(y)), rel=1e-14)


def test_one_leapfrog_step_by_hand():
    x, p = np.random.default_rng(2).normal(size=(2, 4))
    y, q, _ = integrate(
        FREE, SCHEMES["leapfrog"], jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(0.2), n_steps=1
    )

    half = p - 0.1 * force(x)
    end = x + 0.2 * half
    np.testing.assert_allclose(y, end, rtol=1e-14)
    np.testing.assert_allclose(q, half - 0.1 * force(end), rtol=1e-13)


def force(x):
    """Of the free field, for numpy."""
    return 2 * (2 + 0.8) * x - 2 * (np.roll(x, 1) + np.roll(x, -1))


def test_one_force_gradient_step_by_hand():
    """Outer kicks of a sixth; the middle one is that of the field moved by h²/24 of its own force."""
    x, p = np.random.default_rng(3).normal(size=(2, 4))
    h = 0.2
    y, q, _ = integrate(FREE, FORCE_GRADIENT, jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(h), n_steps=1)
    p = p - h / 6 * force(x)
    x = x + h / 2 * p
    p = p - 2 * h / 3 * force(x - h**2 / 24 * force(x))
    x = x + h / 2 * p
    np.testing.assert_allclose(y, x, rtol=1e-13)
    np.testing.assert_allclose(q, p - h / 6 * force(x), rtol=1e-13)


def test_nested_steps_by_hand():
    """Two steps of leapfrog for the bonds; in their drifts the potential has two steps of leapfrog."""
    action = PhiFour(Lattice((4,)), mass_squared=-1.0, coupling=2.0)
    levels = Nested((Level(LEAPFROG, terms=(0,)), Level(LEAPFROG, 2, terms=(1,))))
    x, p = np.random.default_rng(4).normal(size=(2, 4))
    h = 0.2
    y, q, _ = integrate(action, levels, jnp.asarray(x), jnp.asarray(p), step_size=jnp.asarray(h), n_steps=2)

    def bonds(x):
        return 4 * x - 2 * (np.roll(x, 1) + np.roll(x, -1))

    def potential(x):
        return -2 * x + 8 * x**3

    for _ in range(2):
        p = p - h / 2 * bonds(x)
        for _ in range(2):
            p = p - h / 4 * potential(x)
            x = x + h / 2 * p
            p = p - h / 4 * potential(x)
        p = p - h / 2 * bonds(x)
    np.testing.assert_allclose(y, x, rtol=1e-13)
    np.testing.assert_allclose(q, p, rtol=1e-12)


THREE = Nested((Level(OMF2, terms=(1,)), Level(FORCE_GRADIENT, 2, terms=(0,))))


CALLS = []


class Counted(AbstractAction):
    """An action that writes down when it is asked for a force."""

    space: ScalarSpace
    part: AbstractAction

    def __init__(self, part):
        self.space, self.part = part.space, part

    @override
    def __call__(self, x):
        return self.part(x)

    @override
    def force(self, x):
        CALLS.append(type(self.part).__name__)
        return self.part.force(x)


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), TWO, THREE], ids=lambda s: s.name)
def test_forces_are_counted(scheme, monkeypatch):
    """No kick is made twice at one place: what `n_forces` says is what a trajectory calls for."""
    CALLS.clear()

    def loop(body, carry, *, n):
        for i in range(n):
            carry = body(jnp.asarray(i), carry)
        return carry

    monkeypatch.setattr(integrators, "repeat", loop)
    nested = len(scheme.levels) > 1
    action = SummedAction(tuple(Counted(part) for part in PHI_FOUR.terms)) if nested else Counted(PHI_FOUR)
    zero = jnp.zeros((4, 4))
    integrate(action, scheme, zero, zero, step_size=jnp.asarray(0.1), n_steps=3)
    names = [type(level.part).__name__ for level in scheme.parts(action)]
    assert tuple(CALLS.count(name) for name in names) == n_forces(scheme, 3)


def test_one_level_is_the_scheme():
    x, p = (jnp.asarray(a) for a in 0.3 * np.random.default_rng(5).normal(size=(2, 4, 4)))
    plain, nested = (
        integrate(PHI_FOUR, scheme, x, p, step_size=jnp.asarray(0.1), n_steps=3)
        for scheme in (OMF2, Nested((Level(OMF2, terms=(0, 1)),)))
    )
    for a, b in zip(plain, nested, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_terms_of_an_improved_action_come_with_the_dear_one_in_front():
    action = ImprovedAction.iwasaki(Lattice((4, 4)), named("SU(2)"), beta=1.1)
    rectangles, plaquettes = action.terms
    assert float(rectangles.coefficient) == pytest.approx(1.1 * -0.331)
    assert float(plaquettes.beta) == pytest.approx(1.1 * (1 + 8 * 0.331))


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ((), "one or more levels"),
        ((Level(LEAPFROG, 2, terms=(0, 1)),), "1 step for the first"),
        ((Level(LEAPFROG, terms=(0,)), Level(LEAPFROG, 0, terms=(1,))), r"\[1, 0\] steps"),
        ((Level(LEAPFROG, terms=(0,)), Level(LEAPFROG, terms=(0,))), r"terms \[0, 0\]; allowed: every term .* once"),
        ((Level(LEAPFROG, terms=(1,)),), r"terms \[1\]"),
        ((Level(LEAPFROG, terms=(0,)), Level(LEAPFROG, terms=())), "on one level"),
    ],
)
def test_levels_that_cannot_be_are_refused(levels, says):
    with pytest.raises(ConfigError, match=says):
        Nested(levels)


def test_levels_that_do_not_fit_the_action_are_refused():
    with pytest.raises(ConfigError, match="levels: 2 terms; allowed: 1, as FreeField has"):
        HMC(FREE, TWO, step_size=0.1, n_steps=2)
    with pytest.raises(ConfigError, match="levels: 1 terms; allowed: 2, as PhiFour has"):
        HMC(PHI_FOUR, Nested((Level(LEAPFROG),)), step_size=0.1, n_steps=2)
