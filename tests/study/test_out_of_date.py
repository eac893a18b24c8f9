"""What a new version measures and estimates otherwise is found out of date and made again; nothing else is."""

import dataclasses
import json
from pathlib import Path

import pytest

from displays import Listening
from latflow.observables.cosine import MeanCosine
from latflow.stats import quantities
from latflow.study.config import load_study
from latflow.study.config.study import StudyConfig
from latflow.study.run import run_stages
from latflow.study.stages import analysis
from latflow.study.verify import verify

STUDY = """
name = "aged"
[lattice]
shape = [2, 2]
[action]
kind = "sine_gordon"
mass_squared = 0.5
alpha = 1.0
[sampling]
configurations = 256
block_size = 128
samplers = ["local"]
[local]
chains = 8
warmup = 10
"""


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    (tmp_path / "study.toml").write_text(STUDY)
    return load_study(tmp_path / "study.toml")


def analysed(config: StudyConfig, run: Path) -> list[str]:
    lines = Listening()
    run_stages(config, run, stages=("sample", "measure", "analyse"), progress=lines)
    return lines.lines


def value(run: Path, name: str) -> float:
    rows = json.loads((run / "results.json").read_text())["estimates"]
    return next(row["value"] for row in rows if row["observable"] == name)


def test_a_column_of_another_revision_is_measured_again_alone(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    analysed(config, run)
    assert not any("anew" in line for line in analysed(config, run))
    before = value(run, "cos_phi"), value(run, "phi_squared")
    monkeypatch.setattr(MeanCosine, "revision", 2)
    monkeypatch.setattr(MeanCosine, "__call__", lambda self, x: 2 * x.mean() ** 2)
    said = analysed(config, run)
    assert any("cos_phi anew, 9 columns kept" in line for line in said)
    assert value(run, "cos_phi") != before[0]
    assert value(run, "phi_squared") == before[1]
    manifest = json.loads((run / "measurements/local/manifest.json").read_text())
    assert manifest["identity"]["revisions"] == {"cos_phi": 2}
    assert all(check.passed for check in verify(run))


def test_an_estimate_of_another_revision_is_made_again(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    analysed(config, run)
    whole = quantities.Quantity
    # every quantity of another revision, with the sign of a corrected formula
    changed = {"revision": 2, "derive": lambda means, _: -means["phi_squared"]}

    def corrected(name: str, *rest: object) -> quantities.Quantity:
        made = whole(name, *rest)
        return dataclasses.replace(made, **changed) if name == "phi_squared" else made

    before = value(run, "phi_squared")
    monkeypatch.setattr("latflow.theories.scalar.estimates.Quantity", corrected)
    found = {check.name: check for check in verify(run)}
    assert "out of date" in str(found["results.json: estimates"].value)
    assert all(check.passed for check in found.values())
    said = analysed(config, run)
    assert any("estimates have changed" in line for line in said)
    assert not any("columns kept" in line for line in said)
    assert value(run, "phi_squared") == -before


def test_the_analysis_has_a_revision_of_its_own(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    analysed(config, run)
    assert any(line == "analyse  up to date" for line in analysed(config, run))
    monkeypatch.setattr(analysis, "REVISION", analysis.REVISION + 1)
    assert not any(line == "analyse  up to date" for line in analysed(config, run))
