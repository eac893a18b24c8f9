"""The flows that can be trained, one table of settings per kind. Nothing here imports JAX."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union, get_args

from pydantic import BeforeValidator, Field
from typing_extensions import override

from latflow.flows.flow_table import AbstractFlowTable as AbstractFlowTable
from latflow.plugins import Plugin, plugins
from latflow.tables import ADDED, List, Pair, Positive, Width

Layers: TypeAlias = Annotated[int, Field(ge=2, le=256)]
Window: TypeAlias = Annotated[int, Field(ge=1, le=63)]
Bound: TypeAlias = Annotated[float, Field(gt=0, le=50)]
Widths: TypeAlias = List[Width]
Mixture: TypeAlias = Literal["none", "z2"]

_HIDDEN = "units (dense) or channels of each hidden layer"
_WITH_RANGE: dict[str, Any] = {"needs": "coupling_range"}
_RANGED: dict[str, Any] = {**ADDED, **_WITH_RANGE}
_PARAMETER = "key of [action] that coupling_range speaks of"
_WINDOW = "extent of the kernel, odd; convolutional only"
_WHICH = "the flow; docs/cli.md lists all"
_Z2 = "commute with φ → −φ exactly"
_MIXTURE = "z2: half the flow, half its mirror image, for broken phases"


class ContinuousTable(AbstractFlowTable):
    """An equivariant continuous flow from a free field with a learned spectrum."""

    # float64 costs twice float32, and draws are integrated by 8 steps of 13 stages in place of 6 of 4
    drawing: ClassVar[float] = 9.0
    transfers: ClassVar[bool] = True
    builder: ClassVar[str] = "latflow.flows.builders:continuous"
    kind: Literal["continuous"] = Field(default="continuous", description=_WHICH)
    hidden: Width = Field(default=16, description="units of the network at every site")
    contexts: Annotated[int, Field(ge=1, le=256)] = Field(default=4, description="convolutions the network reads")
    features: Annotated[int, Field(ge=1, le=256)] = Field(default=3, description="features that are convolved")
    radius: Annotated[int, Field(ge=1, le=32)] = Field(default=3, description="largest displacement of a kernel")
    times: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="functions of time per weight")
    steps: Annotated[int, Field(ge=1, le=1024)] = Field(default=6, description="integration steps in training")
    coupling_range: Pair[Positive] | None = Field(
        default=None, description="one model for every value of the parameter between these two"
    )
    parameter: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=40)] = Field(
        default="coupling", description=_PARAMETER, json_schema_extra=_RANGED
    )
    coupling_order: Annotated[int, Field(ge=1, le=8)] = Field(
        default=2,
        description="degree of the weights as polynomials in its logarithm; with coupling_range only",
        json_schema_extra=_WITH_RANGE,
    )
    mixture: Mixture = Field(default="none", description=_MIXTURE)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        # Every weight acts at every site in every evaluation; kept are the four evaluations of one step and all steps.
        evaluations = 4 * self.steps
        copies = self.times * (1 if self.coupling_range is None else self.coupling_order + 1)
        return parameters // copies * volume * evaluations, volume * (4 * 4 * self.hidden + self.steps)


class RealNVPTable(AbstractFlowTable):
    """Affine couplings on alternating checkerboards."""

    builder: ClassVar[str] = "latflow.flows.builders:real_nvp"
    extent_multiple: ClassVar[int] = 2
    kind: Literal["real_nvp"] = Field(default="real_nvp", description=_WHICH)
    layers: Layers = Field(default=10, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="dense", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: Widths = Field(default=(256, 256), min_length=1, max_length=8, description=_HIDDEN)
    kernel_size: Window = Field(default=3, description=_WINDOW)
    log_scale_bound: Bound = Field(default=2.0, description="bound on |log scale| of one layer")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return _coupling_work(self, parameters, volume)


class SplineTable(AbstractFlowTable):
    """Couplings on alternating checkerboards, the last of them rational-quadratic splines."""

    builder: ClassVar[str] = "latflow.flows.builders:spline"
    extent_multiple: ClassVar[int] = 2
    kind: Literal["spline"] = Field(default="spline", description=_WHICH)
    layers: Layers = Field(default=8, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="convolutional", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: Widths = Field(default=(32, 32, 32), min_length=1, max_length=8, description=_HIDDEN)
    kernel_size: Window = Field(default=7, description=_WINDOW)
    splines: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="how many couplings, the last ones, are splines; the others are affine"
    )
    bins: Annotated[int, Field(ge=2, le=64)] = Field(default=8, description="bins of a spline")
    half_width: Positive = Field(default=4.0, description="splines act on values between ± this")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return _coupling_work(self, parameters, volume)


class MultiscaleTable(AbstractFlowTable):
    """The field of a coarse lattice first, then the fluctuations between its sites, level by level."""

    builder: ClassVar[str] = "latflow.flows.builders:multiscale"
    several_extents: ClassVar[bool] = True
    kind: Literal["multiscale"] = Field(default="multiscale", description=_WHICH)
    coarse_layers: Layers = Field(default=8, description="couplings of the coarsest level")
    fine_layers: Layers = Field(default=8, description="couplings of every other level")
    hidden: Widths = Field(default=(32, 32), min_length=1, max_length=8, description="channels of each hidden layer")
    kernel_size: Window = Field(default=5, description="extent of the kernel on every level, odd")
    log_scale_bound: Bound = Field(default=2.0, description="bound on |log scale| of one layer")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return parameters * volume, (self.coarse_layers + self.fine_layers) * sum(self.hidden) * volume


class PlaquetteFlowTable(AbstractFlowTable):
    """Couplings of U(1) plaquettes in two dimensions, equivariant under gauge transformations."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    extent_multiple: ClassVar[int] = 4
    builder: ClassVar[str] = "latflow.flows.builders:plaquettes"
    kind: Literal["plaquettes"] = Field(default="plaquettes", description=_WHICH)
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
    kind: Literal["doubling"] = Field(default="doubling", description=_WHICH)
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
    parameter: Literal["beta"] = Field(default="beta", description=_PARAMETER, json_schema_extra=_RANGED)
    coupling_order: Annotated[int, Field(ge=1, le=16)] = Field(
        default=8,
        description="degree of the weights as polynomials in ln β; with coupling_range only",
        json_schema_extra=_RANGED,
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
    kind: Literal["loops"] = Field(default="loops", description=_WHICH)
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
    drawing: ClassVar[float] = 3.0
    linear: ClassVar[bool] = True
    transfers: ClassVar[bool] = True
    kind: Literal["villain"] = Field(default="villain", description=_WHICH)
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
    kind: Literal["link-coupling"] = Field(default="link-coupling", description=_WHICH)
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
    kind: Literal["stout"] = Field(default="stout", description=_WHICH)
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


class AutoregressiveTable(AbstractFlowTable):
    """Splines of the uniform coordinates of angles or a unit vector, one after another."""

    fields: ClassVar[tuple[str, ...]] = ("angles", "vectors")
    builder: ClassVar[str] = "latflow.flows.builders:autoregressive"
    kind: Literal["autoregressive"] = Field(default="autoregressive", description=_WHICH)
    bins: Annotated[int, Field(ge=2, le=256)] = Field(default=24, description="bins of every spline")
    hidden: Widths = Field(default=(64, 64), min_length=1, max_length=8, description="units of each hidden layer")
    order: Annotated[int, Field(ge=1, le=64)] = Field(default=3, description="largest harmonic of earlier angles")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return parameters, volume * (sum(self.hidden) + 12 * self.bins)


class IdentityFlowTable(AbstractFlowTable):
    """No flow at all: uniform links, for small couplings and for comparison."""

    fields: ClassVar[tuple[str, ...]] = ("links",)
    builder: ClassVar[str] = "latflow.flows.builders:identity"
    kind: Literal["identity"] = Field(default="identity", description=_WHICH)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return 0, volume


def _coupling_work(table: RealNVPTable | SplineTable, parameters: int, volume: int) -> tuple[int, int]:
    sites = 1 if table.network == "dense" else volume
    return parameters * sites, table.layers * sum(table.hidden) * sites


BUILT_IN = (
    ContinuousTable,
    RealNVPTable,
    SplineTable,
    MultiscaleTable,
    PlaquetteFlowTable,
    DoublingTable,
    LoopFlowTable,
    VillainTable,
    LinkCouplingTable,
    StoutTable,
    AutoregressiveTable,
    IdentityFlowTable,
)
"""The only list of flows; installed packages add theirs by entry points of the group ``latflow.flows``."""

GROUP = "latflow.flows"


@functools.cache
def plugin_flows() -> tuple[Plugin, ...]:
    """What installed packages offer, each with the reason why it cannot be used, if there is one."""
    taken = {_kind(table) for table in BUILT_IN}
    found: list[Plugin] = []
    for plugin in plugins(GROUP):
        checked = plugin if plugin.problem else _checked(plugin, taken)
        taken |= set() if checked.problem else {_kind(checked.load())}
        found.append(checked)
    return tuple(found)


@functools.cache
def flow_tables() -> dict[str, type[AbstractFlowTable]]:
    """The tables of all flows by the word of `flow.kind`."""
    own = [plugin.load() for plugin in plugin_flows() if not plugin.problem]
    return {_kind(table): table for table in (*BUILT_IN, *own)}


def _checked(plugin: Plugin, taken: set[str]) -> Plugin:
    try:
        table = plugin.load()
        if not (isinstance(table, type) and issubclass(table, AbstractFlowTable)):
            return dataclasses.replace(plugin, problem=f"{table!r} is no AbstractFlowTable")
        kind = _kind(table)
    except (Exception, SystemExit) as error:  # a package that fails must not take the others with it
        return dataclasses.replace(plugin, problem=f"{type(error).__name__}: {error}")
    return dataclasses.replace(plugin, problem=f"flow.kind {kind} is taken") if kind in taken else plugin


def _kind(table: type[AbstractFlowTable]) -> str:
    return get_args(table.model_fields["kind"].annotation)[0]


def _with_kind(table: Any) -> Any:
    """A table that names no kind is one of the default flow."""
    return {"kind": "continuous", **table} if type(table) is dict else table


def _union() -> Any:
    tables = Union[tuple(flow_tables().values())]  # noqa: UP007
    return Annotated[
        Annotated[tables, Field(discriminator="kind", description="the flow")],
        BeforeValidator(_with_kind),
    ]


if TYPE_CHECKING:
    FlowConfig: TypeAlias = AbstractFlowTable
else:
    FlowConfig = _union()
    """What may stand in the table ``[flow]``."""
