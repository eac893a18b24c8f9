from pathlib import Path

import pytest

from latflow.report import summary_lines
from latflow.report.belief import belief
from latflow.report.cost import common_observable, cost_rows
from latflow.report.footnotes import not_reliable
from latflow.report.numbers import compact
from latflow.results import (
    ChainAgreement,
    EstimateRecord,
    FlowFigures,
    Observable,
    ReliabilityRecord,
    Results,
    SamplerCost,
    read,
)
from latflow.results.records import Axis
from latflow.stats.estimates import State
from latflow.stats.evidence import Verdict


def test_every_estimate_stands_in_its_row_and_column(full_run: Path) -> None:
    results = read(full_run / "results.json")
    first, *lines = summary_lines(results)
    assert first.startswith("Averages of ")
    header = lines[0].split()
    assert header == ["observable", "flow", "reweighted", "HMC", "local", "reference"]
    for e in results.estimates:
        if e.is_array:
            continue
        row = next(line for line in lines if line.startswith(e.observable + " ")).split()
        column = ["flow", "reweighted", "hmc", "local"].index(e.sampler) + 1
        assert row[column].rstrip("!") == compact(e.value, e.error)
        assert row[5] == compact(e.reference, e.reference_error)
    assert max(len(line) for line in lines[:12]) <= 100


def test_deviations_beyond_three_sigma_are_marked() -> None:
    known = {"reference": 1.0, "reference_error": 0.0, "error": 0.01, "n": 10}
    estimates = tuple(
        EstimateRecord(observable="phi_squared", sampler=s, value=v, **known)
        for s, v in (("flow", 1.029), ("hmc", 0.969))
    )
    words = {"phi_squared": Observable(title="φ²", symbol="φ²", math="φ²")}
    lines = summary_lines(Results(study="s", estimates=estimates, observables=words))
    row = next(line for line in lines if line.startswith("phi_squared"))
    assert row.split() == ["phi_squared", "1.029(10)", "0.969(10)!", "1"]


def judged(state: State, value: float | None, error: float | None) -> Results:
    """A flow in one state beside HMC; the reference is far away."""
    known = {"reference": 0.2, "reference_error": 0.0, "n": 4000}
    rows = (
        EstimateRecord(observable="phi_squared", sampler="flow", value=value, error=error, state=state, **known),
        EstimateRecord(observable="phi_squared", sampler="hmc", value=0.2, error=0.001, **known),
    )
    words = {"phi_squared": Observable(title="φ²", symbol="φ²", math="φ²")}
    reasons = () if state == "reliable" else ("N·ESS is 60, at least 100 are needed",)
    flow = FlowFigures(
        log_z=1.5, log_z_error=0.2, n=4000, reliability=ReliabilityRecord(state=state, reasons=reasons, n=4000)
    )
    return Results(study="s", estimates=rows, observables=words, flow=flow)


def test_errors_that_are_bounds_are_written_so_and_not_compared() -> None:
    lines = summary_lines(judged("error underestimated", 0.12521, 0.00172))
    assert lines[3].split() == ["phi_squared", "0.1252(≥17)", "0.2000(10)", "0.2"]
    told = next(line for line in lines if line.startswith("flow: error underestimated"))
    assert "(≥…) is only a lower bound" in told
    assert told.endswith("Why: N·ESS is 60, at least 100 are needed.")
    assert "log Z 1.50(≥20)" in "\n".join(lines)


def test_what_is_not_resolved_has_no_number() -> None:
    lines = summary_lines(judged("not resolved", None, None))
    assert lines[3].split() == ["phi_squared", "not", "resolved", "0.2000(10)", "0.2"]
    assert any(line.startswith("flow: not resolved, there is no number") for line in lines)
    # not even where a file holds one
    assert "0.0084" not in "\n".join(summary_lines(judged("not resolved", 0.0084, 0.0012)))


def test_reliable_averages_look_as_ever() -> None:
    lines = summary_lines(judged("reliable", 0.12521, 0.00172))
    assert lines[3].split() == ["phi_squared", "0.1252(17)!", "0.2000(10)", "0.2"]
    assert lines.count("!: more than 3σ from the reference") == 1
    assert not any("!:" in line for line in summary_lines(judged("reliable", 0.2, 0.001)))
    assert not any("reliable" in line or "≥" in line for line in lines)


def test_averages_far_from_known_values_are_not_to_be_believed() -> None:
    far = judged("reliable", 0.1252, 0.0017)
    assert "φ² is 44σ from its known value" in belief(far)


@pytest.mark.parametrize("bad_first", [True, False])
def test_single_averages_that_are_bounds_are_exceptions(bad_first: bool) -> None:
    """Neither does one average speak for all of its sampler, nor is the last one asked alone."""
    sound = judged("reliable", 0.2, 0.001)
    row = sound.estimates[0]
    other = row.model_copy(update={"observable": "abs_magnetisation", "state": "error underestimated"})
    rows = (other, row) if bad_first else (row, other)
    mixed = sound.model_copy(update={"estimates": (*rows, *sound.estimates[1:])})
    exception = f"flow (but for {mixed.words('abs_magnetisation').title})"
    assert exception in belief(mixed)
    assert f"flow ({mixed.words('abs_magnetisation').title}): error underestimated" in not_reliable(mixed)


def test_a_charge_that_never_moved_is_told() -> None:
    still = agreement(True).model_copy(update={"still": ("topological_charge",)})
    said = belief(judged("reliable", 0.2, 0.001).model_copy(update={"chains": {"hmc": still}}))
    assert "topological charge never moved" in said.lower()


def agreement(agree: bool | None) -> ChainAgreement:
    return ChainAgreement(chains=8, records=100, r_hat={"phi_squared": 1.0}, limit=1.1, agree=agree)


@pytest.mark.parametrize(
    ("state", "status", "agree", "start", "says"),
    [
        ("reliable", "exact", True, "mixed", "Averages of flow and HMC may be believed with their errors."),
        (
            "error underestimated",
            "no verdict",
            True,
            "mixed",
            (
                "Averages of HMC may be believed with their errors; "
                "those of flow must not be believed: error underestimated, by their weights."
            ),
        ),
        (
            "reliable",
            "collapsed",
            False,
            "mixed",
            (
                "Averages of flow must not be believed: the flow has not drawn a part of the theory; "
                "those of HMC must not be believed: their chains do not agree (R̂)."
            ),
        ),
        (
            "reliable",
            "no verdict",
            None,
            "mixed",
            (
                "Averages of flow are open: their weights look good, "
                "but there is no verdict on what the flow may never draw; "
                "those of HMC are open: nothing tells whether their chains agree."
            ),
        ),
        (
            "reliable",
            "exact",
            True,
            "cold",
            (
                "Averages of flow may be believed with their errors; those of HMC are open: "
                "their chains agree, but all began in or near one configuration."
            ),
        ),
    ],
)
def test_the_first_line_says_what_may_be_believed(
    state: State, status: str, agree: bool | None, start: str, says: str
) -> None:
    found = judged(state, 0.2, 0.01)
    changes = {"chains": {"hmc": agreement(agree)}, "samplers": {"hmc": {"start": start}}, "verdict": Verdict(status)}
    assert summary_lines(found.model_copy(update=changes))[0] == says


def test_what_no_judgement_stands_behind_is_not_believed() -> None:
    """No state, no chains, no verdict."""
    rows = judged("reliable", 0.2, 0.01).estimates
    words = judged("reliable", 0.2, 0.01).observables
    plain_rows = tuple(row.model_copy(update={"state": None}) for row in rows)
    bare = Results(study="s", estimates=plain_rows, observables=words)
    assert "may be believed with" not in belief(bare)
    assert belief(bare).count("are open") == 2
    assert belief(Results(study="s")) == ""


def test_columns_of_a_flow_are_explained_and_tails_are_told() -> None:
    lines = summary_lines(judged("reliable", 0.2, 0.01))
    assert "flow: the accept/reject chain through draws of the flow" in lines
    slow = EstimateRecord(
        observable="phi_squared", sampler="hmc", value=0.2, error=0.01, n=100, slow_mode="topological_charge²"
    )
    told = "\n".join(
        summary_lines(Results(study="s", estimates=(slow,), observables=judged("reliable", 0, 0).observables))
    )
    assert "HMC: errors and τ_int of phi_squared include the tail of topological charge²" in told


def test_costs_compare_one_observable() -> None:
    """τ_int of one observable, slowest of those that all have; HMC alone has a slower one."""
    rows = tuple(
        EstimateRecord(observable=o, sampler=s, value=1.0, error=0.1, tau_int=tau, tau_int_error=0.1, n=100)
        for o, s, tau in (
            ("a", "flow", 2.0),
            ("a", "hmc", 3.0),
            ("b", "flow", 1.0),
            ("b", "hmc", 8.0),
            ("c", "hmc", 90.0),
        )
    )
    cost = {
        "flow": SamplerCost(seconds_per_configuration=0.01, tau_int=2.0, tau_int_of="a", seconds_per_independent=0.04),
        "hmc": SamplerCost(seconds_per_configuration=0.02, tau_int=90.0, tau_int_of="c", seconds_per_independent=3.6),
    }
    words = {name: Observable(title=name, symbol=name, math=name) for name in "abc"}
    results = Results(study="s", estimates=rows, cost=cost, observables=words)
    assert common_observable(results) == "b"
    line = next(line for line in summary_lines(results) if line.startswith("time per independent"))
    assert line == "time per independent configuration (τ_int of b): flow 20 ms, HMC 320 ms"
    assert [(row.tau_int, row.slowest) for row in cost_rows(results)] == [("1", "b"), ("8", "b")]


def test_flow_cost_and_verdict_follow(full_run: Path) -> None:
    text = "\n".join(summary_lines(read(full_run / "results.json")))
    assert "flow: acceptance 0.686, reweighting ESS 0.726, log Z" in text
    assert "per independent configuration: flow 1.1 ms" in text
    assert "verdict: exact (log Z from" in text


def test_arrays_alone_are_not_taken_for_nothing() -> None:
    words = {"two_point": Observable(title="G", symbol="G", math="G", axis=Axis(name="r", values=(0, 1)))}
    row = EstimateRecord(
        observable="two_point",
        sampler="hmc",
        value=(1.0, 0.5),
        error=(0.1, 0.1),
        tau_int=(1.0, 1.0),
        tau_int_error=(0.1, 0.1),
    )
    lines = summary_lines(Results(study="s", estimates=(row,), observables=words))
    assert lines[1] == "arrays only, see the report: two_point"


def test_nothing_analysed_is_said_and_is_no_pass() -> None:
    assert summary_lines(Results(study="")) == ["no observable has been analysed yet", "verdict: no verdict"]


def masses(cumulant: float) -> Results:
    """A pole mass of HMC beside its Binder cumulant."""
    rows = tuple(
        EstimateRecord(observable=name, sampler="hmc", value=value, error=0.01, n=4000)
        for name, value in (("binder_cumulant", cumulant), ("pole_mass", 0.02))
    )
    words = {row.observable: Observable(title="t", symbol="s", math="m") for row in rows}
    return Results(study="s", estimates=rows, observables=words)


def test_a_pole_mass_between_two_vacua_is_called_a_scale_of_tunnelling() -> None:
    told = "\n".join(summary_lines(masses(0.65)))
    assert "pole_mass: Two vacua (Binder cumulant HMC 0.65)" in told
    assert "scale of tunnelling" in told
    for cumulant in (0.0, 0.61):
        assert "tunnelling" not in "\n".join(summary_lines(masses(cumulant)))
