from pathlib import Path

from latflow.report import summary_lines
from latflow.report.numbers import compact
from latflow.results import EstimateRecord, FlowFigures, Observable, ReliabilityRecord, Results, read
from latflow.results.records import Axis
from latflow.stats.estimates import State


def test_every_estimate_stands_in_its_row_and_column(full_run: Path) -> None:
    results = read(full_run / "results.json")
    lines = summary_lines(results)
    header = lines[0].split()
    assert header == ["observable", "flow", "reweighted", "HMC", "local", "reference"]
    for e in results.estimates:
        if e.is_array:
            continue
        row = next(line for line in lines if line.startswith(e.observable + " ")).split()
        column = ["flow", "reweighted", "hmc", "local"].index(e.sampler) + 1
        assert row[column].rstrip("!") == compact(e.value, e.error)
        assert row[5] == compact(e.reference, e.reference_error)
    assert max(len(line) for line in lines[:14]) <= 100


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
    assert lines[2].split() == ["phi_squared", "0.1252(≥17)", "0.2000(10)", "0.2"]
    told = next(line for line in lines if line.startswith("flow: error underestimated"))
    assert "(≥…) is only a lower bound" in told
    assert told.endswith("Why: N·ESS is 60, at least 100 are needed.")
    assert "log Z 1.50(≥20)" in "\n".join(lines)


def test_what_is_not_resolved_has_no_number() -> None:
    lines = summary_lines(judged("not resolved", None, None))
    assert lines[2].split() == ["phi_squared", "not", "resolved", "0.2000(10)", "0.2"]
    assert any(line.startswith("flow: not resolved, there is no number") for line in lines)
    # not even where a file holds one
    assert "0.0084" not in "\n".join(summary_lines(judged("not resolved", 0.0084, 0.0012)))


def test_reliable_averages_look_as_ever() -> None:
    lines = summary_lines(judged("reliable", 0.12521, 0.00172))
    assert lines[2].split() == ["phi_squared", "0.1252(17)!", "0.2000(10)", "0.2"]
    assert not any("reliable" in line or "≥" in line for line in lines)


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
    assert lines[0] == "arrays only, see the report: two_point"


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
