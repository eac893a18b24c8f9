import json
from pathlib import Path

from latflow.report import summary_lines
from latflow.report.numbers import compact


def test_every_estimate_stands_in_its_row_and_column(full_run: Path) -> None:
    results = json.loads((full_run / "results.json").read_text())
    lines = summary_lines(results)
    header = lines[0].split()
    assert header == ["observable", "flow", "reweighted", "HMC", "local", "reference"]
    for e in results["estimates"]:
        if isinstance(e["value"], list):
            continue
        row = next(line for line in lines if line.startswith(e["observable"] + " ")).split()
        column = ["flow", "reweighted", "hmc", "local"].index(e["sampler"]) + 1
        assert row[column].rstrip("!") == compact(e["value"], e["error"])
        assert row[5] == compact(e["reference"], e["reference_error"])
    assert max(len(line) for line in lines[:14]) <= 100


def test_deviations_beyond_three_sigma_are_marked() -> None:
    base = {"observable": "phi_squared", "tau_int": None, "tau_int_error": None, "n": 10, "error": 0.01}
    known = {"reference": 1.0, "reference_error": 0.0}
    estimates = [{**base, **known, "sampler": s, "value": v} for s, v in (("flow", 1.029), ("hmc", 0.969))]
    row = next(line for line in summary_lines({"estimates": estimates}) if line.startswith("phi_squared"))
    assert row.split() == ["phi_squared", "1.029(10)", "0.969(10)!", "1"]


def test_flow_cost_and_verdict_follow(full_run: Path) -> None:
    text = "\n".join(summary_lines(json.loads((full_run / "results.json").read_text())))
    assert "flow: acceptance 0.686, reweighting ESS 0.726, log Z" in text
    assert "per independent configuration: flow 1.1 ms" in text
    assert "verdict: exact (log Z from" in text


def test_nothing_analysed_is_said_and_is_no_pass() -> None:
    assert summary_lines({}) == ["no observable has been analysed yet", "verdict: no verdict"]
