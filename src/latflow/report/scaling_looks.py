"""What the page of a scaling study is made of: tables as text; labels, colours and markers of its samplers."""

from dataclasses import dataclass

from matplotlib.axes import Axes

from latflow.report.names import sampler_style
from latflow.results.scaling import ScalingResults, TrainingRecord
from latflow.study.wording import vocabulary

WORDS = {"two_point_0": ("G_{c}(0)", r"$G_c(0)$", "connected two-point function at distance zero")}
"""Symbols that only this page uses."""

_FLOWS = (("#0072B2", "o"), ("#CC79A7", "D"), ("#999933", "p"), ("#882255", "h"))


@dataclass(frozen=True)
class Table:
    """A table as text: a title, headings, and rows whose first cell names the row; `prose` if its cells are words."""

    title: str
    head: list[str]
    rows: list[list[str]]
    prose: bool = False


def samplers_of(found: ScalingResults) -> list[str]:
    """Names of the samplers in the order of the runs."""
    return list(dict.fromkeys(entry.sampler for entry in found.samplers))


def look_of(found: ScalingResults, sampler: str) -> tuple[str, str, str]:
    """Label, colour and marker; every flow has its own, and a label that says where it was not held."""
    flows = [s for s in samplers_of(found) if trainings_of(found, s)]
    if sampler in flows:
        return (_flow_label(found, sampler), *_FLOWS[flows.index(sampler) % len(_FLOWS)])
    known = sampler_style(sampler)
    return known.label, known.colour, known.marker


def trainings_of(found: ScalingResults, sampler: str) -> list[TrainingRecord]:
    """The trainings of a flow, size by size; none of a classical sampler."""
    return [e.training for e in found.samplers if e.sampler == sampler and e.training is not None]


def _flow_label(found: ScalingResults, sampler: str) -> str:
    """Its name, and of how many sizes it is fitted where not of all."""
    trainings = trainings_of(found, sampler)
    held = sum(e.is_held for e in found.samplers if e.sampler == sampler and e.training is not None)
    if held == len(trainings):
        return sampler
    return f"{sampler} ({held} of {len(trainings)} held)"


def words_of(name: str) -> tuple[str, str, str]:
    """Symbol, symbol in TeX and title of an observable."""
    known = vocabulary().words_of(name)
    return WORDS.get(name, (known.symbol, known.math, known.title))


def extent_ticks(axes: Axes, extents: tuple[int, ...]) -> None:
    """The sizes as the only numbers on the abscissa."""
    axes.set_xticks(extents, [str(extent) for extent in extents])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
