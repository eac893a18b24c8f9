"""What smaller errors cost, as plain data: seconds for an error of a given size, and when training has paid off.

Lines are ways to an average, a sampler with or without correction; columns are observables. A number that is not to be
relied on carries a question mark, nothing is claimed of it, and a note says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.report.numbers import ABSENT, duration, plain
from latflow.results import ErrorCost, Results, SamplerCost, error_costs
from latflow.results.error_costs import GOAL, is_ahead, sampled_as
from latflow.stats.estimates import UNDERESTIMATED
from latflow.study.config.methods import BASELINE, CHAINS, GIVEN

COLUMNS = 5
"""Observables that a page has room for; results.json holds all."""

UNKNOWN = "unknown"
NOT_TOLD_APART = "not told apart"


@dataclass(frozen=True)
class ErrorCostTable:
    """Both tables with their headings and notes; the first two cells of a line of `rows` are the way and its T.

    Attributes:
        observables: Symbols, the headings of the other columns.
        rows: Seconds for the goal, with what the compared sampler takes over that.
        even: Seconds of the compared sampler after which a way is ahead of it; empty where nothing is compared.
        against: Label of the compared sampler.
        words: What the first observable says, in a sentence; empty where nothing is compared.
        notes: What marks mean.
    """

    observables: list[str]
    rows: list[list[str]]
    even: list[list[str]]
    against: str
    words: str
    notes: list[str]


def error_cost_table(results: Results, *, columns: int = COLUMNS) -> ErrorCostTable | None:
    """The table of a run; None where no scalar average has an error.

    Args:
        results: What the run has found.
        columns: How many observables at most.
    """
    found = _costs(results)
    names = columns_of(results, found)[:columns]
    kept = {(c.sampler, c.corrected, c.observable): c for c in found if c.observable in names}
    ways = in_order((sampler, corrected) for sampler, corrected, _ in kept)
    if not ways:
        return None
    against = next((c.against for c in kept.values() if c.against), "")
    lines = [[kept.get((*way, name)) for name in names] for way in ways]
    rows = [
        [marked_label(results, way), once_of(line), *map(cost_cell, line)]
        for way, line in zip(ways, lines, strict=True)
    ]
    others = [(way, line) for way, line in zip(ways, lines, strict=True) if way != (against, False)]
    even = [[way_label(way), *map(even_cell, line)] for way, line in others] if against else []
    return ErrorCostTable(
        observables=[_heading(results, name, found) for name in names],
        rows=rows,
        even=even if any(cell != ABSENT for row in even for cell in row[1:]) else [],
        against=sampler_style(against).label if against else "",
        words=even_words(results.words(names[0]).title, [c for c in found if c.observable == names[0]]),
        notes=[
            *doubt_notes((way_label((c.sampler, c.corrected)), c.doubt) for c in kept.values()),
            *unknown_notes(
                (way_label(way), way, results) for way, line in zip(ways, lines, strict=True) if _hidden(line)
            ),
            *compilation_notes([row[0] for row in rows], results, against),
        ],
    )


def error_cost_lines(results: Results, *, columns: int = 3) -> list[str]:
    """The same for a terminal, of the first observables; empty where no seconds are known."""
    table = error_cost_table(results, columns=columns)
    if table is None or not any(c.seconds is not None for c in _costs(results)):
        return []
    names = columns_of(results, _costs(results))[:columns]
    head = [f"seconds for {GOAL:.1%} error", "once", *names]
    rows = [head, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *filter(None, [table.words]), *table.notes]


def _costs(results: Results) -> tuple[ErrorCost, ...]:
    return error_costs(results, baseline=BASELINE)


def columns_of(results: Results, found: Iterable[ErrorCost]) -> list[str]:
    """Observables in the order of tables: first those whose value sets a scale and that most ways have."""
    ways: dict[str, int] = {}
    absolute: set[str] = set()
    for each in found:
        ways[each.observable] = ways.get(each.observable, 0) + 1
        absolute |= set() if each.relative else {each.observable}
    most = max(ways.values(), default=0)
    return sorted(results.in_order(ways), key=lambda name: (name in absolute, 2 * ways[name] < most))


def in_order(ways: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Ways in the order of samplers, the plain one first."""
    return sorted(set(ways), key=lambda way: (order_of(way[0], SAMPLERS), way[1]))


def way_label(way: tuple[str, bool]) -> str:
    """A sampler, and if its averages are corrected by what."""
    sampler, corrected = way
    label = sampler_style(sampler).label
    return label if not corrected else f"{label} reduced" if sampler in (*CHAINS, *GIVEN) else f"{label} with variates"


def once_of(line: Sequence[ErrorCost | None]) -> str:
    """T of a way."""
    found = next((c for c in line if c is not None), None)
    if found is None:
        return ABSENT
    if found.seconds_once is None:
        return UNKNOWN
    return duration(found.seconds_once, 2) if found.seconds_once > 0 else "0 s"


def cost_cell(found: ErrorCost | None) -> str:
    """Seconds for the goal; in brackets those of the compared sampler over these."""
    if found is None:
        return ABSENT
    if found.seconds_for_goal is None:
        return UNKNOWN
    bound = "≥ " if found.doubt == UNDERESTIMATED else ""
    gain = "" if found.gain is None else f" (÷ {plain(found.gain, 2)})"
    return f"{bound}{duration(found.seconds_for_goal, 2)}{'?' if found.doubt else ''}{gain}"


def even_cell(found: ErrorCost | None) -> str:
    """From when on a way is ahead of the compared sampler."""
    if found is None or found.gain is None:
        return ABSENT
    if found.break_even is not None:
        return duration(found.break_even, 2) if found.break_even > 0 else "at once"
    ahead = is_ahead(found.gain, found.gain_error or 0.0)
    if ahead:
        return f"ahead; training {UNKNOWN}"
    return NOT_TOLD_APART if ahead is None else "never"


def even_words(title: str, found: Sequence[ErrorCost]) -> str:
    """What the costs of one observable say of every way against the compared sampler, in a sentence."""
    told: dict[str, list[str]] = {}
    for sampler, corrected in in_order((c.sampler, c.corrected) for c in found):
        each = next(c for c in found if (c.sampler, c.corrected) == (sampler, corrected))
        cell = even_cell(each)
        if cell == ABSENT:
            continue
        after = cell in ("never", NOT_TOLD_APART, "at once") or each.break_even is None
        told.setdefault(cell if after else f"after {cell}", []).append(way_label((sampler, corrected)))
    against = next((c.against for c in found if c.against), "")
    parts = "; ".join(f"{', '.join(labels)}: {cell}" for cell, labels in told.items())
    title = title[:1].upper() + title[1:]
    return f"{title}, ahead of {sampler_style(against).label}, training included: {parts}." if parts else ""


def marked_label(results: Results, way: tuple[str, bool]) -> str:
    """The label of a way, with a star where its seconds include compilation."""
    paid = results.cost.get(sampled_as(way[0]))
    return way_label(way) + ("*" if paid is not None and paid.compilation_included else "")


def _heading(results: Results, name: str, found: Iterable[ErrorCost]) -> str:
    relative = all(c.relative for c in found if c.observable == name)
    return results.words(name).symbol + ("" if relative else f", ±{GOAL:g}")


def doubt_notes(found: Iterable[tuple[str, str]]) -> list[str]:
    """Which numbers carry a question mark, and why.

    Args:
        found: Labels of ways, each with why its cost is not to be relied on, empty if nothing is known.
    """
    reasons: dict[str, dict[str, None]] = {}
    for label, doubt in found:
        if doubt:
            reasons.setdefault(doubt, {})[label] = None
    told = "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in reasons.items())
    return [f"?, unknown: not to be relied on, and nothing is claimed: {told}."] if told else []


def _hidden(line: Sequence[ErrorCost | None]) -> bool:
    """Whether what comes once is not known of a way."""
    return once_of(line) == UNKNOWN


def unknown_notes(found: Iterable[tuple[str, tuple[str, bool], Results]]) -> list[str]:
    """What is not recorded of ways whose seconds that come once are not known.

    Args:
        found: Label, way and results of the run, of each of them.
    """
    reasons: dict[str, dict[str, None]] = {}
    for label, (sampler, corrected), results in found:
        paid = results.cost.get(sampled_as(sampler), SamplerCost())
        parts = {
            "training of the flow": paid.training_seconds,
            "warm-up and tuning": paid.setup_seconds,
            "training of the Stein fields, or of the flow that gives them": (
                paid.correction_training_seconds if corrected else 0.0
            ),
        }
        for part, seconds in parts.items():
            if seconds is None:
                reasons.setdefault(part, {})[label] = None
    told = "; ".join(f"{part} ({', '.join(labels)})" for part, labels in reasons.items())
    return [f"once unknown: not recorded: {told}."] if told else []


def compilation_notes(labels: Iterable[str], results: Results, against: str) -> list[str]:
    """What the star at labels means.

    Args:
        labels: Of ways.
        results: Of the run that others are compared with.
        against: Its sampler whose seconds they are compared with; empty if there is none.
    """
    if not any(label.endswith("*") for label in labels):
        return []
    paid = results.cost.get(against)
    compared = f", so nothing is compared with {sampler_style(against).label}"
    return [f"*: one block, compilation included{compared if paid and paid.compilation_included else ''}."]
