"""The tables of gauge theories in a study."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field
from typing_extensions import override

from latflow.tables import Complaint, Lookup, Positive
from latflow.theories.base import AbstractActionTable

Group: TypeAlias = Literal["U(1)", "SU(2)", "SU(3)", "SU(4)", "SU(5)", "SU(6)", "SU(7)", "SU(8)"]

KINDS = ("wilson", "improved", "given_links")

MEASURED_BESIDE = ("gradient_flow", "smearing")
"""Tables of a study that add to what is measured of links."""


class WilsonTable(AbstractActionTable):
    """Wilson's gauge action, β Σ (1 − Re tr P / N)."""

    samplers: ClassVar[tuple[str, ...]] = ("flow", "quasi", "hmc", "heatbath", "metropolis", "files")
    parameters: ClassVar[tuple[str, ...]] = ("beta",)
    free_parameters: ClassVar[tuple[str, ...]] = ("beta",)
    fields: ClassVar[str] = "links"
    sections: ClassVar[tuple[str, ...]] = MEASURED_BESIDE
    stein_fields: ClassVar[str] = "loops"

    kind: Literal["wilson"] = Field(description="the theory; docs/cli.md lists all")
    group: Group = Field(description="the gauge group")
    beta: Positive = Field(description="β of β Σ (1 − Re tr P / N); N = 1 for U(1)")

    @override
    def formula(self) -> str:
        return "β Σ_{P} (1 − cos θ_{P})" if self.group == "U(1)" else "β Σ_{P} (1 − Re tr P / N)"

    @override
    def space_words(self) -> str:
        return f"{self.group} on every link"


class ImprovedTable(AbstractActionTable):
    """A gauge action of plaquettes and 2×1 rectangles, c₀ = 1 − 8c₁."""

    samplers: ClassVar[tuple[str, ...]] = ("flow", "quasi", "hmc", "metropolis", "files")
    parameters: ClassVar[tuple[str, ...]] = ("beta",)
    free_parameters: ClassVar[tuple[str, ...]] = ("beta",)
    terms: ClassVar[tuple[str, ...]] = ("rectangles", "plaquettes")
    fields: ClassVar[str] = "links"
    sections: ClassVar[tuple[str, ...]] = MEASURED_BESIDE
    stein_fields: ClassVar[str] = "loops"

    kind: Literal["improved"] = Field(description="the theory; docs/cli.md lists all")
    group: Group = Field(description="the gauge group")
    beta: Positive = Field(description="β of β [c₀ Σ (1 − Re tr P / N) + c₁ Σ (1 − Re tr R / N)]")
    improvement: Literal["luscher-weisz", "iwasaki", "dbw2"] = Field(
        default="luscher-weisz", description="c₁ = −1/12 (tree level), −0.331 or −1.4088"
    )

    @override
    def formula(self) -> str:
        return "β [c₀ Σ_{P} (1 − Re tr P / N) + c₁ Σ_{R} (1 − Re tr R / N)], c₀ = 1 − 8c₁"

    @override
    def space_words(self) -> str:
        return f"{self.group} on every link"


class LinksTable(AbstractActionTable):
    """Links of another code, whose action is not known here: they are measured, not sampled."""

    samplers: ClassVar[tuple[str, ...]] = ("files",)
    parameters: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[str] = "links"
    sections: ClassVar[tuple[str, ...]] = MEASURED_BESIDE
    stein_fields: ClassVar[str] = ""

    kind: Literal["given_links"] = Field(description="the theory; docs/cli.md lists all")
    group: Group = Field(description="the gauge group")

    @override
    def formula(self) -> str:
        return "not known"

    @override
    def space_words(self) -> str:
        return f"{self.group} on every link"


def _files(value: Lookup) -> list[Complaint]:
    samplers, folder, group = value("sampling.samplers"), value("files.folder"), value("action.group")
    if "files" not in (samplers or ()):
        return []
    found = []
    if folder == "":
        hint = "`latflow measure FOLDER` writes the study itself"
        found.append(Complaint("files.folder", "''", "a folder of gauge configurations", hint))
    if group == "U(1)":
        hint = "files of gauge configurations hold matrices"
        found.append(Complaint("sampling.samplers", "'files'", "with a gauge theory of SU(N)", hint))
    return found


def _plaquettes(value: Lookup) -> list[Complaint]:
    kind, shape = value("action.kind"), value("lattice.shape")
    if kind not in KINDS or shape is None or (len(shape) > 1 and min(shape) > 1):
        return []
    hint = "links without plaquettes have no action"
    return [Complaint("lattice.shape", str(list(shape)), "two or more directions of 2 or more sites", hint)]


def _rectangle_colours(value: Lookup) -> list[Complaint]:
    """Links that share no rectangle have one of four colours; an odd extent is refused already."""
    shape, samplers = value("lattice.shape"), value("sampling.samplers")
    if value("action.kind") != "improved" or shape is None or "metropolis" not in (samplers or ()):
        return []
    if any(extent % 2 for extent in shape) or all(extent % 4 == 0 for extent in shape):
        return []
    hint = "updates of links that share rectangles need them; hmc does not"
    return [Complaint("lattice.shape", str(list(shape)), "multiples of 4 with metropolis", hint)]


_FROM_FLOW = {"flow", "quasi"}
"""Samplers that draw from the flow."""


def _plaquette_flow(value: Lookup) -> list[Complaint]:
    kind, flow, group, shape = (
        value(f"{key}") for key in ("action.kind", "flow.kind", "action.group", "lattice.shape")
    )
    if (
        kind not in KINDS
        or flow not in ("plaquettes", "villain")
        or group is None
        or _FROM_FLOW.isdisjoint(value("sampling.samplers") or ())
    ):
        return []
    if group == "U(1)" and (shape is None or len(shape) == 2):
        return []
    hint = "other links have flow.kind loops, doubling, link-coupling or stout"
    return [Complaint("flow.kind", repr(flow), "U(1) in two dimensions", hint)]


TABLES = (WilsonTable, ImprovedTable, LinksTable)

RULES = (_files, _plaquettes, _rectangle_colours, _plaquette_flow)
