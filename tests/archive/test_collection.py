"""Many runs in one table: parameters, layouts, figure, refusals."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from latflow.archive.collection import collect_runs, found_runs
from latflow.cli import main
from latflow.errors import MissingInputError, UsageError
from latflow.report.many_runs import runs_figure, runs_markdown
from latflow.results import write
from latflow.study.wording import read_results

RUNS = Path(__file__).parents[1] / "data" / "runs-v1"
COUPLINGS = (5.0, 6.0, 6.5, 7.0, 8.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five results that differ in the coupling alone; ⟨φ²⟩ of HMC is a hundredth of it."""
    target = tmp_path_factory.mktemp("many")
    results = read_results(RUNS / "phi4" / "results.json")
    study = (RUNS / "phi4" / "study.toml").read_text(encoding="utf-8")
    line = next(line for line in study.splitlines() if line.startswith("coupling ="))
    for number, coupling in enumerate(reversed(COUPLINGS)):
        run = target / f"run-{number}"
        run.mkdir()
        rows = tuple(
            row.model_copy(update={"value": coupling / 100, "error": 0.001, "reference": coupling / 100})
            if (row.observable, row.sampler) == ("phi_squared", "hmc")
            else row
            for row in results.estimates
        )
        theory = results.theory.model_copy(update={"action": {**results.theory.action, "coupling": coupling}})
        write(results.model_copy(update={"estimates": rows, "theory": theory}), run / "results.json")
        (run / "study.toml").write_text(study.replace(line, f"coupling = {coupling}"), encoding="utf-8")
    return target


def test_a_folder_stands_for_its_runs(folder: Path) -> None:
    assert found_runs([folder]) == sorted(folder.iterdir())
    assert found_runs([folder / "run-1", folder]) == [folder / f"run-{i}" for i in (1, 0, 2, 3, 4)]
    with pytest.raises(MissingInputError, match="no analysed run"):
        found_runs([folder / "run-1", folder / "nowhere"])


def test_rows_are_ordered_by_what_differs(folder: Path) -> None:
    found = collect_runs([folder], observables=["phi_squared"], samplers=["hmc"])
    assert found.keys == ("action.coupling",)
    assert [row.parameters["action.coupling"] for row in found.rows] == list(COUPLINGS)
    assert [row.estimate.value for row in found.rows] == [coupling / 100 for coupling in COUPLINGS]
    assert found.samplers == ("hmc",)


def test_markdown(folder: Path) -> None:
    lines = runs_markdown(collect_runs([folder], observables=["phi_squared"], samplers=["hmc"])).splitlines()
    assert lines[0] == "**⟨φ²⟩**, field squared"
    assert lines[2] == "| coupling | run | HMC | reference |"
    assert lines[4] == "| 5 | run-4 | 0.0500(10) | 0.05 |"
    assert len([line for line in lines if line.startswith("| ")]) == 7


def test_any_key_of_the_study_is_a_parameter(folder: Path) -> None:
    found = collect_runs([folder], observables=["phi_squared"], against=["L", "lattice.shape", "hmc.n_steps"])
    assert {tuple(row.parameters.values()) for row in found.rows} == {
        (4, "4×4", found.rows[0].parameters["hmc.n_steps"])
    }
    with pytest.raises(UsageError, match=r"--against: 'coupling'; allowed: action\.coupling"):
        collect_runs([folder], against=["coupling"])


def test_runs_of_two_theories_stand_in_one_table() -> None:
    found = collect_runs([RUNS / "phi4", RUNS / "links"])
    assert "action.kind" in found.keys
    assert {"phi_squared", "plaquette"} <= set(found.observables)
    assert "–" in runs_markdown(found)


def test_the_figure_is_drawn_against_one_number(folder: Path) -> None:
    found = collect_runs([folder], observables=["phi_squared"])
    image = runs_figure(found, "phi_squared")
    assert image == runs_figure(found, "phi_squared")
    assert b"<svg" in image
    with pytest.raises(UsageError, match="runs that differ in nothing"):
        runs_figure(collect_runs([folder / "run-0"]), "phi_squared")
    with pytest.raises(UsageError, match=r"lattice\.shape is '4×4'; allowed: numbers, or L"):
        runs_figure(collect_runs([folder], against=["lattice.shape"]), "phi_squared")


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--observables", "phi_squared", "--samplers", "hmc"]
    for kind, begins in (("PDF", b"%PDF"), ("png", b"\x89PNG")):
        drawing = tmp_path / f"phi2.{kind}"
        assert main(["table", str(folder), *options, "--figure", str(drawing)]) == 0
        assert drawing.read_bytes().startswith(begins)
    capsys.readouterr()
    drawing = tmp_path / "new" / "phi2.svg"
    assert main(["table", str(folder), *options, "--format", "csv", "--figure", str(drawing)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["action.coupling"]) for row in rows] == list(COUPLINGS)
    assert [float(row["value"]) for row in rows] == [coupling / 100 for coupling in COUPLINGS]
    assert drawing.read_bytes().startswith(b"<?xml")
    assert main(["table", str(folder), *options, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [row["value"] for row in plain] == [coupling / 100 for coupling in COUPLINGS]
    assert plain[0]["sampler"] == "hmc"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 64, "table: no run; allowed: run directories, or folders of them"),
        (["FOLDER", "--format", "xml"], 64, "--format: 'xml'; allowed: markdown or csv or json"),
        (["FOLDER", "--observables", "energy"], 64, "--observables: 'energy'; allowed:"),
        (["FOLDER", "--samplers", "heatbath"], 64, "--samplers: 'heatbath'; allowed:"),
        (["nowhere"], 66, "nowhere: no analysed run"),
    ],
    ids=["none", "format", "observable", "sampler", "missing"],
)
def test_refusals(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(["table", *(str(folder) if a == "FOLDER" else a for a in arguments)]) == code
    assert message in capsys.readouterr().err


def test_a_run_without_its_study_is_described_by_its_results(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run-0", tmp_path / "run")
    (tmp_path / "run" / "study.toml").unlink()
    found = collect_runs([tmp_path / "run"], against=["action.coupling"])
    theory = read_results(RUNS / "phi4" / "results.json").theory
    assert theory is not None
    assert found.rows[0].parameters["action.coupling"] == theory.action["coupling"]


def test_averages_that_are_not_reliable_are_marked(tmp_path: Path) -> None:
    """An error that is a bound is written so, and what is not resolved has no number."""
    results = read_results(RUNS / "phi4" / "results.json")
    states = {"flow": "error underestimated", "reweighted": "not resolved"}
    rows = tuple(
        row.model_copy(update={"state": states.get(row.sampler), "value": 0.125, "error": 0.0017})
        for row in results.of("phi_squared")
    )
    (tmp_path / "run").mkdir()
    write(results.model_copy(update={"estimates": rows}), tmp_path / "run" / "results.json")
    found = collect_runs([tmp_path / "run"], observables=["phi_squared"], samplers=["flow", "reweighted"])
    text = runs_markdown(found)
    assert "| 0.1250(≥17) | not resolved |" in text
    assert "(≥…): the error is only a lower bound" in text
    assert [row["state"] for row in csv.DictReader(io.StringIO(found.csv()))] == list(states.values())


def test_doubts_of_a_run_stand_in_the_table(folder: Path, tmp_path: Path) -> None:
    """Chains that do not agree have a dagger, values far from the reference an exclamation mark; CSV says the first."""
    target = tmp_path / "runs"
    shutil.copytree(folder, target)
    results = read_results(target / "run-0" / "results.json")
    apart = results.chains["hmc"].model_copy(update={"agree": False})
    rows = tuple(
        row.model_copy(update={"reference": 0.05}) if (row.observable, row.sampler) == ("phi_squared", "hmc") else row
        for row in results.estimates
    )
    changed = {"estimates": rows, "chains": {**results.chains, "hmc": apart}}
    write(results.model_copy(update=changed), target / "run-0" / "results.json")
    found = collect_runs([target], observables=["phi_squared"], samplers=["hmc"])
    text = runs_markdown(found)
    assert "0.0800(10)†!" in text
    assert "†: its chains do not agree (R̂), so it must not be believed. !: more than 3σ from the reference." in text
    told = {row["run"].rpartition("/")[2]: row["chains_agree"] for row in csv.DictReader(io.StringIO(found.csv()))}
    assert told["run-0"] == "False"


def test_one_name_is_a_name(folder: Path) -> None:
    found = collect_runs(str(folder), observables="phi_squared", samplers="hmc")
    assert (found.observables, found.samplers, len(found.rows)) == (("phi_squared",), ("hmc",), 5)
