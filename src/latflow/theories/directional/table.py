"""The tables of densities on tori and spheres in a study."""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.actions.targets import FOUR_ON_S2, THREE_ON_T2
from latflow.tables import Complaint, List, Lookup, Mass, Positive
from latflow.theories.base import AbstractActionTable

SAMPLERS = ("flow", "quasi", "hmc")
UNIFORM = "normalised uniform measure"


class AbstractDirectionalTable(AbstractActionTable):
    """What tables of densities on tori and spheres have in common: no lattice, and no control variates."""

    samplers: ClassVar[tuple[str, ...]] = SAMPLERS
    lattice: ClassVar[bool] = False
    fields: ClassVar[str] = "angles"
    stein_fields: ClassVar[str] = ""

    @override
    def measure(self) -> str:
        return UNIFORM


class TorusModesTable(AbstractDirectionalTable):
    """Modes on a torus, a mean of products of von Mises densities."""

    parameters: ClassVar[tuple[str, ...]] = ("concentration",)

    kind: Literal["torus-modes"] = Field(description="the theory; docs/cli.md lists all")
    concentration: Positive = Field(description="β of every angle about a centre")
    centres: List[List[Mass]] = Field(default=THREE_ON_T2, min_length=1, description="angles of every mode")

    @override
    def formula(self) -> str:
        return "−ln (1/m) Σ_{j} exp[β Σ_{i} cos(θ_{i} − c_{ji})]"

    @override
    def space_words(self) -> str:
        return f"{len(self.centres[0])} angles"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (max(1, len(self.centres[0])),)


class TorusCorrelatedTable(AbstractDirectionalTable):
    """Two angles of a known sum, exp[β cos(θ₁ + θ₂ − c)]."""

    parameters: ClassVar[tuple[str, ...]] = ("concentration", "centre")
    free_parameters: ClassVar[tuple[str, ...]] = ("concentration",)

    kind: Literal["torus-correlated"] = Field(description="the theory; docs/cli.md lists all")
    concentration: Positive = Field(description="β of the sum of the angles")
    centre: Mass = Field(default=1.94, description="c, the sum at which the density is largest")

    @override
    def formula(self) -> str:
        return "−β cos(θ_{1} + θ_{2} − c)"

    @override
    def space_words(self) -> str:
        return "2 angles"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (2,)


class SphereModesTable(AbstractDirectionalTable):
    """Modes on a sphere, a sum of von Mises–Fisher densities."""

    parameters: ClassVar[tuple[str, ...]] = ("concentration",)
    fields: ClassVar[str] = "vectors"

    kind: Literal["sphere-modes"] = Field(description="the theory; docs/cli.md lists all")
    concentration: Positive = Field(description="κ of every mode about its direction")
    directions: List[List[Mass]] = Field(
        default=FOUR_ON_S2, min_length=1, description="vector to every mode; lengths do not matter"
    )

    @override
    def formula(self) -> str:
        return "−ln Σ_{j} exp(κ μ_{j}·x)"

    @override
    def space_words(self) -> str:
        return f"a unit vector of {len(self.directions[0])} components"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (max(1, len(self.directions[0])),)


def _rows(value: Lookup) -> list[Complaint]:
    """Rows of one length, of a sphere two or more numbers that are not all zero."""
    for key, least in (("action.centres", 1), ("action.directions", 2)):
        rows = value(key)
        if not rows:
            continue
        lengths = {len(row) for row in rows}
        if len(lengths) > 1 or min(lengths) < least:
            shown = f"rows of {' and '.join(map(str, sorted(lengths)))} numbers"
            return [Complaint(key, shown, f"rows of the same length, at least {least}")]
        if least > 1 and not all(any(row) for row in rows):
            return [Complaint(key, "a zero vector", "vectors with a direction")]
    return []


TABLES = (TorusModesTable, TorusCorrelatedTable, SphereModesTable)

RULES = (_rows,)
