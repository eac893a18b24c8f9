"""Runs beside each other as lines: a table for every observable, and one of what errors cost."""

from collections.abc import Iterable, Sequence

from latflow.archive.comparison import ComparedAverage, Comparison
from latflow.display import aligned
from latflow.report.error_costs import (
    UNKNOWN,
    compilation_notes,
    cost_cell,
    doubt_notes,
    even_cell,
    in_order,
    marked_label,
    once_of,
    unknown_notes,
    way_label,
)
from latflow.report.markdown import plain_symbol
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, shown, signed
from latflow.report.verdict_box import SUSPICIOUS
from latflow.results import ErrorCost, Observable
from latflow.results.error_costs import GOAL
from latflow.stats.estimates import NOT_JUDGED, UNDERESTIMATED, UNRESOLVED
from latflow.study.config.methods import CHAINS

_HEAD = ("run", "sampler", "value", "pull", "state")


def comparison_lines(found: Comparison, *, columns: int = 3) -> list[str]:
    """Warnings, values with differences and states, and costs, for a terminal.

    Args:
        found: The runs.
        columns: Observables that the table of costs has room for, first those whose values set a scale.
    """
    lines = [f"warning: {warning}" for warning in found.warnings]
    lines += [f"baseline: {found.names[found.baseline]}", ""]
    for name in found.observables:
        lines += [*_values(found, name), ""]
    lines += [_differences(found), *_bounds(found), ""]
    return [*lines, *_costs(found, columns)]


def _bounds(found: Comparison) -> list[str]:
    """What values without an error, or with a bound for one, mean."""
    states = {each.estimate.state for each in found.averages}
    words = {
        UNDERESTIMATED: "(≥ …): a lower bound of the error, which is not known.",
        UNRESOLVED: f"{UNRESOLVED}: the weights do not tell the value, and none is given.",
    }
    return [told for state, told in words.items() if state in states]


def _values(found: Comparison, observable: str) -> list[str]:
    """One observable: run, sampler, value, difference from the first of the baseline, state."""
    words = _words(found, observable)
    rows = [
        [found.names[each.run], _label(each), *_cells(each)]
        for each in found.averages
        if each.estimate.observable == observable
    ]
    return [f"{plain_symbol(words.symbol)}, {words.title}", *aligned([_HEAD, *rows])]


def _label(each: ComparedAverage) -> str:
    """The sampler, and whether its average is corrected."""
    return way_label((each.estimate.sampler, isinstance(each.estimate.plain_value, float)))


def _words(found: Comparison, observable: str) -> Observable:
    known = next(run for run in found.runs if observable in run.results.observables)
    return known.results.words(observable)


def _cells(each: ComparedAverage) -> tuple[str, str, str]:
    row, number = each.estimate, each.estimate.number
    value = shown(None, None, row.state) if number is None else shown(number.value, number.error, row.state)
    mark = "!" if abs(each.pull or 0.0) > SUSPICIOUS else ""
    return value, f"{signed(each.pull)}{mark}", state_of(each)


def state_of(each: ComparedAverage) -> str:
    """Whether an average is to be believed, in words."""
    row = each.estimate
    if row.sampler in CHAINS:
        return {True: "chains agree", False: "chains do not agree", None: "chains too short to say"}[each.chains_agree]
    return row.state or NOT_JUDGED


def _differences(found: Comparison) -> str:
    """How many differences between runs there are, and the largest."""
    reference = "pull: difference from the first average of the baseline, in combined errors; –: none, as of averages "
    reference += "with the same random numbers, one sampler with one seed, or with errors not to be believed"
    if not found.differences:
        return f"{reference}; no two runs have averages to compare in this way."
    worst = max(found.differences, key=lambda each: abs(each.pull))
    pair = " − ".join(f"{found.names[a.run]} {_label(a)}" for a in worst.averages)
    beyond = f"; !: beyond {SUSPICIOUS:g}" if abs(worst.pull) > SUSPICIOUS else ""
    n = len(found.differences)
    count = f"{n} {'difference' if n == 1 else 'differences'} between runs"
    symbol = plain_symbol(_words(found, worst.observable).symbol)
    return f"{reference}{beyond}. {count}, the largest {signed(worst.pull)}: {pair}, {symbol}."


def _costs(found: Comparison, columns: int) -> list[str]:
    """Seconds for an error, what comes once, and when a way is ahead of the chains of the baseline."""
    known = [cost for costs in found.costs for cost in costs]
    if not any(cost.seconds is not None for cost in known):
        return ["seconds for an error: not known of these runs"]
    absolute = {cost.observable for cost in known if not cost.relative}
    names = [name for name in found.observables if any(c.observable == name for c in known)]
    names = sorted(names, key=lambda name: name in absolute)[:columns]
    symbols = [plain_symbol(_words(found, name).symbol) for name in names]
    head = [f"seconds for {GOAL:.1%} error", "", "once", *symbols]
    rows, notes, hidden = [head], [], []
    for opened, run, costs in zip(found.runs, found.names, found.costs, strict=True):
        for way in in_order((c.sampler, c.corrected) for c in costs):
            line = [_one(costs, way, name) for name in names]
            rows.append([run, marked_label(opened.results, way), once_of(line), *(_cell(cost) for cost in line)])
            if once_of(line) == UNKNOWN:
                hidden.append((f"{run} {way_label(way)}", way, opened.results))
            notes += [(f"{run} {way_label(way)}", cost.doubt) for cost in line if cost is not None]
    against = next((cost.against for cost in known if cost.against), "")
    compiled = compilation_notes([row[1] for row in rows], found.runs[found.baseline].results, against)
    return [*aligned(rows), *_meaning(found, known), *doubt_notes(notes), *unknown_notes(hidden), *compiled]


def _one(costs: Iterable[ErrorCost], way: tuple[str, bool], observable: str) -> ErrorCost | None:
    return next((c for c in costs if (c.sampler, c.corrected) == way and c.observable == observable), None)


def _cell(cost: ErrorCost | None) -> str:
    """Seconds, by how much less than the baseline's, and from when on."""
    even = even_cell(cost)
    absolute = "" if cost is None or cost.relative else f" ±{GOAL:g}"
    return f"{cost_cell(cost)}{absolute}{'' if even == ABSENT else f', {_after(even)}'}"


def _after(even: str) -> str:
    return f"after {even}" if even[0].isdigit() else even


def _meaning(found: Comparison, costs: Sequence[ErrorCost]) -> list[str]:
    """What brackets and the seconds after them are."""
    against = next((c.against for c in costs if c.against), "")
    if not against or not any(c.gain is not None for c in costs):
        return []
    label = f"{found.names[found.baseline]} {sampler_style(against).label}"
    told = f"÷: seconds of {label} over these; after: seconds of {label} after which the way is ahead, once included."
    return [told, "Seconds of different runs are known to a factor of two: a way of another run is ahead above ÷ 4."]
