"""What a new version measures and estimates otherwise is found out of date and made again; nothing else is."""

import dataclasses
import json
from pathlib import Path

import pytest

from displays import Listening
from latflow.errors import CannotCreateError, ConfigError
from latflow.observables.cosine import MeanCosine
from latflow.stats import quantities
from latflow.study.config import load_study
from latflow.study.config.study import StudyConfig, with_overrides
from latflow.study.plan import plan
from latflow.study.run import run_stages
from latflow.study.stages import analysis, measuring
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


def test_a_column_of_another_package_is_measured_again_alone(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two packages may bring observables of one name and revision that are not the same."""
    run = tmp_path / "run"
    for package, told in (("one", []), ("one", []), ("another", ["measure  local: other observables or settings"])):
        monkeypatch.setattr(measuring, "packages", lambda package=package: {"cos_phi": package})
        said = analysed(config, run)
        assert [line for line in said if "other observables" in line] == [f"{line} than before" for line in told]
    assert any("cos_phi anew, 9 columns kept" in line for line in said)
    manifest = json.loads((run / "measurements/local/manifest.json").read_text())
    assert manifest["identity"]["packages"] == {"cos_phi": "another"}


def test_chains_of_a_theory_of_another_package_are_not_gone_on_with(
    config: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    analysed(config, run)
    monkeypatch.setattr("latflow.study.context.package_of", lambda kind: "another")
    with pytest.raises(CannotCreateError, match=r'identity\.package is absent, wanted "another"'):
        analysed(with_overrides(config, {"sampling.configurations": "2048"}), run)


def test_what_the_fields_do_not_allow_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    """⟨cos φ⟩ of links, by the run and by its plan; log Z may be asked for, though it is made of no column."""
    text = STUDY.partition("[action]")[0] + '[action]\nkind = "wilson"\ngroup = "U(1)"\nbeta = 1.0\n'
    (tmp_path / "study.toml").write_text(f'{text}[sampling]\nsamplers = ["hmc"]\n[hmc]\ntarget_acceptance = 0.8\n')
    config = load_study(tmp_path / "study.toml", {"measure.observables": "cos_phi"})
    with pytest.raises(ConfigError, match="cos_phi; allowed: with a scalar field"):
        plan(config)
    with pytest.raises(ConfigError, match="cos_phi; allowed: with a scalar field"):
        run_stages(config, tmp_path / "run", stages=("sample", "measure"), progress=Listening())
    assert not (tmp_path / "run" / "ensembles").exists()
    assert plan(load_study(tmp_path / "study.toml", {"measure.observables": "log_z"}))["parameters"] == 0


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
