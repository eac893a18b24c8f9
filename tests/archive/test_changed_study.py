"""A study.toml that was changed after the run: nothing gives the data of one coupling as those of another."""

import shutil
from pathlib import Path

import pytest

import latflow as lf
from latflow.cli import main
from latflow.results import write
from latflow.study.config import load_study
from latflow.study.wording import theory_of

RUNS = Path(__file__).parents[1] / "data" / "runs-v1"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    shutil.copytree(RUNS / "phi4", run)
    text = (run / "study.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("coupling ="))
    (run / "study.toml").write_text(text.replace(line, "coupling = 2.5"), encoding="utf-8")
    return run


def test_readers_refuse_it(changed: Path) -> None:
    with pytest.raises(lf.LatflowError, match=r"coupling = 2.5, but .* in ensembles/"):
        lf.open_run(changed)


def test_results_are_held_against_it(changed: Path) -> None:
    (changed / "ensembles").rename(changed / "gone")
    results = lf.open_run(changed).results
    study = load_study(RUNS / "phi4" / "study.toml")
    theory = theory_of(tuple(study.lattice.shape), study.action.model_dump(mode="json"))
    write(results.model_copy(update={"theory": theory}), changed / "results.json")
    with pytest.raises(lf.LatflowError, match=r"coupling = 2.5, but .* in results.json"):
        lf.open_run(changed)


@pytest.mark.parametrize("command", ["table", "report", "verify"])
def test_commands_refuse_it_and_leave_the_results(changed: Path, command: str, capsys: pytest.CaptureFixture) -> None:
    before = (changed / "results.json").read_bytes()
    assert main([command, str(changed)]) in {65, 73, 78}
    shown = capsys.readouterr()
    assert "coupling" in shown.err + shown.out
    assert (changed / "results.json").read_bytes() == before


def test_trends_refuse_it(changed: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["trend", str(RUNS / "phi4"), str(changed)]) in {65, 73, 78}
    assert "coupling" in capsys.readouterr().err


def test_free_energies_refuse_it(changed: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["free-energy", str(RUNS / "phi4"), str(changed)]) in {65, 73, 78}
    assert "coupling" in capsys.readouterr().err
