from pathlib import Path

from latflow.report import summary_lines
from latflow.report.numbers import compact
from latflow.results import EstimateRecord, Observable, Results, read
from latflow.results.records import Axis


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
