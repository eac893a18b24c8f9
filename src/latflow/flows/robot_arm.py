"""The flow of a robot arm: uniform angles through its conditional densities."""

import math

import numpy as np

from latflow.actions.robot_arm import RobotArm
from latflow.arguments import count, positive, require_type
from latflow.bijections.arm_messages import Arm, ArmMessages, grid_sizes
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.flows.flow import Flow

MOST_NUMBERS = 30_000_000
"""Of the largest message: a quarter of a gigabyte while it is computed."""
_LEAST_ANGLES = 96
_ANGLES_PER_WIDTH = 6
"""Angles of the grid in the width of the narrowest factor of a conditional."""
_SPACINGS_PER_WIDTH = 2


def arm_flow(action: RobotArm, *, angles: int | None = None, spacing: float | None = None) -> Flow:
    """Joint after joint by backward messages, see `latflow.bijections.arm_messages`. It needs no training.

    Weights of its draws correct what the grid leaves out: one that is too coarse costs effective draws, and averages
    stay exact.

    Args:
        action: The posterior.
        angles: Of the grid; by default enough for widths of evidence and prior.
        spacing: Of positions of the grid; by default half the width of the evidence.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If a number is out of range, or the grid has more than 3·10⁷ numbers for one joint.
    """
    require_type("action", action, RobotArm, "RobotArm(lengths, goals, width=…)")
    width, kappa = float(action.width), float(action.concentration)
    lengths = np.asarray(action.lengths)
    step = width / _SPACINGS_PER_WIDTH if spacing is None else float(positive("spacing", spacing))
    n_angles = _enough(width, kappa, lengths) if angles is None else count("angles", angles, least=8)
    numbers = n_angles * grid_sizes(lengths, step)[-1] ** 2
    if numbers > MOST_NUMBERS:
        finer = f"{numbers:.1e} numbers for one joint with {n_angles} angles and a spacing of {step:g}"
        raise ConfigError(
            [f"flow: a grid of {finer}; allowed: at most {MOST_NUMBERS:.0e}; a coarser grid costs ESS only"]
        )
    arm = Arm(action.lengths, action.goals, action.width, action.concentration)
    return Flow(HaarPrior(action.space), ArmMessages.of(arm, n_angles=n_angles, spacing=step))


def _enough(width: float, kappa: float, lengths: np.ndarray) -> int:
    """Angles for the evidence seen over the longest link, and for the prior of a joint."""
    narrowest = min(width / float(np.max(lengths)), 1 / math.sqrt(1 + kappa))
    return max(_LEAST_ANGLES, 2 * math.ceil(math.pi * _ANGLES_PER_WIDTH / narrowest))
