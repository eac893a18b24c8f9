"""The tables of spin models in a study."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Complaint, Lookup, Positive, Rule
from latflow.theories.base import AbstractActionTable

SAMPLERS = ("flow", "quasi", "hmc", "heatbath", "cluster")

HEAT_BATH = (2, 3, 4)
"""Components of spins that have a heat bath."""

KINDS = ("xy", "o_n")

LARGEST_BETA = 5.0
"""Of a flow, `latflow.flows.spins.LARGEST_BETA`, which this module must not import."""


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


def _levels(value: Lookup) -> list[Complaint]:
    """The flow of spins has stages of sites in a plane, and a heat bath about a field of four neighbours."""
    kind, samplers, shape = value("action.kind"), value("sampling.samplers"), value("lattice.shape")
    if kind not in KINDS or samplers is None or shape is None or not {"flow", "quasi"} & set(samplers):
        return []
    components, beta, found = value("action.components"), value("action.beta"), []
    if len(shape) != 2:
        found.append(Complaint("lattice.shape", str(list(shape)), "two directions with a flow of spins"))
    if components is not None and components not in HEAT_BATH:
        found.append(Complaint("action.components", str(components), "2, 3 or 4 with a flow of spins"))
    if beta is not None and beta > LARGEST_BETA:
        found.append(Complaint("action.beta", f"{beta:g}", f"at most {LARGEST_BETA:g} with a flow of spins"))
    return found


RULES: tuple[Rule, ...] = (_heat_bath, _levels)
