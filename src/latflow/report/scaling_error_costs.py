"""What an error costs at every size of a scaling study: seconds for 0.1 % of an observable, and who is ahead.

The numbers are those of the runs (`latflow.results.error_costs`), each compared with the chains of its own run. Those
that are not to be relied on carry a question mark in tables and are left out of figures.
"""

from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latflow.report.canvas import TWO_ROWS, Omitted, Picture, encode, legend_above, readable_log, single_axes
from latflow.report.error_costs import cost_cell, doubt_notes, even_cell, way_label
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, duration
from latflow.report.scaling_looks import Table, extent_ticks, look_of, words_of
from latflow.results import ErrorCost
from latflow.results.error_costs import GOAL, sampled_as
from latflow.results.scaling import ScalingResults

_LINES = {(False, False): "-", (False, True): "--", (True, False): ":", (True, True): "-."}
"""By whether draws are weighted, and averages corrected."""


class Way(NamedTuple):
    """A way to an average: whose configurations, and what is made of them."""

    source: str
    sampler: str
    corrected: bool


def cost_observables(found: ScalingResults) -> list[str]:
    """Observables whose errors cost a known time; none in older files."""
    known = (c.observable for e in found.samplers for c in e.error_costs if c.seconds_for_goal is not None)
    return list(dict.fromkeys(known))


def error_cost_tables(found: ScalingResults) -> list[Table]:
    """A table for every observable: a line for each way, with one below of when it is ahead of the compared chains."""
    head = ["sampler", *(f"L = {extent}" for extent in found.extents)]
    tables = []
    for name in cost_observables(found):
        rows = [row for way, line in _lines(found, name).items() for row in _rows(found, way, line)]
        tables.append(Table(_heading(name), head, rows))
    return tables


def error_cost_notes(found: ScalingResults) -> list[str]:
    """What the marks in the tables mean, and why."""
    shown = [(w, c) for name in cost_observables(found) for w, line in _lines(found, name).items() for c in line if c]
    absolute = [f"±{GOAL:g} where a value is compatible with zero."] if any(not c.relative for _, c in shown) else []
    return [*absolute, *doubt_notes((_label(found, way), cost.doubt) for way, cost in shown)]


def error_cost_pictures(found: ScalingResults) -> list[Picture | Omitted]:
    """A figure for every observable with a cost that may be relied on."""
    names = cost_observables(found)
    if not names:
        reason = "no seconds of sampling and measuring are known, as of runs of an earlier version"
        return [Omitted("error_costs", "Seconds for an error", reason)]
    return [_picture(found, name) for name in names]


def draw_error_costs(found: ScalingResults, observable: str) -> Figure:
    """Seconds for 0.1 % against L: full symbols without, open ones with what comes once."""
    figure, axes = single_axes(height=2.9, above=TWO_ROWS)
    axes.set_xscale("log")
    axes.set_yscale("log")
    lines = _lines(found, observable)
    for way, line in lines.items():
        _draw(axes, found, way, _points(found, line))
    extent_ticks(axes, found.extents)
    readable_log(axes.yaxis)
    axes.set_xlabel("$L$")
    axes.set_ylabel(f"seconds for {GOAL:.1%} of {words_of(observable)[1]}")
    long = any(len(_label(found, way)) > _LONG for way in lines)
    legend_above(figure, axes, columns=2 if long else 3)
    return figure


_LONG = 16
"""Characters of a label from which on a legend has two columns."""


def _draw(axes: Axes, found: ScalingResults, way: Way, points: list[tuple[int, float, float | None]]) -> None:
    if not points:
        return
    _, colour, marker = look_of(found, way.source)
    style = _LINES[sampled_as(way.sampler) != way.sampler, way.corrected]
    x, seconds, _ = zip(*points, strict=True)
    axes.plot(x, seconds, style, marker=marker, color=colour, linewidth=0.9, label=_label(found, way))
    whole = [(x, seconds + once) for x, seconds, once in points if once]
    if whole:
        axes.plot(*zip(*whole, strict=True), linestyle="none", marker=marker, mfc="none", color=colour)


def _points(found: ScalingResults, line: list[ErrorCost | None]) -> list[tuple[int, float, float | None]]:
    """L, seconds for the goal, and what comes once, where nothing speaks against them."""
    pairs = zip(found.extents, line, strict=True)
    return [(n, c.seconds_for_goal, c.seconds_once) for n, c in pairs if c and not c.doubt and c.seconds_for_goal]


def _picture(found: ScalingResults, observable: str) -> Picture | Omitted:
    name, heading, (*_, title) = f"error_cost_{observable}", _heading(observable), words_of(observable)
    lines = _lines(found, observable)
    points = {way: _points(found, line) for way, line in lines.items()}
    if not any(points.values()):
        return Omitted(name, heading, "no sampler has a cost that may be relied on")
    svg, pdf = encode(draw_error_costs(found, observable))
    told = "; ".join(
        f"{_label(found, way)}: {', '.join(f'{duration(s, 2)} at L = {n}' for n, s, _ in p)}"
        for way, p in points.items()
        if p
    )
    drawn = sum(map(len, points.values()))
    missing = sum(c is not None for line in lines.values() for c in line) - drawn
    left_out = f" {missing} that are not to be relied on are left out." if missing else ""
    caption = f"{title[:1].upper()}{title[1:]}. Full symbols: sampling, measuring and variates. Open symbols: with "
    caption += f"training, warm-up and tuning, which come once.{left_out}"
    return Picture(name, heading, caption, f"{heading}. {told}.{left_out}", svg, pdf)


def _heading(observable: str) -> str:
    return f"Seconds for {GOAL:.1%} of the {words_of(observable)[2]}"


def _lines(found: ScalingResults, observable: str) -> dict[Way, list[ErrorCost | None]]:
    """Costs of one observable by way, size by size; a sampler's plain average comes first."""
    costs = {
        (Way(e.sampler, c.sampler, c.corrected), e.extent): c
        for e in found.samplers
        for c in e.error_costs
        if c.observable == observable
    }
    return {way: [costs.get((way, extent)) for extent in found.extents] for way in dict.fromkeys(w for w, _ in costs)}


def _rows(found: ScalingResults, way: Way, line: list[ErrorCost | None]) -> Iterable[list[str]]:
    """Seconds, and if there is anything to compare with from when on they are less."""
    label = _label(found, way)
    yield [label, *(ABSENT if cost is None else f"{cost_cell(cost)}{_absolute(cost)}" for cost in line)]
    even = [even_cell(cost) for cost in line]
    if any(cell != ABSENT for cell in even):
        against = next(cost.against for cost in line if cost is not None and cost.against)
        yield [f"{label}: ahead of {sampler_style(against).label} after", *even]


def _absolute(cost: ErrorCost) -> str:
    return "" if cost.relative else f" ±{GOAL:g}"


def _label(found: ScalingResults, way: Way) -> str:
    """A flow has the name of the study, and what is made of its draws."""
    label = look_of(found, way.source)[0]
    if any(e.training for e in found.samplers if e.sampler == way.source):
        label = way.source
        label += f" {sampler_style(way.sampler).label}" if sampled_as(way.sampler) != way.sampler else ""
        return f"{label} with variates" if way.corrected else label
    return way_label((way.sampler, way.corrected))
