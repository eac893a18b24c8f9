"""The report's first table as plain lines for a terminal: observables down, samplers across, reference last."""

from collections.abc import Mapping
from typing import Any

from latflow.report.chains import ChainTable, chain_tables
from latflow.report.data import flow_times
from latflow.report.names import sampler_style
from latflow.report.numbers import ABSENT, compact, duration, is_number, plain
from latflow.report.scales import SCALES, beyond
from latflow.report.tables import SUSPICIOUS, pull_of, samplers_of, scalar_observables, verdict_of
from latflow.stats.flow_scale import LEVEL


def summary_lines(results: Mapping[str, Any]) -> list[str]:
    """Every scalar observable of every sampler with its error, the flow's figures of merit, cost and verdict.

    An estimate more than three combined standard deviations from its reference carries an exclamation mark.

    Args:
        results: The content of `results.json`; missing parts are left out.

    Returns:
        Lines without line ends, plain text.
    """
    return [*_table(results), *_scales(results), *_flow(results), *_cost(results), *_verdict(results)]


def _table(results: Mapping[str, Any]) -> list[str]:
    entries = {(e["observable"], e["sampler"]): e for e in results.get("estimates") or []}
    observables, samplers = scalar_observables(results), samplers_of(results)
    if not observables:
        return ["no observable has been analysed yet"]
    rows = [["observable", *(sampler_style(s).label for s in samplers), "reference"]]
    for observable in observables:
        found = [entries.get((observable, sampler), {}) for sampler in samplers]
        known = next((e for e in found if is_number(e.get("reference"))), {})
        yardstick = {"value": known.get("reference"), "error": known.get("reference_error")}
        reference = compact(yardstick["value"], yardstick["error"])
        rows.append([observable, *(_cell(entry, yardstick) for entry in found), reference])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], rule, *lines[1:], rule]


def _cell(entry: Mapping[str, Any], yardstick: Mapping[str, Any]) -> str:
    value = entry.get("value")
    if not is_number(value):
        return ABSENT
    pull = pull_of(entry, yardstick)
    return compact(value, entry.get("error")) + ("!" if pull is not None and abs(pull) > SUSPICIOUS else "")


def _scales(results: Mapping[str, Any]) -> list[str]:
    """What the gradient flow did not reach: one line for all that the same samplers missed."""
    missed: dict[tuple[str, ...], list[str]] = {}
    for name in SCALES:
        missed.setdefault(tuple(beyond(results, name)), []).append(name)
    return [_missed(results, names, samplers) for samplers, names in missed.items() if samplers]


def _missed(results: Mapping[str, Any], names: list[str], samplers: tuple[str, ...]) -> str:
    labels = ", ".join(sampler_style(sampler).label for sampler in samplers)
    end = flow_times(results)[-1]
    return f"{', '.join(names)}: not reached, below {LEVEL:g} until the flow ends at t = {end:g} ({labels})"


def _flow(results: Mapping[str, Any]) -> list[str]:
    flow = results.get("flow") or {}
    parts = [
        f"{word} {text}"
        for word, text in (
            ("acceptance", plain(flow.get("acceptance"), 3)),
            ("reweighting ESS", plain(flow.get("reweighting_ess"), 3)),
            ("log Z", compact(flow.get("log_z"), flow.get("log_z_error"))),
            ("N", str(flow.get("n") or ABSENT)),
        )
        if text != ABSENT
    ]
    return ["flow: " + ", ".join(parts)] if parts else []


def _cost(results: Mapping[str, Any]) -> list[str]:
    cost = results.get("cost") or {}
    parts = [
        f"{sampler_style(s).label} {duration(cost[s]['seconds_per_independent'], 2)}{_rests_on(cost[s])}"
        for s in samplers_of(results)
        if isinstance(cost.get(s), Mapping) and is_number(cost[s].get("seconds_per_independent"))
    ]
    return ["time per independent configuration: " + ", ".join(parts)] if parts else []


def _rests_on(entry: Mapping[str, Any]) -> str:
    """Whose τ_int a cost counts, and that it holds compilation where it does."""
    words = [f"τ_int of {entry['tau_int_of']}"] if entry.get("tau_int_of") else []
    words += ["compilation included"] if entry.get("compilation_included") else []
    return f" ({', '.join(words)})" if words else ""


def _verdict(results: Mapping[str, Any]) -> list[str]:
    if not results.get("flow") and results.get("chains"):
        return [_chains(table) for table in chain_tables(results)]
    verdict = verdict_of(results)
    return [f"verdict: {verdict.status}" + (f" ({'; '.join(verdict.reasons)})" if verdict.reasons else "")]


def _chains(table: ChainTable) -> str:
    disagreeing = [f"{column} {value}" for column, value, passed in table.rows if not passed]
    words = f"do NOT agree: R̂ of {', '.join(disagreeing)}" if disagreeing else table.words
    return f"{table.sampler.label}: {table.chains} chains {words} (R̂ at most {table.limit})"
