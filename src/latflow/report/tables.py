"""Tables of the report as plain data: the content of each cell. The template decides how it looks.

A pull is written only between independent estimates with errors. An absent number is a dash, and a missing verdict is
"no verdict", never a pass.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from latflow.report import data
from latflow.report.charge import settled
from latflow.report.data import Run
from latflow.report.field import measured_by
from latflow.report.names import SAMPLERS, SamplerStyle, are_dependent, order_of, sampler_style
from latflow.report.numbers import ABSENT, compact, count, duration, is_number, measured, plain, shown, signed
from latflow.report.scales import NOT_REACHED, beyond, unreached
from latflow.report.tunnelling import tunnelling
from latflow.report.verdict_box import SUSPICIOUS, verdict_box
from latflow.results import EstimateRecord, FlowFigures, Results
from latflow.results.records import Reals
from latflow.stats.estimates import Estimate, State, pull
from latflow.theories.catalogue import is_on_lattice

DISTRIBUTION = "topological_charge_distribution"

UNLIKELY = 1e-4
"""Charges that no sampler has visited have no row unless their exact probability is larger."""


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
    note: str = ""


def pull_of(one: Estimate | None, other: Estimate | None) -> float | None:
    """(one − other) over the combined error; None unless both are there and at least one has an error."""
    found = math.nan if one is None or other is None else pull(one, other)
    return found if math.isfinite(found) else None


def scalar_observables(results: Results) -> list[str]:
    """Observables with a scalar estimate, in the order of the results."""
    return results.in_order({row.observable for row in results.estimates if not row.is_array})


def samplers_of(results: Results) -> list[str]:
    """Samplers with any estimate, in the order of tables."""
    return sorted({row.sampler for row in results.estimates}, key=lambda name: order_of(name, SAMPLERS))


def sampler_pairs(results: Results) -> list[tuple[str, str]]:
    """Pairs of samplers with independent estimates that have a scalar observable in common."""
    found = {(row.observable, row.sampler) for row in results.estimates if row.number is not None}
    pairs = [pair for pair in combinations(samplers_of(results), 2) if not are_dependent(*pair)]
    return [(a, b) for a, b in pairs if any((o, a) in found and (o, b) in found for o in scalar_observables(results))]


def observable_tables(run: Run) -> list[ObservableTable]:
    """One table per scalar observable."""
    return [_observable_table(run, observable) for observable in scalar_observables(run.results)]


def vector_tables(run: Run) -> list[VectorTable]:
    """One table per array-valued observable, its axis in the first column."""
    names = {row.observable for row in run.results.estimates if row.is_array}
    return [_vector_table(run, name) for name in run.results.in_order(names)]


def headline(run: Run) -> list[tuple[str, str, str]]:
    """The most important numbers of a run: name, value, meaning."""
    flow = run.flow
    draws = f"of N\u00a0=\u00a0{count(flow.n)} draws" if flow.n else "N not recorded"
    draws_and_expected, draws_and_tail = draws, draws
    if flow.expected_acceptance is not None:
        draws_and_expected += f"; {plain(flow.expected_acceptance)} expected from the weights"
    if flow.pareto_k is not None:
        draws_and_tail += f"; Pareto k̂ {plain(flow.pareto_k, 2)}"
    if (largest := largest_weight(flow)) is not None:
        draws_and_tail += f"; the largest weight is {measured(largest, 2)} times the mean"
    lost = verdict_box(run.results.verdict).tone == "bad"
    return [
        ("Acceptance", plain(flow.acceptance), f"independence Metropolis, {draws_and_expected}"),
        ("Reweighting ESS", plain(flow.reweighting_ess), f"(Σw)² / (N Σw²), {draws_and_tail}"),
        (
            "log Z",
            shown(flow.log_z, flow.log_z_error, state_of(flow)),
            _log_z_words(run) + ("; lacks the lost weight" if lost else ""),
        ),
        (
            "KL(q‖p)",
            shown(flow.kl, flow.kl_error, state_of(flow)),
            "nats, with the log Z given here" + (", so too small" if lost else ""),
        ),
        ("Training", duration(flow.training_seconds), _training_words(flow)),
    ]


def _log_z_words(run: Run) -> str:
    measure = measured_by(run.normalisation)
    return f"ln⟨w⟩ over the flow draws{', ' if measure else ''}{measure}"


def state_of(flow: FlowFigures) -> State | None:
    """Whether averages of the flow are to be believed; None where that was not judged."""
    return None if flow.reliability is None else flow.reliability.state


def largest_weight(flow: FlowFigures) -> float | None:
    """The largest weight over the mean one; None where that was not judged."""
    judged = flow.reliability
    return None if judged is None or judged.largest_share is None else judged.largest_share * judged.n


def study_lines(run: Run) -> list[tuple[str, str]]:
    """Study, action and lattice in one line each."""
    study, theory = run.study, run.theory
    action = dict(_action(run))
    kind = action.pop("kind", ABSENT)
    couplings = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in action.items())
    shape = "×".join(str(n) for n in run.shape) if run.shape else ABSENT
    if not data.has_flow(run):
        return [
            ("Action", f"{kind} ({couplings})" if couplings else str(kind)),
            *_field(run),
            _extents(run, shape),
            *_measured_beside(run),
        ]
    flow = study.get("flow") or {}
    formula = "" if theory is None else theory.formula
    idle = ("kind", *(() if flow.get("coupling_range") else ("parameter", "coupling_order")))
    used = {key: value for key, value in flow.items() if key not in idle and value not in (None, False, "none")}
    network = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in used.items())
    return [
        ("Action", f"{kind} ({couplings})" if couplings else str(kind)),
        *([("S", formula)] if formula else []),
        *_field(run),
        _extents(run, shape),
        ("Flow", f"{flow.get('kind', ABSENT)} ({network})" if network else str(flow.get("kind", ABSENT))),
    ]


def _action(run: Run) -> Mapping[str, Any]:
    """Kind and couplings of the theory; nothing where neither study nor results tell."""
    return run.study.get("action") or ({} if run.theory is None else run.theory.action)


def has_lattice(run: Run) -> bool:
    """Whether the theory is one of a lattice, in whose units values are."""
    return is_on_lattice(_action(run).get("kind"))


def _extents(run: Run, shape: str) -> tuple[str, str]:
    """The lattice, or how many numbers a draw has where the theory has none."""
    return ("Lattice", f"{shape}, periodic") if has_lattice(run) else ("Numbers of a draw", shape)


def _field(run: Run) -> list[tuple[str, str]]:
    """The field that values are of, where it may have several normalisations."""
    words = "" if run.normalisation is None else run.normalisation.words
    return [("Values of", words)] if words else []


def provenance_rows(results: Results) -> list[tuple[str, str]]:
    """When the run was analysed, and every leaf of the provenance: its key path and its value."""
    analysed = [] if results.date is None else [("analysed", results.date)]
    if results.provenance is None:
        return analysed
    told = {name: value for name, value in results.provenance.model_dump().items() if value is not None}
    return [*analysed, *_leaves(told, "")]


def _observable_table(run: Run, observable: str) -> ObservableTable:
    words = run.results.words(observable)
    known = data.reference(run, observable)
    entries = _entries(run.results, observable)
    missed = beyond(run.results, observable)
    rows = [
        EstimateRow(
            sampler=sampler_style(sampler),
            value=NOT_REACHED if sampler in missed else _with_error(entry.value, entry.error, entry.state),
            tau_int=_with_error(entry.tau_int, entry.tau_int_error, entry.state),
            n=count(entry.n),
            pull=_pull(entry.number, known),
        )
        for sampler, entry in entries.items()
    ]
    between = {
        pair_name(a, b): _pull(entries[a].number, entries[b].number)
        if a in entries and b in entries
        else Pull(ABSENT, suspicious=False)
        for a, b in sampler_pairs(run.results)
    }
    return ObservableTable(
        observable=observable,
        title=words.title,
        symbol=words.symbol,
        definition=words.definition,
        reference=ABSENT if known is None else compact(known.value, known.error),
        source=data.reference_source(run, observable),
        note=unreached(run.results, observable) or settled(run, observable) or tunnelling(run.results, observable),
        has_reference=known is not None,
        rows=rows,
        between=between,
    )


def _entries(results: Results, observable: str) -> dict[str, EstimateRecord]:
    """Estimates of an observable by sampler, in the order of tables."""
    return {s: row for s in samplers_of(results) if (row := results.estimate(observable, s)) is not None}


def _with_error(value: Reals, error: Reals, state: State | None) -> str:
    """A scalar with its error as far as its state allows; a dash for an array."""
    if isinstance(value, tuple) or isinstance(error, tuple):
        return ABSENT
    return shown(value, error, state)


def _vector_table(run: Run, observable: str) -> VectorTable:
    words = run.results.words(observable)
    entries = _entries(run.results, observable)
    columns = [(data.vector(e.value), data.vector(e.error)) for e in entries.values()]
    source, known = _known_vector(entries)
    length = max(len(values) for values, _ in columns)
    labels = () if words.axis is None else words.axis.texts
    rows = [
        [
            labels[i],
            *(
                shown(v[i], e[i], entry.state) if i < min(len(v), len(e)) else ABSENT
                for (v, e), entry in zip(columns, entries.values(), strict=True)
            ),
            *([plain(known[i]) if i < len(known) else ABSENT] if source else []),
        ]
        for i in range(length)
        if _is_shown(observable, [float(v[i]) for v, _ in columns if i < len(v)], known[i : i + 1])
    ]
    return VectorTable(
        title=words.title,
        symbol=words.symbol,
        definition=words.definition,
        abscissa="" if words.axis is None else words.axis.name,
        columns=[*(sampler_style(s).label for s in entries), *([source] if source else [])],
        rows=rows,
        note=tunnelling(run.results, observable),
    )


def _known_vector(entries: Mapping[str, EstimateRecord]) -> tuple[str, Sequence[float | None]]:
    """Where the known values of an array come from, and those; nothing where none are known."""
    for entry in entries.values():
        if isinstance(entry.reference, tuple):
            return entry.reference_source or "reference", entry.reference
    return "", ()


def _is_shown(observable: str, values: list[float], known: Sequence[float | None]) -> bool:
    """Whether an entry has a row: any that exists; of a distribution, what was seen or is likely enough."""
    if observable != DISTRIBUTION:
        return any(math.isfinite(value) for value in values)
    return any(value > 0 for value in values) or any(share is not None and share > UNLIKELY for share in known)


def pair_name(a: str, b: str) -> str:
    """Heading of the difference of two samplers."""
    return f"{sampler_style(a).label} − {sampler_style(b).label}"


def _pull(one: Estimate | None, other: Estimate | None) -> Pull:
    found = pull_of(one, other)
    return Pull(signed(found), suspicious=found is not None and abs(found) > SUSPICIOUS)


def _training_words(flow: FlowFigures) -> str:
    if flow.training_steps is None:
        return "no trained flow in this run"
    words = f"{count(flow.training_steps)} steps"
    if flow.stopped_by:
        words += f", stopped by {flow.stopped_by.replace('_', ' ')}"
    if flow.limits_changed_at:
        words += f", gone on with other limits at step {', '.join(map(count, flow.limits_changed_at))}"
    if flow.start is None or flow.start.acceptance is None:
        return words
    was = f"acceptance {plain(flow.start.acceptance)}, reweighting ESS {plain(flow.start.reweighting_ess)}"
    return f"{words}; started from {flow.start.model} with {was}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return "-".join(_value(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}".replace("-", "−") if is_number(value) else str(value)


def _measured_beside(run: Run) -> list[tuple[str, str]]:
    """Gradient flow and smearing in one line each, where there are any."""
    flow, smearing = run.results.gradient_flow, run.study.get("smearing") or {}
    lines = []
    if flow is not None:
        lines.append(("Gradient flow", f"{flow.kind}, to t = {flow.times[-1]:g} in {flow.records} records"))
    if smearing.get("kind", "none") != "none":
        words = f"{smearing['kind'].upper()} (α = {smearing['alpha']:g}, {smearing['steps']} steps)"
        lines.append(("Smearing", f"{words}, links in space, for a second potential"))
    return lines


def _leaves(node: object, path: str) -> list[tuple[str, str]]:
    """Key paths and values of a nested table."""
    if isinstance(node, Mapping):
        return [leaf for key in sorted(node) for leaf in _leaves(node[key], f"{path} · {key}" if path else str(key))]
    if isinstance(node, list):
        return [(path, ", ".join(str(item) for item in node) or ABSENT)]
    return [(path, ABSENT if node is None else str(node))]
