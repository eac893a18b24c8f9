"""The flows that can be trained, one table of settings per kind. Nothing here imports JAX.

Tables of flows of links are in `latflow.flows.link_tables`.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union, get_args

from pydantic import BeforeValidator, Field
from typing_extensions import override

from latflow.flows.flow_table import PARAMETER, RANGED, WHICH, WITH_RANGE, Layers
from latflow.flows.flow_table import AbstractFlowTable as AbstractFlowTable
from latflow.flows.link_tables import (
    DoublingTable,
    IdentityFlowTable,
    LinkCouplingTable,
    LinkMultiscaleTable,
    LoopFlowTable,
    PlaquetteFlowTable,
    StoutTable,
    VillainTable,
)
from latflow.plugins import Plugin, plugins
from latflow.tables import ADDED, List, Pair, Positive, Width

Window: TypeAlias = Annotated[int, Field(ge=1, le=63)]
Bound: TypeAlias = Annotated[float, Field(gt=0, le=50)]
Widths: TypeAlias = List[Width]
Mixture: TypeAlias = Literal["none", "z2"]

_HIDDEN = "units (dense) or channels of each hidden layer"
_WINDOW = "extent of the kernel, odd; convolutional only"
_Z2 = "commute with φ → −φ exactly"
_MIXTURE = "z2: half the flow, half its mirror image, for broken phases"


class ContinuousTable(AbstractFlowTable):
    """An equivariant continuous flow from a free field with a learned spectrum."""

    # float64 costs twice float32, and draws are integrated by 8 steps of 13 stages in place of 6 of 4
    drawing: ClassVar[float] = 9.0
    transfers: ClassVar[bool] = True
    builder: ClassVar[str] = "latflow.flows.builders:continuous"
    kind: Literal["continuous"] = Field(default="continuous", description=WHICH)
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
        default="coupling", description=PARAMETER, json_schema_extra=RANGED
    )
    coupling_order: Annotated[int, Field(ge=1, le=8)] = Field(
        default=2,
        description="degree of the weights as polynomials in its logarithm; with coupling_range only",
        json_schema_extra=WITH_RANGE,
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

    fields: ClassVar[tuple[str, ...]] = ("scalar", "points")
    builder: ClassVar[str] = "latflow.flows.builders:real_nvp"
    extent_multiple: ClassVar[int] = 2
    kind: Literal["real_nvp"] = Field(default="real_nvp", description=WHICH)
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

    fields: ClassVar[tuple[str, ...]] = ("scalar", "points")
    builder: ClassVar[str] = "latflow.flows.builders:spline"
    extent_multiple: ClassVar[int] = 2
    kind: Literal["spline"] = Field(default="spline", description=WHICH)
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
    slopes: Literal["unbounded", "bounded"] = Field(
        default="unbounded",
        description="of splines at knots; bounded by those of the bins beside",
        json_schema_extra=ADDED,
    )
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return _coupling_work(self, parameters, volume)


class MultiscaleTable(AbstractFlowTable):
    """The field of a coarse lattice first, then the fluctuations between its sites, level by level."""

    builder: ClassVar[str] = "latflow.flows.builders:multiscale"
    several_extents: ClassVar[bool] = True
    kind: Literal["multiscale"] = Field(default="multiscale", description=WHICH)
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


class AutoregressiveTable(AbstractFlowTable):
    """Splines of the uniform coordinates of angles or a unit vector, one after another."""

    fields: ClassVar[tuple[str, ...]] = ("angles", "vectors")
    builder: ClassVar[str] = "latflow.flows.builders:autoregressive"
    kind: Literal["autoregressive"] = Field(default="autoregressive", description=WHICH)
    bins: Annotated[int, Field(ge=2, le=256)] = Field(
        default=24, description="bins of every spline, maps of every mixture"
    )
    hidden: Widths = Field(default=(64, 64), min_length=1, max_length=8, description="units of each hidden layer")
    order: Annotated[int, Field(ge=1, le=64)] = Field(default=3, description="largest harmonic of earlier angles")
    map: Literal["spline", "ncp", "moebius"] = Field(
        default="spline", description="of circles; mixtures of projections or of Möbius maps", json_schema_extra=ADDED
    )
    windings: List[List[Annotated[int, Field(ge=-8, le=8)]]] = Field(
        default=(), description="integer factors of earlier circles that turn each; none: 0", json_schema_extra=ADDED
    )

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return parameters, volume * (sum(self.hidden) + 12 * self.bins)


class PairTable(AbstractFlowTable):
    """A continuous flow of particles along gradients of learned many-body potentials."""

    fields: ClassVar[tuple[str, ...]] = ("particles",)
    drawing: ClassVar[float] = 9.0
    builder: ClassVar[str] = "latflow.flows.builders:pairs"
    kind: Literal["pairs"] = Field(default="pairs", description=WHICH)
    width: Positive = Field(default=1.0, description="of the normal prior to begin with; it is learned")
    local: Annotated[int, Field(ge=0, le=256)] = Field(default=8, description="sums about every particle")
    total: Annotated[int, Field(ge=0, le=256)] = Field(default=8, description="sums over all pairs")
    bells: Annotated[int, Field(ge=2, le=256)] = Field(default=16, description="bells of a radial function")
    reach: Positive | None = Field(default=None, description="where the last bell stands; by default 4 √2 widths")
    times: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="functions of time per weight")
    steps: Annotated[int, Field(ge=1, le=1024)] = Field(default=5, description="integration steps in training")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        evaluations = 4 * self.steps
        return parameters // self.times * volume * evaluations, volume * evaluations * (self.local + self.total)


class LevelsTable(AbstractFlowTable):
    """Spins drawn from coarse sites to fine ones about learned fields, the odd sites by a heat bath."""

    fields: ClassVar[tuple[str, ...]] = ("spins",)
    drawing: ClassVar[float] = 8.0
    builder: ClassVar[str] = "latflow.flows.builders:levels"
    starter: ClassVar[str | None] = "latflow.flows.builders:levels_start"
    fixed_start: ClassVar[bool] = True
    kind: Literal["levels"] = Field(default="levels", description=WHICH)
    neighbours: Annotated[int, Field(ge=1, le=256)] = Field(default=20, description="spins that a field is made of")
    near: Annotated[int, Field(ge=0, le=32)] = Field(
        default=8, description="of how many of these the products of all pairs are seen"
    )
    width: Annotated[int, Field(ge=1, le=1024)] = Field(default=32, description="of the hidden layer of a field")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return volume * self.width * self.near**2, volume * (self.width + self.near**2)


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
    LinkMultiscaleTable,
    AutoregressiveTable,
    PairTable,
    LevelsTable,
    IdentityFlowTable,
)
"""The only list of flows; installed packages add theirs by entry points of the group ``latflow.flows``."""

USUAL = "continuous"
"""The kind of a table that names none."""

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
    return {"kind": USUAL, **table} if type(table) is dict else table


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
