"""Exact evidence, shares of goals and moments of a robot arm, by its transfer operator."""

import numpy as np

from latflow.actions.exact_arm import ArmMoments, arm_moments
from latflow.theories.directional.known import arrays
from latflow.theories.known_value import Known, exactly
from latflow.theories.robot_arm.table import RobotArmTable


def moments(table: RobotArmTable) -> ArmMoments:
    """Evidence, shares of goals and moments at the parameters of the table."""
    goals = tuple((x, y) for x, y in table.goals)
    return arm_moments(tuple(table.lengths), goals, width=table.width, concentration=table.concentration)


def known_values(table: RobotArmTable, shape: tuple[int, ...]) -> dict[str, Known]:
    """Reference values of estimates by name."""
    del shape
    found = moments(table)
    rows = {"shares": found.shares, "cosines": found.cosines, "sines": found.sines}
    return exactly({"log_z": found.log_z}) | arrays({name: np.asarray(row) for name, row in rows.items()})
