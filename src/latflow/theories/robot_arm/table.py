"""The table of a robot arm in a study."""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.actions.targets import SIX_LINKS, THREE_GOALS, out_of_reach
from latflow.tables import Complaint, Coupling, List, Lookup, Mass, Pair, Positive
from latflow.theories.directional.table import AbstractDirectionalTable

Length = Positive
MOST_LINKS = 64


class RobotArmTable(AbstractDirectionalTable):
    """A planar robot arm, its joints given that the tip is near one of several goals."""

    samplers: ClassVar[tuple[str, ...]] = ("messages", "hmc")
    parameters: ClassVar[tuple[str, ...]] = ("width", "concentration")

    kind: Literal["robot-arm"] = Field(description="the theory; docs/cli.md lists all")
    width: Positive = Field(description="σ, how near the tip is to a goal")
    concentration: Coupling = Field(default=1.0, description="κ of the prior of every joint; 0: uniform angles")
    lengths: List[Length] = Field(
        default=SIX_LINKS, min_length=1, max_length=MOST_LINKS, description="of the links, from the base on"
    )
    goals: List[Pair[Mass]] = Field(default=THREE_GOALS, min_length=1, description="position of every goal")

    @override
    def formula(self) -> str:
        return "−κ Σ_{i} cos θ_{i} + n ln I_{0}(κ) − ln (1/m) Σ_{j} N(tip; c_{j}, σ²)"

    @override
    def space_words(self) -> str:
        return f"{len(self.lengths)} angles, one of every joint"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (len(self.lengths),)


def _reach(value: Lookup) -> list[Complaint]:
    lengths, goals = value("action.lengths"), value("action.goals")
    if not lengths or not goals or value("action.width") is None:
        return []
    found = (text.partition("; allowed: ") for text in out_of_reach(lengths, goals))
    return [Complaint("action.goals", goal, allowed) for goal, _, allowed in found]


TABLES = (RobotArmTable,)

RULES = (_reach,)
