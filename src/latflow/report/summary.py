"""The report's first table as plain lines for a terminal: observables down, samplers across, reference last."""

from latflow.report.belief import belief
from latflow.report.chains import ChainTable, chain_tables
from latflow.report.cost import IndependentCost, independent_cost
from latflow.report.data import flow_times
from latflow.report.error_costs import error_cost_lines
from latflow.report.field import field_lines
from latflow.report.footnotes import legend, not_reliable, reduced, slow_tails
from latflow.report.gains import gain_lines
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, compact, duration, measured, plain, shown
from latflow.report.scales import SCALES, beyond
from latflow.report.tables import largest_weight, pull_of, samplers_of, scalar_observables, state_of
from latflow.report.tunnelling import MASSES, tunnelling
from latflow.report.verdict_box import SUSPICIOUS, verdict_box
from latflow.results import EstimateRecord, FlowFigures, Results
from latflow.stats.estimates import Estimate
from latflow.stats.flow_scale import LEVEL


def summary_lines(results: Results) -> list[str]:
    """What may be believed, every scalar observable of every sampler, the flow's figures of merit, cost and verdict.

    An estimate more than three combined standard deviations from its reference carries an exclamation mark. An error
    that is only a lower bound is written (≥…), and what is not resolved has no number; a line says why. Another says
    which field values are of and what the measure of log Z is.

    Args:
        results: What a run has found; missing parts are left out.

    Returns:
        Lines without line ends, plain text.
    """
    told = not_reliable(results)
    masses = next((f"pole_mass: {text}" for name in MASSES if (text := tunnelling(results, name))), "")
    said = (legend(results), slow_tails(results), reduced(results), told, masses if results.of(MASSES[0]) else "")
    notes = [*field_lines(results), *_scales(results), *filter(None, said)]
    first = list(filter(None, [belief(results)]))
    table = _table(results)
    far = any("!" in row for row in table)
    marks = [f"!: more than {SUSPICIOUS:g}σ from the reference"] if far else []
    figures = [*gain_lines(results), *_flow(results), *_cost(results), *error_cost_lines(results), *_verdict(results)]
    return [*first, *table, *marks, *notes, *figures]


def _table(results: Results) -> list[str]:
    observables, samplers = scalar_observables(results), samplers_of(results)
    if not observables:
        arrays = results.in_order({row.observable for row in results.estimates})
        return [
            f"arrays only, see the report: {', '.join(arrays)}" if arrays else "no observable has been analysed yet"
        ]
    rows = [["observable", *(sampler_style(s).label for s in samplers), "reference"]]
    for observable in observables:
        found = [results.estimate(observable, sampler) for sampler in samplers]
        known = next((row.known for row in found if row is not None and row.known is not None), None)
        reference = ABSENT if known is None else compact(known.value, known.error)
        rows.append([observable, *(_cell(row, known) for row in found), reference])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], rule, *lines[1:], rule]


def _cell(row: EstimateRecord | None, known: Estimate | None) -> str:
    number = None if row is None else row.number
    if row is None or number is None:
        return ABSENT if row is None else shown(None, None, row.state)
    pull = pull_of(number, known)
    return shown(number.value, number.error, row.state) + ("!" if pull is not None and abs(pull) > SUSPICIOUS else "")


def _scales(results: Results) -> list[str]:
    """What the gradient flow did not reach: one line for all that the same samplers missed."""
    missed: dict[tuple[str, ...], list[str]] = {}
    for name in SCALES:
        missed.setdefault(tuple(beyond(results, name)), []).append(name)
    return [_missed(results, names, samplers) for samplers, names in missed.items() if samplers]


def _missed(results: Results, names: list[str], samplers: tuple[str, ...]) -> str:
    labels = ", ".join(sampler_style(sampler).label for sampler in samplers)
    end = flow_times(results)[-1]
    return f"{', '.join(names)}: not reached, below {LEVEL:g} until the flow ends at t = {end:g} ({labels})"


def _flow(results: Results) -> list[str]:
    flow = results.flow or FlowFigures()
    parts = [
        f"{word} {text}"
        for word, text in (
            ("acceptance", plain(flow.acceptance, 3)),
            ("reweighting ESS", plain(flow.reweighting_ess, 3)),
            ("log Z", shown(flow.log_z, flow.log_z_error, state_of(flow))),
            ("largest weight over the mean", measured(largest_weight(flow), 2)),
            ("N", str(flow.n or ABSENT)),
        )
        if text != ABSENT
    ]
    return ["flow: " + ", ".join(parts)] if parts else []


def _cost(results: Results) -> list[str]:
    paid = [each for s in samplers_of(results) if (each := independent_cost(results, s)).seconds is not None]
    named = dict.fromkeys(each.observable for each in paid)
    one = f" (τ_int of {next(iter(named))})" if len(named) == 1 and next(iter(named)) else ""
    parts = [f"{sampler_style(s.sampler).label} {duration(s.seconds, 2)}{_rests_on(s, named=not one)}" for s in paid]
    return [f"time per independent configuration{one}: " + ", ".join(parts)] if parts else []


def _rests_on(paid: IndependentCost, *, named: bool) -> str:
    """The observable whose τ_int a cost counts, where it is not that of all, and whether compilation is in it."""
    words = [f"τ_int of {paid.observable}"] if named and paid.observable else []
    words += ["compilation included"] if paid.compilation_included else []
    return f" ({', '.join(words)})" if words else ""


def _verdict(results: Results) -> list[str]:
    if results.flow is None and results.chains:
        return [_chains(table) for table in chain_tables(results)]
    box = verdict_box(results.verdict)
    return [f"verdict: {box.status}" + (f" ({'; '.join(box.reasons)})" if box.reasons else "")]


def _chains(table: ChainTable) -> str:
    disagreeing = [f"{column} {value}" for column, value, passed in table.rows if not passed]
    words = f"do NOT agree: R̂ of {', '.join(disagreeing)}" if disagreeing else table.words
    return f"{table.sampler.label}: {table.chains} chains {words} (R̂ at most {table.limit})"
