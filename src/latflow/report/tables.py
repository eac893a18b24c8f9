"""Tables of the report as plain data: what stands in each cell, decided here; how it looks, decided by the template.

A pull is written only between independent estimates with errors. An absent number is a dash, and a missing verdict is
"no verdict", never a pass.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from latflow.report import data
from latflow.report.charge import settled
from latflow.report.data import Run
from latflow.report.names import (
    DEPENDENT_PAIRS,
    OBSERVABLES,
    SAMPLERS,
    SamplerStyle,
    observable_words,
    order_of,
    sampler_style,
)
from latflow.report.numbers import ABSENT, compact, count, duration, is_number, measured, plain, signed
from latflow.report.scales import NOT_REACHED, beyond, unreached
from latflow.stats.estimates import Estimate, pull
from latflow.theories.catalogue import formula as formula_of
from latflow.words import FLOW_TIME, PLANE

SUSPICIOUS = 3.0
"""A pull beyond this many combined standard deviations is marked."""

DISTRIBUTION = "topological_charge_distribution"

UNLIKELY = 1e-4
"""Charges that nobody has seen and whose exact probability is not larger have no row."""

_NEGATIVE = re.compile(r"(?<=[\s(=e])-(?=\d)")
"""The hyphen before a number, or before the digits of its exponent."""


@dataclass(frozen=True)
class Pull:
    """A difference in combined standard deviations, formatted, with its alarm."""

    text: str
    suspicious: bool


@dataclass(frozen=True)
class EstimateRow:
    """One sampler's estimate of one observable."""

    sampler: SamplerStyle
    value: str
    tau_int: str
    n: str
    pull: Pull


@dataclass(frozen=True)
class ObservableTable:
    """All samplers' estimates of one scalar observable, and the pulls between them."""

    observable: str
    title: str
    symbol: str
    definition: str
    reference: str
    source: str
    note: str
    has_reference: bool
    rows: list[EstimateRow]
    between: dict[str, Pull]

    @property
    def comparable(self) -> bool:
        """Whether any two samplers can be compared."""
        return any(found.text != ABSENT for found in self.between.values())


@dataclass(frozen=True)
class VectorTable:
    """An array-valued observable: one row per component, one column per sampler."""

    title: str
    symbol: str
    definition: str
    abscissa: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Evidence:
    """One check behind a verdict, formatted; its outcome is `pass`, `FAIL`, `open`, or a dash without a limit."""

    name: str
    value: str
    limit: str
    outcome: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on exactness as the run states it.

    Attributes:
        status: `exact`, `unresolved sectors`, `collapsed…`, `no verdict`, or whatever word the run gives.
        tone: `good`, `bad` or `open`: only `exact` is good.
        reasons: Sentences in support.
        evidence: The checks behind it.
    """

    status: str
    tone: str
    reasons: list[str]
    evidence: list[Evidence]


def pull_of(entry: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """(entry − other) over the combined error; None unless both are scalars and at least one has an error."""
    if not (is_number(entry.get("value")) and is_number(other.get("value"))):
        return None
    found = pull(*(Estimate(float(e["value"]), float(e.get("error") or 0.0)) for e in (entry, other)))
    return found if math.isfinite(found) else None


def scalar_observables(results: Mapping[str, Any]) -> list[str]:
    """Observables with a scalar estimate, in the order of the house."""
    found = {e["observable"] for e in results.get("estimates") or [] if not isinstance(e.get("value"), list)}
    return sorted(found, key=lambda name: order_of(name, OBSERVABLES))


def samplers_of(results: Mapping[str, Any]) -> list[str]:
    """Samplers with any estimate, in the order of the house."""
    found = {e["sampler"] for e in results.get("estimates") or []}
    return sorted(found, key=lambda name: order_of(name, SAMPLERS))


def sampler_pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of samplers whose estimates are independent and of which some scalar observable knows both."""
    found = {(e["observable"], e["sampler"]) for e in results.get("estimates") or [] if is_number(e.get("value"))}
    pairs = [pair for pair in combinations(samplers_of(results), 2) if frozenset(pair) not in DEPENDENT_PAIRS]
    return [(a, b) for a, b in pairs if any((o, a) in found and (o, b) in found for o in scalar_observables(results))]


def observable_tables(run: Run) -> list[ObservableTable]:
    """One table per scalar observable."""
    return [_observable_table(run, observable) for observable in scalar_observables(run.results)]


def vector_tables(run: Run) -> list[VectorTable]:
    """One table per array-valued observable; the first component is the abscissa."""
    entries = run.results.get("estimates") or []
    names = {e["observable"] for e in entries if isinstance(e.get("value"), list)}
    return [_vector_table(run, name) for name in sorted(names, key=lambda name: order_of(name, OBSERVABLES))]


def verdict_of(results: Mapping[str, Any]) -> Verdict:
    """The run's verdict, given as one word or as a table with `status`, `reason` or `reasons`, and `evidence`."""
    given = results.get("verdict")
    table: Mapping[str, Any] = {"status": given} if isinstance(given, str) else (given or {})
    status = str(table.get("status") or "no verdict")
    tone = "good" if status == "exact" else "open" if status.startswith(("no verdict", "unresolved")) else "bad"
    if is_number(table.get("lost_weight")):
        status += f", lost weight ≈ {compact(table['lost_weight'], table.get('lost_weight_error'))}"
    given_reasons = table.get("reasons") or [table.get("reason")]
    reasons = [_NEGATIVE.sub("−", str(reason)) for reason in given_reasons if reason]
    evidence = [
        Evidence(
            str(e.get("name", "")),
            compact(e["value"], e["error"]) if e.get("error") else measured(e.get("value")),
            _limit(e.get("limit")),
            _outcome(e.get("passed")) if e.get("limit") else ABSENT,
        )
        for e in table.get("evidence") or []
    ]
    return Verdict(status, tone, reasons, evidence)


def headline(run: Run) -> list[tuple[str, str, str]]:
    """The few numbers that a reader wants first: name, value, what it means."""
    flow = run.flow
    n = flow.get("n")
    draws = f"of N\u00a0=\u00a0{count(n)} draws" if n else "N not recorded"
    draws_and_expected, draws_and_tail = draws, draws
    if is_number(flow.get("expected_acceptance")):
        draws_and_expected += f"; {plain(flow['expected_acceptance'])} expected from the weights"
    if is_number(flow.get("pareto_k")):
        draws_and_tail += f"; Pareto k̂ {plain(flow['pareto_k'], 2)}"
    lost = verdict_of(run.results).tone == "bad"
    return [
        ("Acceptance", plain(flow.get("acceptance")), f"independence Metropolis, {draws_and_expected}"),
        ("Reweighting ESS", plain(flow.get("reweighting_ess")), f"(Σw)² / (N Σw²), {draws_and_tail}"),
        (
            "log Z",
            compact(flow.get("log_z"), flow.get("log_z_error")),
            "ln⟨w⟩ over the flow draws" + ("; lacks the lost weight" if lost else ""),
        ),
        (
            "KL(q‖p)",
            compact(flow.get("kl"), flow.get("kl_error")),
            "nats, with the log Z given here" + (", so too small" if lost else ""),
        ),
        ("Training", duration(flow.get("training_seconds")), _training_words(flow)),
    ]


def study_lines(run: Run) -> list[tuple[str, str]]:
    """Study, action and lattice in one line each."""
    study = run.study
    action = dict(study.get("action") or {})
    kind = action.pop("kind", ABSENT)
    couplings = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in action.items())
    shape = "×".join(str(n) for n in run.shape) if run.shape else ABSENT
    if not data.has_flow(run):
        theory = [("Action", f"{kind} ({couplings})" if couplings else str(kind)), ("Lattice", f"{shape}, periodic")]
        return [*theory, *_measured_beside(run)]
    flow = study.get("flow") or {}
    formula = formula_of(study.get("action") or {})
    used = {key: value for key, value in flow.items() if key != "kind" and value not in (None, False, "none")}
    network = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in used.items())
    return [
        ("Action", f"{kind} ({couplings})" if couplings else str(kind)),
        *([("S", formula)] if formula else []),
        ("Lattice", f"{shape}, periodic"),
        ("Flow", f"{flow.get('kind', ABSENT)} ({network})" if network else str(flow.get("kind", ABSENT))),
    ]


def provenance_rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every leaf of the provenance, its key path and its value."""
    return list(_leaves(results.get("provenance") or {}, ""))


def _observable_table(run: Run, observable: str) -> ObservableTable:
    words = observable_words(observable)
    known = data.reference(run, observable)
    entries = {s: e for s in samplers_of(run.results) if (e := data.estimate(run, observable, s)) is not None}
    missed = beyond(run.results, observable)
    yardstick = {} if known is None else {"value": known[0], "error": known[1]}
    rows = [
        EstimateRow(
            sampler=sampler_style(sampler),
            value=NOT_REACHED if sampler in missed else compact(entry.get("value"), entry.get("error")),
            tau_int=compact(entry.get("tau_int"), entry.get("tau_int_error")),
            n=count(entry.get("n")),
            pull=_pull(entry, yardstick),
        )
        for sampler, entry in entries.items()
    ]
    between = {
        pair_name(a, b): _pull(entries[a], entries[b])
        if a in entries and b in entries
        else Pull(ABSENT, suspicious=False)
        for a, b in sampler_pairs(run.results)
    }
    return ObservableTable(
        observable=observable,
        title=words.title,
        symbol=words.symbol,
        definition=words.definition,
        reference=ABSENT if known is None else compact(*known),
        source=data.reference_source(run, observable),
        note=unreached(run.results, observable) or settled(run, observable),
        has_reference=known is not None,
        rows=rows,
        between=between,
    )


def _vector_table(run: Run, observable: str) -> VectorTable:
    words = observable_words(observable)
    entries = {s: e for s in samplers_of(run.results) if (e := data.estimate(run, observable, s)) is not None}
    columns = [(data.vector(e, "value"), data.vector(e, "error")) for e in entries.values()]
    source, known = _known_vector(entries)
    length = max(len(values) for values, _ in columns)
    labels = _labels(run, observable, length)
    rows = [
        [
            labels[i],
            *(compact(v[i], e[i]) if i < min(len(v), len(e)) else ABSENT for v, e in columns),
            *([plain(known[i]) if i < len(known) else ABSENT] if source else []),
        ]
        for i in range(length)
        if _is_shown(observable, [float(v[i]) for v, _ in columns if i < len(v)], known[i : i + 1])
    ]
    return VectorTable(
        title=words.title,
        symbol=words.symbol,
        definition=words.definition,
        abscissa=words.axis.name,
        columns=[*(sampler_style(s).label for s in entries), *([source] if source else [])],
        rows=rows,
    )


def _known_vector(entries: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[float]]:
    """Where the known values of an array come from, and those; nothing where none are known."""
    found = next((e for e in entries.values() if isinstance(e.get("reference"), list)), None)
    return ("", []) if found is None else (str(found.get("reference_source") or "reference"), found["reference"])


def _is_shown(observable: str, values: list[float], known: list[float]) -> bool:
    """Whether an entry is worth a row: any that exists, of a distribution what was seen or is likely enough."""
    if observable != DISTRIBUTION:
        return any(math.isfinite(value) for value in values)
    return any(value > 0 for value in values) or any(share > UNLIKELY for share in known)


def _labels(run: Run, observable: str, length: int) -> list[str]:
    """What the entries of an array are numbered by: a distance, a charge, a flow time, a plane."""
    words = observable_words(observable)
    if words.axis == FLOW_TIME:
        return [f"{t:g}" for t in data.flow_times(run.results)[1 : length + 1]]
    if words.axis == PLANE and run.shape:
        planes = combinations(range(len(run.shape)), 2)
        return [f"({mu},{nu})" + (" with time" if nu == len(run.shape) - 1 else "") for mu, nu in planes]
    return [str(words.axis.first + i).replace("-", "−") for i in range(length)]


def pair_name(a: str, b: str) -> str:
    """Heading of the difference of two samplers."""
    return f"{sampler_style(a).label} − {sampler_style(b).label}"


def _pull(entry: Mapping[str, Any], other: Mapping[str, Any]) -> Pull:
    found = pull_of(entry, other)
    return Pull(signed(found), suspicious=found is not None and abs(found) > SUSPICIOUS)


def _limit(limit: object) -> str:
    return plain(limit) if is_number(limit) else str(limit or ABSENT)


def _outcome(passed: object) -> str:
    return {True: "pass", False: "FAIL"}.get(passed, "open") if isinstance(passed, bool) else "open"


def _training_words(flow: Mapping[str, Any]) -> str:
    steps, stopped = flow.get("training_steps"), flow.get("stopped_by")
    if steps is None:
        return "no trained flow in this run"
    words = f"{count(steps)} steps" + (f", stopped by {str(stopped).replace('_', ' ')}" if stopped else "")
    start = flow.get("start")
    if not isinstance(start, Mapping) or not is_number(start.get("acceptance")):
        return words
    was = f"acceptance {plain(start['acceptance'])}, reweighting ESS {plain(start.get('reweighting_ess'))}"
    return f"{words}; started from {start.get('model', ABSENT)} with {was}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return "-".join(_value(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}".replace("-", "−") if is_number(value) else str(value)


def _measured_beside(run: Run) -> list[tuple[str, str]]:
    """Gradient flow and smearing in one line each, where there are any."""
    flow, smearing = run.results.get("gradient_flow"), run.study.get("smearing") or {}
    lines = []
    if flow:
        lines.append(("Gradient flow", f"{flow['kind']}, to t = {flow['times'][-1]:g} in {flow['records']} records"))
    if smearing.get("kind", "none") != "none":
        words = f"{smearing['kind'].upper()} (α = {smearing['alpha']:g}, {smearing['steps']} steps)"
        lines.append(("Smearing", f"{words}, links in space, for a second potential"))
    return lines


def _leaves(node: object, path: str) -> list[tuple[str, str]]:
    """Key paths and values of a nested table."""
    if isinstance(node, Mapping):
        return [leaf for key in node for leaf in _leaves(node[key], f"{path} · {key}" if path else str(key))]
    if isinstance(node, list):
        return [(path, ", ".join(str(item) for item in node) or ABSENT)]
    return [(path, ABSENT if node is None else str(node))]
