"""The flow of a robot arm draws its posterior: weights, shares and the conditionals of the grid."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.robot_arm import RobotArm
from latflow.bijections.arm_messages import FLOOR, ArmMessages
from latflow.errors import ConfigError
from latflow.flows.robot_arm import arm_flow
from latflow.stats.weights import reweighting_ess

ARM = RobotArm((0.4, 0.3, 0.5), ((0.6, 0.3), (-0.2, -0.7)), width=0.1, concentration=1.0)


def _weights(action, n, **grid):
    flow = arm_flow(action, **grid)

    @eqx.filter_jit
    def drawn(flow, action, key):
        def one(key):
            x, log_q = flow.sample_and_log_prob(key)
            return -action(x) - log_q, jnp.argmax(action.by_goal(action.tip(x))), flow.log_prob(x) - log_q

        return jax.vmap(one)(jax.random.split(key, n))

    return map(np.asarray, drawn(flow, action, jax.random.key(3)))


def test_draws_are_those_of_the_posterior():
    """ESS close to one, and the normalised weights say the exact log Z and shares, at 5σ: to .002 and .06."""
    logs, goals, off = _weights(ARM, 2048, angles=96)
    assert np.abs(off).max() < 1e-9
    assert reweighting_ess(logs) > 0.999
    w = np.exp(logs)
    assert abs(w.mean() - np.exp(ARM.log_z)) < 5 * w.std() / np.sqrt(w.size) + 1e-6
    share = w @ (goals == 0) / w.sum()
    exact = ARM.exact.shares[0]
    assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / w.size)


def test_a_coarse_grid_costs_effective_draws_alone():
    """24 angles and positions two widths apart; log Z at 5σ to .03."""
    logs, _, off = _weights(ARM, 2048, angles=24, spacing=0.2)
    assert np.abs(off).max() < 1e-9
    assert 0.3 < reweighting_ess(logs) < 0.999
    w = np.exp(logs)
    assert abs(w.mean() - np.exp(ARM.log_z)) < 5 * w.std() / np.sqrt(w.size)


def test_every_configuration_is_possible():
    """The density of a conditional is at least the floor."""
    flow = arm_flow(ARM, angles=48)
    assert isinstance(flow.bijection, ArmMessages)
    slope = flow.bijection._spline(2, jnp.asarray(0.3), jnp.asarray([-0.7, 0.0])).slope
    assert float(jnp.min(slope)) >= FLOOR
    assert float(jnp.max(slope)) > 5


def test_bad_input():
    with pytest.raises(TypeError, match="action"):
        arm_flow(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"spacing: -1.0; allowed: a positive number"):
        arm_flow(ARM, spacing=-1.0)
    with pytest.raises(ConfigError, match="angles: 4; allowed: at least 8"):
        arm_flow(ARM, angles=4)
    with pytest.raises(ConfigError, match=r"flow: a grid of .* allowed: at most 3e.07"):
        arm_flow(ARM, spacing=1e-4)


@pytest.mark.nightly
@pytest.mark.parametrize("width", [0.1, 0.05])
def test_six_links(width):
    """log Z at 5σ to 2·10⁻⁴."""
    arm = RobotArm(width=width)
    logs, _, _ = _weights(arm, 20_000)
    w = np.exp(logs)
    assert reweighting_ess(logs) > 0.999
    assert abs(w.mean() - np.exp(arm.log_z)) < 5 * w.std() / np.sqrt(w.size)
