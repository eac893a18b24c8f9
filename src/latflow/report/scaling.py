"""The page of a scaling study: autocorrelation times against size, agreement, errors, cost.

Like the report of one run it reads files only, `scaling.json` and the run directories, and needs nothing else to be
shown.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pydantic import ValidationError

from latflow.errors import DataError, MissingInputError
from latflow.report import data, diagnostics
from latflow.report.canvas import (
    FAINT,
    ONE_ROW,
    TWO_ROWS,
    Omitted,
    Picture,
    encode,
    legend_above,
    readable_log,
    single_axes,
    style,
)
from latflow.report.html import environment
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, compact, plain, signed
from latflow.report.scaling_costs import cost_table, overtaking_table
from latflow.report.scaling_error_costs import error_cost_notes, error_cost_pictures, error_cost_tables
from latflow.report.scaling_looks import Table, extent_ticks, look_of, samplers_of, words_of
from latflow.report.verdict_box import SUSPICIOUS, verdict_box
from latflow.results.scaling import PowerLawRecord, PullRecord, ScalingEntry, ScalingResults
from latflow.stats.estimates import NOT_JUDGED
from latflow.store.atomic import write_bytes
from latflow.study.config.methods import HMC
from latflow.theories.catalogue import kinds, title_of

_LETTERS = {"coupling": "λ"}

_MARKUP = re.compile(r"(?<=_)\{|\}")

_LONG = 16
"""Characters of a label from which on a legend has two columns."""


def write_scaling_report(directory: Path) -> Path:
    """Write `scaling.html` and `figures/*.{pdf,svg}` of a scaling study.

    Args:
        directory: Where `scaling.json` and the run directories lie.

    Returns:
        Path of the page.

    Raises:
        MissingInputError: If there is no `scaling.json`.
        DataError: If a file is damaged.
        StorageError: If something cannot be written.
    """
    found = _read(directory / "scaling.json")
    with style():
        times = [_times(found, name) for name in _observables(found)]
        agreement = [_agreement(found)]
        seconds = error_cost_pictures(found)
        machinery = [picture for run in _main_runs(found) for picture in _machinery(directory / run)]
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    for picture in (*times, *agreement, *machinery, *seconds):
        if type(picture) is Picture:
            write_bytes(folder / f"{picture.name}.pdf", picture.pdf)
            write_bytes(folder / f"{picture.name}.svg", picture.svg)
    page = (
        environment()
        .get_template("scaling.html.j2")
        .render(
            name=found.study,
            points=_points(found),
            fewest=found.fewest_independent,
            verdicts=[_flow_table(found), _verdict_table(found)],
            times=times,
            fits=_fit_table(found),
            agreement=agreement,
            machinery=machinery,
            costs=[cost_table(found), overtaking_table(found)],
            errors=error_cost_tables(found),
            notes=error_cost_notes(found),
            seconds=seconds,
        )
    )
    path = directory / "scaling.html"
    write_bytes(path, page.encode("utf-8"))
    return path


def scaling_lines(found: ScalingResults) -> list[str]:
    """Acceptances of the flows, exponents, seconds for an error, the largest pull and the verdicts, for a terminal."""
    costs = error_cost_tables(found)[:1]
    lines = [line for table in (_flow_table(found), _fit_table(found), *costs) for line in _text(table)]
    lines += error_cost_notes(found) if costs else []
    pulls = found.pulls
    worst = max(pulls, key=lambda p: abs(p.pull), default=None)
    told = f"{len(pulls)} differences between samplers"
    if worst is not None:
        told += f", the largest {signed(worst.pull)}: {_pair(worst)} at L = {worst.extent}, {worst.observable}"
    return [*lines, told, *(f"verdict {name}: {status}" for name, status, *_ in _verdict_table(found).rows)]


def _text(table: Table) -> list[str]:
    rows = [[_MARKUP.sub("", cell) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    aligned = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [f"{table.title}:", *aligned, ""]


def _read(path: Path) -> ScalingResults:
    if not path.is_file():
        raise MissingInputError(str(path), value="no such file", hint="`latflow scaling` writes it")
    try:
        return ScalingResults.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(f"{path}, {place}", value=first["msg"], hint="`latflow scaling` writes it anew") from error


def _points(found: ScalingResults) -> str:
    pairs = zip(found.extents, found.couplings, strict=True)
    theory, letter = title_of(found.theory or kinds()[0]), _LETTERS.get(found.parameter, found.parameter)
    return f"{theory} at " + ", ".join(f"L = {extent}, {letter} = {value:g}" for extent, value in pairs)


def _observables(found: ScalingResults) -> list[str]:
    return list(dict.fromkeys(n for e in found.samplers for n in (*e.tau_int, *e.not_estimated)))


def _main_runs(found: ScalingResults) -> list[str]:
    """The run of every size that holds all samplers."""
    return list(dict.fromkeys(e.run for e in found.samplers if e.training is None))


def _times(found: ScalingResults, observable: str) -> Picture | Omitted:
    """τ_int of one observable against L, all samplers, with the fitted powers."""
    symbol, _, title = words_of(observable)
    name, heading = f"tau_{observable}", f"τ_int of the {title}"
    samplers = [s for s in samplers_of(found) if len(_series(found, s, observable))]
    if not samplers:
        return Omitted(name, heading, f"no sampler has an estimate of it{_missing(found, observable).rstrip('.')}")
    svg, pdf = encode(draw_times(found, observable))
    laws = [(s, law) for s in samplers if (law := _law(found, s, observable)) is not None]
    told = "; ".join(f"{look_of(found, s)[0]}: z = {compact(law.z, law.z_error)}" for s, law in laws)
    told = f"{told or 'Too few sizes for a fit'}.{_missing(found, observable)}"
    return Picture(name, heading, f"{symbol}. {told}", f"{heading}. {told}", svg, pdf)


def draw_times(found: ScalingResults, observable: str) -> Figure:
    """The figure of τ_int of one observable against L: a symbol per sampler, open where a flow was not held."""
    figure, axes = single_axes(height=2.7, above=TWO_ROWS)
    axes.set_xscale("log")
    axes.set_yscale("log")
    labels = []
    for sampler in samplers_of(found):
        p = _series(found, sampler, observable)
        if not len(p):
            continue
        label, colour, marker = look_of(found, sampler)
        labels.append(label)
        held = p[:, 3] > 0
        bars = np.stack([np.minimum(p[:, 2], 0.9 * p[:, 1]), p[:, 2]])
        for part, face in ((held, colour), (~held, "none")):
            if part.any():
                axes.errorbar(p[part, 0], p[part, 1], bars[:, part], fmt=marker, color=colour, mfc=face, label=label)
                label = None
        law = _law(found, sampler, observable)
        if law is not None:
            x = np.array([p[held, 0].min(), p[held, 0].max()])
            axes.plot(x, law.amplitude * x**law.z, "--", color=colour, linewidth=0.9)
    extent_ticks(axes, found.extents)
    readable_log(axes.yaxis)
    axes.set_xlabel("$L$")
    axes.set_ylabel(rf"$\tau_\mathrm{{int}}$ of {words_of(observable)[1]} (updates)")
    legend_above(figure, axes, columns=2 if max(map(len, labels), default=0) > _LONG else 3)
    return figure


def _missing(found: ScalingResults, observable: str) -> str:
    """Which points are not drawn because their records are too few for an estimate."""
    absent = [e for e in found.samplers if observable in e.not_estimated]
    named = "; ".join(f"{look_of(found, e.sampler)[0]} at L = {e.extent}" for e in absent)
    fewest = found.fewest_independent
    return f" Not estimated, fewer than {fewest} independent configurations: {named}." if named else ""


def _series(found: ScalingResults, sampler: str, observable: str) -> np.ndarray:
    """Rows of L, τ_int, its error, and whether it was fitted."""
    rows = [
        (e.extent, *e.tau_int[observable], float(e.is_held))
        for e in found.samplers
        if e.sampler == sampler and observable in e.tau_int
    ]
    return np.array(rows, dtype=float).reshape(-1, 4)


def _law(found: ScalingResults, sampler: str, observable: str) -> PowerLawRecord | None:
    laws = (fit for fit in found.fits if (fit.sampler, fit.observable) == (sampler, observable))
    return next(laws, None)


def _agreement(found: ScalingResults) -> Picture | Omitted:
    """All pulls of pairs of samplers at every size."""
    name, heading = "pulls", "Differences between samplers"
    if not found.pulls:
        return Omitted(name, heading, "no two samplers have the same observable at the same size")
    figure, axes = single_axes(above=ONE_ROW)
    axes.axhspan(-3, 3, color=FAINT, alpha=0.12, linewidth=0)
    axes.axhspan(-1, 1, color=FAINT, alpha=0.22, linewidth=0)
    rows = np.array([(found.extents.index(p.extent), p.pull) for p in found.pulls], dtype=float)
    spread = 0.6 * ((np.arange(len(rows)) * 0.618) % 1 - 0.5)
    axes.plot(rows[:, 0] + spread, rows[:, 1], "o", color=sampler_style(HMC).colour, markersize=2.6)
    axes.set_xticks(range(len(found.extents)), [str(extent) for extent in found.extents])
    axes.set_xlabel("$L$")
    axes.set_ylabel("pull (combined standard deviations)")
    largest = max(3.5, 1.1 * float(np.abs(rows[:, 1]).max()))
    axes.set_ylim(-largest, largest)
    svg, pdf = encode(figure)
    beyond = [p for p in found.pulls if abs(p.pull) > SUSPICIOUS]
    listed = "; ".join(f"{_pair(p)} at L = {p.extent}, {p.observable}: {signed(p.pull)}" for p in beyond)
    words = f"{len(rows)} pulls of all pairs of samplers in all observables, rms {plain(_rms(rows[:, 1]), 3)}; "
    words += f"beyond ±{SUSPICIOUS:g}: {listed or 'none'}."
    caption = f"{words} Shaded: one and three standard deviations. Observables of one run are correlated."
    return Picture(name, heading, caption, words, svg, pdf)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _pair(entry: PullRecord) -> str:
    return " − ".join(entry.samplers)


def _machinery(path: Path) -> list[Picture | Omitted]:
    """Errors against N and rejection runs of one run, under its name."""
    run = data.load(path)
    drawings: tuple[Callable[[data.Run], Picture | Omitted], ...] = (
        diagnostics.error_scaling,
        diagnostics.rejection_runs,
    )
    drawn = [draw(run) for draw in drawings]
    return [replace(p, name=f"{path.name}_{p.name}", title=f"{path.name}: {p.title}") for p in drawn]


def _verdict_table(found: ScalingResults) -> Table:
    rows = []
    for name, given in found.verdicts.items():
        verdict = verdict_box(given)
        flows = ", ".join(e.sampler for e in found.samplers if e.run == name and e.training is not None)
        rows.append([name, verdict.status, flows or ABSENT, "; ".join(verdict.reasons) or ABSENT])
    exact = sum(row[1] == "exact" for row in rows)
    return Table(
        f"Verdicts of the runs, {exact} of {len(rows)} exact", ["run", "verdict", "flow", "reasons"], rows, prose=True
    )


def _flow_table(found: ScalingResults) -> Table:
    """The wanted acceptance of every flow, and the figures of its production draws."""
    head = ["asked for", *(f"L = {extent}" for extent in found.extents)]
    rows = []
    for sampler in samplers_of(found):
        trained = {e.extent: e for e in found.samplers if e.sampler == sampler and e.training}
        if trained:
            rows.append([sampler, *(_held(trained.get(extent)) for extent in found.extents)])
    return Table("Acceptance of the flows", head, rows)


def _held(entry: ScalingEntry | None) -> str:
    if entry is None or entry.training is None:
        return ABSENT
    training, doubt = entry.training, "" if entry.is_reliable else f"; averages: {entry.state or NOT_JUDGED}"
    if training.acceptance is None:
        return "not measured"
    told = f"{100 * training.acceptance:.3g} %"
    if training.reached:
        return told + doubt
    if training.acceptance > training.wanted:
        return f"{told}, above{doubt}"
    return f"{told}, not reached{doubt}"


def _fit_table(found: ScalingResults) -> Table:
    names = _observables(found)
    rows = [[look_of(found, s)[0], *(_exponent(found, s, name) for name in names)] for s in samplers_of(found)]
    tested = [fit.dof > 0 for fit in found.fits]
    goodness = ", with χ²/dof" if any(tested) else ""
    untested = "; of two sizes no χ²: nothing tests the power law" if not all(tested) else ""
    title = f"Exponents z of τ_int{goodness}{untested}"
    return Table(title, ["sampler", *(words_of(name)[0] for name in names)], rows)


def _exponent(found: ScalingResults, sampler: str, observable: str) -> str:
    law = _law(found, sampler, observable)
    if law is None:
        known = [e for e in found.samplers if e.sampler == sampler and observable in e.tau_int]
        held = [e for e in known if e.is_held]
        if any(not e.is_reliable for e in known):
            return "averages not reliable" if any(e.state for e in known) else f"averages {NOT_JUDGED}"
        return "not held" if len(held) < len(known) else "not estimated"
    goodness = f", {plain(law.chi2 / law.dof, 2)}" if law.dof else ""
    return f"{compact(law.z, law.z_error)}{goodness}"
