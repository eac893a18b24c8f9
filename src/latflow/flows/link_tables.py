"""The tables of settings of flows of links, one per kind. Nothing here imports JAX."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field
from typing_extensions import override

from latflow.flows.flow_table import PARAMETER, RANGED, WHICH, AbstractFlowTable, Layers
from latflow.tables import ADDED, Pair, Positive, Width


class PlaquetteFlowTable(AbstractFlowTable):
    """Couplings of U(1) plaquettes in two dimensions, equivariant under gauge transformations."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    extent_multiple: ClassVar[int] = 4
    builder: ClassVar[str] = "latflow.flows.builders:plaquettes"
    kind: Literal["plaquettes"] = Field(default="plaquettes", description=WHICH)
    layers: Layers = Field(default=16, description="couplings; eight of them move every link once")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return parameters * volume, 4 * self.layers * volume


MOST_TERMS = 64
"""Of a doubling flow."""

LARGEST_BETA = 30.0
"""Of the start of a doubling flow: blocks of U(1) are spoiled by rounding from β = 36 on; see decision 0018."""


def largest_beta(n_bins: int) -> float:
    """The largest coupling of a doubling flow of K bins, K²/10 below `LARGEST_BETA`: bins resolve its plaquettes."""
    return min(LARGEST_BETA, n_bins**2 / 10)


class DoublingTable(AbstractFlowTable):
    """From coarse links to fine ones in two dimensions, equivariant under gauge transformations."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    groups: ClassVar[tuple[str, ...]] = ("U(1)", "SU(2)", "SU(3)", "SU(4)")
    # its start, and the reduced form in which it is trained, are those of Wilson's action
    actions: ClassVar[tuple[str, ...]] = ("wilson",)
    builder: ClassVar[str] = "latflow.flows.builders:doubling"
    starter: ClassVar[str | None] = "latflow.flows.builders:doubling_start"
    kind: Literal["doubling"] = Field(default="doubling", description=WHICH)
    levels: Annotated[int, Field(ge=1, le=48)] | None = Field(
        default=None, description="how often the volume is halved; by default until no even extent is left"
    )
    bins: Annotated[int, Field(ge=2, le=256)] = Field(default=32, description="bins of the splines")
    terms: Annotated[int, Field(ge=1, le=MOST_TERMS)] = Field(
        default=8, description="harmonics of the energy of a block"
    )
    coupling_range: Pair[Positive] | None = Field(
        default=None, description="one model for every β between these two; for U(1) and SU(2)", json_schema_extra=ADDED
    )
    parameter: Literal["beta"] = Field(default="beta", description=PARAMETER, json_schema_extra=RANGED)
    coupling_order: Annotated[int, Field(ge=1, le=16)] = Field(
        default=8,
        description="degree of the weights as polynomials in ln β; with coupling_range only",
        json_schema_extra=RANGED,
    )

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return 2 * self.bins * self.terms * volume, 12 * self.bins * volume


class LoopFlowTable(AbstractFlowTable):
    """A continuous flow of links along loops of four to ten links, of any group in any dimension."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    builder: ClassVar[str] = "latflow.flows.builders:loops"
    # draws are integrated by 4 steps of 13 stages in place of 4 of 4
    drawing: ClassVar[float] = 3.0
    linear: ClassVar[bool] = True
    transfers: ClassVar[bool] = True
    kind: Literal["loops"] = Field(default="loops", description=WHICH)
    start_beta: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0.0, description="β of the map to first order that training begins with; 0: the identity"
    )
    order: Annotated[int, Field(ge=1, le=4)] = Field(
        default=2,
        description="which loops: plaquettes; also of six links and products of two; also to ten links; also products",
    )
    times: Annotated[int, Field(ge=1, le=64)] = Field(default=3, description="functions of time per weight")
    steps: Annotated[int, Field(ge=1, le=1024)] = Field(default=4, description="integration steps in training")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        # some hundred products of matrices per link and evaluation; kept are the links of all steps and of one step
        return 4 * self.steps * 1000 * volume, volume * (2000 + 40 * self.steps)


class VillainTable(AbstractFlowTable):
    """From Villain links of U(1) in two dimensions, which have topological sectors, to Wilson's action."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    groups: ClassVar[tuple[str, ...]] = ("U(1)",)
    # the variance of its prior is that of Wilson's plaquettes
    actions: ClassVar[tuple[str, ...]] = ("wilson",)
    builder: ClassVar[str] = "latflow.flows.builders:villain"
    starter: ClassVar[str | None] = "latflow.flows.builders:villain_start"
    fixed_start: ClassVar[bool] = True
    drawing: ClassVar[float] = 3.0
    linear: ClassVar[bool] = True
    transfers: ClassVar[bool] = True
    kind: Literal["villain"] = Field(default="villain", description=WHICH)
    harmonics: Annotated[int, Field(ge=1, le=64)] = Field(default=6, description="largest n of sin(n θ) of plaquettes")
    powers: Annotated[int, Field(ge=1, le=8)] = Field(
        default=3, description="powers of the lattice Laplacian that plaquettes are moved by, from 0 on"
    )
    times: Annotated[int, Field(ge=1, le=64)] = Field(default=3, description="functions of time per weight")
    steps: Annotated[int, Field(ge=1, le=1024)] = Field(default=4, description="integration steps in training")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return 4 * self.steps * (40 * self.harmonics * self.powers) * volume, volume * (200 + 40 * self.steps)


TRANSFORMS = ("spline", "projections")
"""Of active plaquettes."""

_PERIOD = "distance of the stripes of links that move at once; divides every extent"
_REACH = "largest displacement of the loops that a network reads; at most half an extent"
Reach: TypeAlias = Annotated[int, Field(ge=1, le=8)]
Period: TypeAlias = Annotated[int, Field(ge=2, le=64)]


class LinkCouplingTable(AbstractFlowTable):
    """Couplings of active plaquettes on stripes of links, in any dimension."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    groups: ClassVar[tuple[str, ...]] = ("U(1)", "SU(2)", "SU(3)")
    builder: ClassVar[str] = "latflow.flows.builders:link_coupling"
    kind: Literal["link-coupling"] = Field(default="link-coupling", description=WHICH)
    layers: Layers = Field(default=16, description="couplings; directions times period of them move every link once")
    transform: Literal["spline", "projections"] = Field(default="spline", description="projections: for U(1) only")
    centred: bool = Field(default=True, description="turn links about all their staples, for U(1) and SU(2)")
    period: Period = Field(default=2, description=_PERIOD)
    reach: Reach = Field(default=1, description=_REACH)
    width: Width = Field(default=16, description="hidden units of the networks")
    bins: Annotated[int, Field(ge=2, le=256)] = Field(default=12, description="bins of the splines")
    terms: Annotated[int, Field(ge=1, le=16)] = Field(
        default=3, description="harmonics of the densities that splines are made of, or projections that are mixed"
    )

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return _stripes_work(self, parameters, volume, per_link=20 * self.bins * self.terms)


class StoutTable(AbstractFlowTable):
    """Residual steps along staples on stripes of links, of any group in any dimension."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    builder: ClassVar[str] = "latflow.flows.builders:stout"
    drawing: ClassVar[float] = 3.0
    kind: Literal["stout"] = Field(default="stout", description=WHICH)
    layers: Layers = Field(default=16, description="steps; directions times period of them move every link once")
    period: Period = Field(default=2, description=_PERIOD)
    reach: Reach = Field(default=1, description=_REACH)
    width: Width = Field(default=16, description="hidden units of the networks")
    slope_bound: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.6, description="of a step, by its link")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return _stripes_work(self, parameters, volume, per_link=2000)


def _stripes_work(table: Any, parameters: int, volume: int, *, per_link: int) -> tuple[int, int]:
    """Networks and maps at active links alone, of which there are V over the period in every layer."""
    active = max(1, volume // table.period)
    return (parameters + table.layers * per_link) * active, table.layers * (8 * table.width + 400) * active


class LinkMultiscaleTable(AbstractFlowTable):
    """Links of a coarse lattice first, then new links about the staples that are known, in two or more dimensions."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    groups: ClassVar[tuple[str, ...]] = ("U(1)", "SU(2)", "SU(3)")
    # new links start as the heat bath of Wilson's action
    actions: ClassVar[tuple[str, ...]] = ("wilson",)
    # a coarsest lattice of two sites a side, doubled once
    extent_multiple: ClassVar[int] = 4
    builder: ClassVar[str] = "latflow.flows.builders:link_multiscale"
    starter: ClassVar[str | None] = "latflow.flows.builders:link_multiscale_start"
    kind: Literal["link-multiscale"] = Field(default="link-multiscale", description=WHICH)
    doublings: Annotated[int, Field(ge=1, le=6)] = Field(default=1, description="how often every direction is doubled")
    coarse_layers: Annotated[int, Field(ge=0, le=256)] = Field(
        default=8, description="couplings of the coarsest lattice; twice the directions move every link once"
    )
    fine_layers: Annotated[int, Field(ge=0, le=256)] = Field(
        default=8, description="couplings after all directions were doubled"
    )
    reach: Annotated[int, Field(ge=0, le=1)] = Field(
        default=0, description="largest displacement of the loops that a network reads; 0: loops beside the link"
    )
    width: Width = Field(default=16, description="hidden units of the networks")
    bins: Annotated[int, Field(ge=2, le=256)] = Field(default=12, description="bins of the splines")
    terms: Annotated[int, Field(ge=1, le=16)] = Field(
        default=3, description="harmonics of the densities that splines are made of"
    )

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        # layers on stripes of period two, as many for new links as there are couplings in all
        layers = 2 * (self.coarse_layers + self.fine_layers) + 8
        active = max(1, volume // 2)
        return (parameters + layers * 20 * self.bins * self.terms) * active, layers * (8 * self.width + 400) * active


class IdentityFlowTable(AbstractFlowTable):
    """No flow at all: uniform links, for small couplings and for comparison."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    builder: ClassVar[str] = "latflow.flows.builders:identity"
    kind: Literal["identity"] = Field(default="identity", description=WHICH)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return 0, volume
