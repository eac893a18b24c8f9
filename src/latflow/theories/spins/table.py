"""The tables of spin models in a study."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Complaint, Lookup, Positive, Rule
from latflow.theories.base import AbstractActionTable

SAMPLERS = ("hmc", "heatbath", "cluster")

HEAT_BATH = (2, 3, 4)
"""Components of spins that have a heat bath."""

KINDS = ("xy", "o_n")


class XYTable(AbstractActionTable):
    """The XY model, spins of two components with −β Σ n·n′."""

    samplers: ClassVar[tuple[str, ...]] = SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("beta",)
    fields: ClassVar[str] = "spins"
    stein_fields: ClassVar[str] = ""

    kind: Literal["xy"] = Field(description="the theory; docs/cli.md lists all")
    beta: Positive = Field(description="β of −β Σ cos(θ_x − θ_y) over bonds")

    @override
    def formula(self) -> str:
        return "−β Σ_{x,μ} cos(θ_{x+μ} − θ_{x})"

    @override
    def space_words(self) -> str:
        return "a unit vector of 2 components at every site"

    @override
    def measure(self) -> str:
        return "uniform normalised measure of every spin"


class ONTable(AbstractActionTable):
    """The O(N) model, unit vectors with −β Σ n·n′."""

    samplers: ClassVar[tuple[str, ...]] = SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("beta",)
    fields: ClassVar[str] = "spins"
    stein_fields: ClassVar[str] = ""

    kind: Literal["o_n"] = Field(description="the theory; docs/cli.md lists all")
    components: Annotated[int, Field(ge=2, le=64)] = Field(default=3, description="N, components of a spin")
    beta: Positive = Field(description="β of −β Σ n·n′ over bonds")

    @override
    def formula(self) -> str:
        return "−β Σ_{x,μ} n_{x}·n_{x+μ}"

    @override
    def space_words(self) -> str:
        return f"a unit vector of {self.components} components at every site"

    @override
    def measure(self) -> str:
        return "uniform normalised measure of every spin"


TABLES = (XYTable, ONTable)


def _heat_bath(value: Lookup) -> list[Complaint]:
    """Heat baths, and sweeps between clusters, draw spins of a few components only."""
    kind, components, samplers = value("action.kind"), value("action.components"), value("sampling.samplers")
    if kind not in KINDS or components is None or samplers is None or components in HEAT_BATH:
        return []
    asked = [word for word in ("heatbath", "cluster") if word in samplers]
    hint = f"{' and '.join(asked)} need the heat bath of one spin; hmc does not"
    return [Complaint("action.components", str(components), "2, 3 or 4", hint)] if asked else []


RULES: tuple[Rule, ...] = (_heat_bath,)
