"""The posterior of a robot arm: exact evidence and moments against known numbers, its prior, quadrature and itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.exact_arm import arm_moments
from latflow.actions.robot_arm import SIX_LINKS, THREE_GOALS, RobotArm
from latflow.errors import ConfigError

KNOWN = {
    0.1: (
        -1.1979525133,
        (0.4134487, 0.2641355, 0.3224158),
        (0.45850, 0.35205, 0.38260, 0.42379, 0.39835, 0.34616),
        (0.06251, 0.03852, 0.01636, 0.00508, 0.00106, 0.00013),
    ),
    0.05: (
        -1.1867524803,
        (0.4159757, 0.2665306, 0.3174938),
        (0.46017, 0.34057, 0.38205, 0.42399, 0.39910, 0.33062),
        (),
    ),
}
"""log Z, shares and moments of six links and three goals from another program, in as many digits as it gave."""


@pytest.mark.parametrize("width", KNOWN)
def test_known_values(width):
    found, (log_z, shares, cosines, sines) = RobotArm(width=width).exact, KNOWN[width]
    assert abs(found.log_z - log_z) < 1e-9
    assert np.abs(np.subtract(found.shares, shares)).max() < 1e-7
    assert np.abs(np.subtract(found.cosines, cosines)).max() < 1e-5
    assert np.abs(np.subtract(found.sines[: len(sines)], sines)).max(initial=0) < 1e-5


def test_one_goal_and_uniform_angles():
    """From the integral over Bessel functions that the transfer operator then is."""
    found = arm_moments(SIX_LINKS, ((0.5, 0.5),), width=0.1, concentration=0.0)
    assert abs(found.log_z - -1.637458979) < 2e-9


def test_a_finer_grid_changes_nothing():
    coarse, fine = (arm_moments((0.3, 0.5), ((0.2, 0.6),), width=0.1, concentration=2.0, refinement=r) for r in (1, 2))
    assert abs(coarse.log_z - fine.log_z) < 1e-11
    assert np.abs(np.subtract(coarse.sines, fine.sines)).max() < 1e-11


def test_two_unequal_links_by_quadrature():
    """Log Z, shares and moments are those of exp(−S): 400² equidistant points, whose error is below rounding."""
    arm = RobotArm((0.3, 0.5), ((0.2, 0.6), (-0.4, 0.1)), width=0.1, concentration=0.7)
    n = 400
    axis = 2 * np.pi * np.arange(n) / n - np.pi
    x = jnp.asarray(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2))

    @jax.jit
    @jax.vmap
    def numbers(theta):
        return -arm(theta), jax.nn.softmax(arm.by_goal(arm.tip(theta)))

    logs, shares = map(np.asarray, numbers(x))
    w, exact = np.exp(logs) / n**2, arm.exact
    assert abs(np.log(w.sum()) - exact.log_z) < 1e-10
    for found, known in ((shares, exact.shares), (np.cos(x), exact.cosines), (np.sin(x), exact.sines)):
        assert np.abs(w @ found / w.sum() - known).max() < 1e-10


def test_six_links_against_draws_of_the_prior():
    """Of 2·10⁵ draws, 5σ: log Z to .03."""
    arm, n = RobotArm(), 200_000
    rng = np.random.default_rng(4)
    angles = np.cumsum(rng.vonmises(0, 1, (n, 6)), axis=1)
    tips = 0.2 * np.stack([np.cos(angles).sum(axis=1), np.sin(angles).sum(axis=1)], axis=1)
    w = np.exp(np.asarray(jax.vmap(arm.log_evidence)(jnp.asarray(tips))))
    assert abs(np.mean(w) - np.exp(arm.log_z)) < 5 * np.std(w) / np.sqrt(n)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"lengths": ()}, r"action.lengths: \[\]; allowed: one or more positive numbers"),
        ({"lengths": (0.2, -0.1)}, "action.lengths: -0.1; allowed: a positive number"),
        ({"goals": ()}, r"action.goals: \[\]; allowed: one or more pairs of numbers"),
        ({"goals": ((1.0, 0.0, 0.0),)}, r"action.goals: rows of \[3\] numbers; allowed: one or more pairs"),
        ({"goals": ((1.0, 0.9),)}, r"action.goals: \(1, 0.9\) at a distance of 1.35; allowed: at most 1.2, the reach"),
        (
            {"lengths": (1.0, 0.2), "goals": ((0.5, 0.0),)},
            r"action.goals: \(0.5, 0\) at a distance of 0.5; allowed: from 0.8 to 1.2, the reach",
        ),
        ({"width": 0.0}, "action.width: 0.0; allowed: a positive number"),
        ({"concentration": -1.0}, "action.concentration: -1.0; allowed: a number that is not negative"),
    ],
)
def test_bad_input(arguments, said):
    with pytest.raises(ConfigError, match=said):
        RobotArm(**arguments)


def test_goals_at_the_very_end_are_within_reach():
    assert RobotArm(SIX_LINKS, ((1.2, 0.0),)).log_z < 0
    assert len(THREE_GOALS) == 3
    with pytest.raises(ConfigError, match=r"action.width: -0.1"):
        RobotArm().with_parameters(width=-0.1)
