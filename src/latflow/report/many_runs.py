"""Many runs in one table and one figure: observables against the parameters in which the runs differ."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from latflow.archive.collection import EXTENT, Row, RunTable
from latflow.errors import UsageError
from latflow.given import require_type
from latflow.report.canvas import INK, ONE_ROW, encode_as, legend_above, require_kind, single_axes, style
from latflow.report.markdown import markdown_table, plain_symbol
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, compact, is_number, plain, shown
from latflow.report.tables import pull_of
from latflow.report.verdict_box import SUSPICIOUS
from latflow.stats.estimates import UNDERESTIMATED, UNRESOLVED

_LETTERS = {
    "beta": r"$\beta$",
    "kappa": r"$\kappa$",
    "coupling": r"$\lambda$",
    "mass_squared": r"$m^2$",
    "alpha": r"$\alpha$",
}


def runs_markdown(found: RunTable) -> str:
    """A table in Markdown for every observable: a line for each set of parameters, a column for each sampler.

    Args:
        found: What `collect_runs` returned.
    """
    require_type("table", found, RunTable, "what collect_runs returned")
    lines = [line for name in found.observables for line in _table(found, name)]
    if found.fields:
        lines += [f"Each value is of the field of its study: {'; '.join(found.fields)}.", ""]
    return "\n".join(lines)


def runs_figure(found: RunTable, observable: str, *, format: str = "svg") -> bytes:
    """An observable against the one parameter in which the runs differ.

    Args:
        found: What `collect_runs` returned.
        observable: Name of the observable.
        format: ``svg``, ``pdf`` or ``png``.

    Raises:
        UsageError: If there is no such observable or format, or not exactly one parameter whose values are numbers.
    """
    require_type("table", found, RunTable, "what collect_runs returned")
    if observable not in found.words:
        raise UsageError("observable", value=repr(observable), allowed=", ".join(found.words))
    require_kind("format", format)
    key = _axis(found)
    rows = found.of(observable)
    with style():
        canvas, axes = single_axes(above=ONE_ROW)
        for sampler in dict.fromkeys(row.estimate.sampler for row in rows):
            _points(axes, key, [row for row in rows if row.estimate.sampler == sampler])
        _known(axes, key, rows)
        axes.xaxis.set_major_locator(MaxNLocator(integer=all(float(row.parameters[key]).is_integer() for row in rows)))
        name = key.rpartition(".")[2]
        axes.set_xlabel(_LETTERS.get(name, name.replace("_", " ")))
        axes.set_ylabel(found.words[observable].math)
        legend_above(canvas, axes, columns=3)
        return encode_as(canvas, format)


def _table(found: RunTable, observable: str) -> list[str]:
    rows = found.of(observable)
    samplers = list(dict.fromkeys(row.estimate.sampler for row in rows))
    head = [*(key.rpartition(".")[2] for key in found.keys), "run", *(sampler_style(s).label for s in samplers)]
    words = found.words[observable]
    lines: list[list[str]] = []
    for run in dict.fromkeys(row.run for row in rows):
        own = {row.estimate.sampler: row for row in rows if row.run == run}
        first = next(iter(own.values()))
        values = [_value(own[sampler]) if sampler in own else ABSENT for sampler in samplers]
        known = first.estimate.known
        reference = ABSENT if known is None else compact(known.value, known.error)
        lines.append([*(_text(first.parameters[key]) for key in found.keys), Path(run).name, *values, reference])
    title = f"**{plain_symbol(words.symbol)}**, {words.title}"
    return [title, "", *markdown_table([*head, "reference"], lines), "", *_note(rows)]


def _note(rows: Sequence[Row]) -> list[str]:
    """What the marks of averages mean, where there are any."""
    shown_values = [_value(row) for row in rows]
    notes = []
    if any(row.estimate.state in (UNDERESTIMATED, UNRESOLVED) for row in rows):
        notes.append("(≥…): the error is only a lower bound. Why, or why not resolved: the report of the run.")
    if any("†" in value for value in shown_values):
        notes.append("†: its chains do not agree (R̂), so it must not be believed.")
    if any(value.endswith("!") for value in shown_values):
        notes.append(f"!: more than {SUSPICIOUS:g}σ from the reference.")
    return [" ".join(notes), ""] if notes else []


def _value(row: Row) -> str:
    """With a dagger where chains disagree, and an exclamation mark far from the known value."""
    number, state = row.estimate.number, row.estimate.state
    if number is None:
        return shown(None, None, state)
    apart = "†" if row.chains_agree is False else ""
    far = abs(pull_of(number, row.estimate.known) or 0.0) > SUSPICIOUS
    return f"{shown(number.value, number.error, state)}{apart}{'!' if far else ''}"


def _text(value: object) -> str:
    return plain(value, 6) if is_number(value) else ABSENT if value is None else str(value)


def _axis(found: RunTable) -> str:
    if len(found.keys) != 1:
        value = f"runs that differ in {', '.join(found.keys) or 'nothing'}"
        raise UsageError("--figure", value=value, allowed="one parameter", hint="name one with --against")
    key = found.keys[0]
    wrong = next((row.parameters[key] for row in found.rows if not is_number(row.parameters[key])), None)
    if any(not is_number(row.parameters[key]) for row in found.rows):
        raise UsageError("--figure", value=f"{key} is {wrong!r}", allowed=f"numbers, or {EXTENT} for equal extents")
    return key


def _points(axes: Axes, key: str, rows: Sequence[Row]) -> None:
    """Values with errors; hollow where the error is only a lower bound, or chains do not agree."""
    look, label = sampler_style(rows[0].estimate.sampler), sampler_style(rows[0].estimate.sampler).label
    there = [(row, n) for row in rows if (n := row.estimate.number) is not None]
    for hollow in (False, True):
        kept = [(row.parameters[key], n.value, n.error) for row, n in there if _is_bound(row) == hollow]
        if kept:
            x, value, error = zip(*kept, strict=True)
            face = "none" if hollow else look.colour
            axes.errorbar(x, value, error, fmt=look.marker, color=look.colour, mfc=face, elinewidth=1, label=label)
            label = None


def _is_bound(row: Row) -> bool:
    return row.estimate.state == UNDERESTIMATED or row.chains_agree is False


def _known(axes: Axes, key: str, rows: Sequence[Row]) -> None:
    """Reference values as short horizontal strokes."""
    known = {row.parameters[key]: row.estimate.known for row in rows if row.estimate.known is not None}
    if known:
        values = [found.value for found in known.values() if found is not None]
        axes.plot(list(known), values, "_", color=INK, markersize=11, label="reference", zorder=1)
