"""The posterior of a robot arm at given parameters, and its physics for the stages of a study."""

import math

from latflow.actions.robot_arm import RobotArm
from latflow.lattice import Lattice
from latflow.observables.directional import Cosines, Elbow, Mode, Shares, Sines, Tip
from latflow.theories.base import Settings
from latflow.theories.directional.physics import physics_of
from latflow.theories.physics import Physics
from latflow.theories.robot_arm.known import moments
from latflow.theories.robot_arm.table import RobotArmTable
from latflow.theories.sectors import ModeSectors

_FAR = 8.0
"""Distance of goals in widths at which the nearest one has all but 10⁻⁴ of a configuration."""


def action(table: RobotArmTable, lattice: Lattice | None = None) -> RobotArm:
    """S at the parameters of the table; there is no lattice."""
    del lattice
    return RobotArm(table.lengths, table.goals, width=table.width, concentration=table.concentration)


def physics(table: RobotArmTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of a robot arm."""
    del settings
    arm = action(table, lattice)
    observables = (Shares(arm.parts), Cosines(), Sines(), Mode(arm.parts), Tip(arm.tip), Elbow(arm.bend))
    names = tuple(f"goal {i + 1}" for i in range(len(table.goals)))
    return physics_of(arm, observables, ModeSectors(names, moments(table).shares if _apart(table) else ()))


def _apart(table: RobotArmTable) -> bool:
    """Whether the goal nearest to the tip is the one that the tip belongs to."""
    goals = table.goals
    pairs = ((a, b) for i, a in enumerate(goals) for b in goals[:i])
    return all(math.dist(a, b) > _FAR * table.width for a, b in pairs)
