"""Limits of a training that are raised in a run: it goes on, and nothing of two models is mixed."""

import json
import shutil
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.archive.directory import load
from latflow.cli import main
from latflow.errors import ConfigError, Interrupted
from latflow.report.html import DRAWINGS, render
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.build import build_flow, build_optimiser
from latflow.study.checks import UNFINISHED
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import RunContext, Silent
from latflow.study.limits import limits_of, own_history, settled
from latflow.study.regenerate import regenerated
from latflow.study.run import run_stages
from latflow.study.stages import checkpoints
from latflow.study.unfinished import notice, unfinished
from latflow.study.verify import verify
from latflow.study.wording import read_results
from latflow.training import descent
from latflow.training.fit import FitProgress
from latflow.training.limits import first_met
from latflow.training.steps import TrainingState

STAGES = ("train", "sample", "measure", "analyse")


class Lines(Silent):
    """Keeps the lines, and stops the run at the n-th update."""

    def __init__(self, stop_at: int = -1) -> None:
        self.lines: list[str] = []
        self.left = stop_at

    def line(self, text: str) -> None:
        self.lines.append(text)

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("planned stop")

    def text(self) -> str:
        return "\n".join(self.lines)


def go(config: StudyConfig, directory: Path, *, stages: tuple[str, ...] = STAGES, stop_at: int = -1) -> Lines:
    lines = Lines(stop_at)
    run_stages(config, directory, stages=stages, progress=lines)
    return lines


def model_files(directory: Path) -> list[bytes]:
    return [(directory / "model" / name).read_bytes() for name in ("model.json", "weights.safetensors")]


def history(directory: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (directory / "model" / "train.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in ("seconds", "steps_per_second")} for record in records]


def weights(directory: Path) -> bytes:
    return (directory / "model" / "weights.safetensors").read_bytes()


def header(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "model" / "model.json").read_text())["header"]


@pytest.fixture(scope="module")
def config(tiny_study: Path) -> StudyConfig:
    """Twenty steps at a constant learning rate, and two samplers."""
    return with_overrides(
        load_study(tiny_study),
        {"training.stop.steps": "20", "training.schedule": "constant", "sampling.samplers": "flow hmc"},
    )


@pytest.fixture(scope="module")
def poor(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("limits") / "poor"
    go(config, directory)
    return directory


@pytest.fixture(scope="module")
def raised(config: StudyConfig, poor: Path) -> tuple[StudyConfig, Path, str]:
    """The same run after its limit was raised."""
    directory = poor.with_name("raised")
    shutil.copytree(poor, directory)
    higher = with_overrides(config, {"training.stop.steps": "50"})
    return higher, directory, go(higher, directory).text()


def test_a_raised_limit_lets_the_training_go_on(poor: Path, raised: tuple[StudyConfig, Path, str]) -> None:
    _, directory, text = raised
    assert "at step 20 the limits change: training.stop.steps: 20 → 50" in text
    assert "the schedule was written" not in text  # it does not depend on the number of steps
    assert "what the flow of step 20 gave is kept in superseded/step-000020" in text
    assert "hmc stays" in text
    assert [record["step"] for record in history(directory)] == [0, 20, 40, 50]
    assert history(directory)[:2] == history(poor)
    results = read_results(directory / "results.json")
    assert results.flow is not None
    assert (results.flow.training_steps, results.flow.limits_changed_at) == (50, (20,))
    limits = header(directory)["limits"]
    assert [(entry["from"], entry["stop"]["steps"]) for entry in limits] == [(0, 20), (20, 50)]


def test_draws_are_of_one_model_and_chains_stay(poor: Path, raised: tuple[StudyConfig, Path, str]) -> None:
    _, directory, _ = raised
    earlier = directory / "superseded" / "step-000020"
    before = Ensemble.open(poor / "ensembles/flow", writable=False)
    kept = Ensemble.open(earlier / "ensembles/flow", writable=False)
    now = Ensemble.open(directory / "ensembles/flow", writable=False)
    assert kept.digest == before.digest
    assert weights(earlier) == weights(poor) != weights(directory)
    assert now.manifest["identity"]["model"] != kept.manifest["identity"]["model"]
    assert not np.array_equal(now.column("log_weight"), kept.column("log_weight"))
    hmc = [Ensemble.open(place / "ensembles/hmc", writable=False).digest for place in (poor, directory)]
    assert hmc[0] == hmc[1]
    assert header(directory)["limits"][1]["after"] == kept.manifest["identity"]["model"]
    cost = read_results(directory / "results.json").cost["flow"]
    assert cost.configurations == now.n_records


def test_what_goes_on_verifies_and_is_made_again(raised: tuple[StudyConfig, Path, str]) -> None:
    config, directory, _ = raised
    assert [check for check in verify(directory) if not check.passed] == []
    earlier = directory / "superseded" / "step-000020"
    assert [check for check in verify(earlier) if not check.passed] == []  # still with the model that it names
    assert "up to date" in go(config, directory).text()
    stored = Ensemble.open(directory / "ensembles/flow", writable=False).read(0, ("fields", "index")).arrays
    again = regenerated(directory, [100])[0]
    np.testing.assert_array_equal(again.field, stored["fields"][stored["index"][100]])


def test_a_constant_learning_rate_gives_the_bits_of_one_training(raised: tuple[StudyConfig, Path, str]) -> None:
    config, directory, _ = raised
    at_once = directory.with_name("at-once")
    go(config, at_once, stages=("train",))
    assert weights(at_once) == weights(directory)
    assert history(at_once) == history(directory)


@pytest.mark.parametrize("stop_at", [2])
def test_a_raised_training_that_is_interrupted_ends_with_the_same_bits(
    config: StudyConfig,
    poor: Path,
    raised: tuple[StudyConfig, Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stop_at: int,
) -> None:
    higher, directory, _ = raised
    shutil.copytree(poor, tmp_path / "run")
    with pytest.raises(Interrupted):
        go(higher, tmp_path / "run", stop_at=stop_at)
    assert not (tmp_path / "run" / "model" / "model.json").exists()
    assert [check for check in verify(tmp_path / "run") if not check.passed] == []
    told_between_two_sittings(tmp_path / "run", capsys)
    go(higher, tmp_path / "run")
    assert model_files(tmp_path / "run") == model_files(directory)
    assert unfinished(tmp_path / "run") == ""


def told_between_two_sittings(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report, terminal, JSON and verify say of a run that its flow is not finished."""
    says = "the training of the flow is not finished: it stands at step 20 of at most 50; `latflow run` goes on"
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.startswith(f"unfinished: {says}\n")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"Unfinished: {says}." in page
    assert page.index('id="unfinished"') < page.index('id="belief"')
    assert main(["sample", str(run), "--samplers", "hmc", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == says
    assert [check.value for check in verify(run) if check.state == UNFINISHED] == [says]


def test_a_superseded_directory_is_called_so(raised: tuple[StudyConfig, Path, str], tmp_path: Path) -> None:
    _, directory, _ = raised
    told = notice(directory / "superseded" / "step-000020")
    says = "the training went on from step 20, and this is what the flow gave before; the run is two directories above"
    assert told == {"superseded": says}
    assert notice(directory) == {}
    page = render(load(directory / "superseded" / "step-000020"), {each: [] for each in DRAWINGS})
    assert f'<p class="belief alarm" id="superseded">Superseded: {says}.</p>' in page


def test_a_training_alone_that_is_not_finished_is_no_run_and_no_pass(
    config: StudyConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unfinished(tmp_path) == ""
    (tmp_path / "study.toml").write_text(config.to_toml(), encoding="utf-8")
    assert unfinished(tmp_path) == ""  # no training has begun
    kept = tmp_path / "model" / "checkpoints" / "between"
    kept.mkdir(parents=True)
    (kept / "step-000000013.json").touch()
    assert "it stands at step 13 of at most 20" in unfinished(tmp_path)
    assert main(["report", str(tmp_path)]) == 66
    assert "nothing was measured; the training of the flow is not finished" in capsys.readouterr().err
    assert main(["verify", str(tmp_path)]) == 65
    assert "UNFINISHED" in capsys.readouterr().out


def test_what_the_learning_rate_does_is_said(config: StudyConfig, tmp_path: Path) -> None:
    """A cosine over 20 steps has fallen to a hundredth; the one over 40 stands higher there."""
    higher = with_overrides(config, {"training.schedule": "cosine", "training.stop.steps": "40"})
    optimiser = build_optimiser(higher)
    begun = TrainingState.start(build_flow(higher), optimiser)
    state = eqx.tree_at(lambda state: state.step, begun, jnp.asarray(20, dtype=jnp.int32))
    progress = FitProgress(state, history=({"step": 20, "learning_rate": 0.0002, **RECORD},))
    limits = [{"from": step, "stop": {**limits_of(config), "steps": n}} for step, n in ((0, 20), (20, 40))]
    lines = Lines()
    context = RunContext(higher, tmp_path, lines, Interrupts())
    checkpoints.say_what_changes(context, checkpoints.Begun(progress, limits), optimiser)
    middle = 0.02 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * 20 / 40)))
    assert lines.lines[-1] == (
        "train    the schedule was written for 20 steps; it goes on as for 40 steps: the learning rate rises from "
        f"0.0002 to {middle:.2g}"
    )
    assert checkpoints._change(3.0e-4, 2.0e-4) == "falls from 0.0003 to 0.0002"
    assert checkpoints._change(2.001e-4, 2.0e-4) == "stays at 0.0002"


def test_a_warm_up_that_follows_from_the_steps_stays(config: StudyConfig, tmp_path: Path) -> None:
    training = {**config.model_dump(mode="json")["training"], "stop": {"steps": 60}}
    del training["warmup_steps"]
    first = StudyConfig.model_validate({**config.model_dump(mode="json"), "training": training})
    training["stop"] = {"steps": 5000}
    higher = StudyConfig.model_validate({**config.model_dump(mode="json"), "training": training})
    assert (first.training.warmup_steps, higher.training.warmup_steps) == (6, 100)
    (tmp_path / "study.toml").write_text(first.to_toml())
    found = settled(higher, tmp_path, trains=True)
    assert (found.config.training.warmup_steps, found.config.training.stop.steps) == (6, 5000)
    assert found.notes == ("training.warmup_steps stays 6, as this run began",)
    asked = with_overrides(higher, {"training.warmup_steps": "7"})
    assert settled(asked, tmp_path, trains=True).config == asked  # and is refused, as any other key


RECORD = {"seconds": 1.0, "loss": -1.0, "acceptance": 0.1, "reweighting_ess": 0.1}


@pytest.mark.nightly
def test_a_schedule_goes_on_as_for_the_new_number_of_steps(config: StudyConfig, tmp_path: Path) -> None:
    """The learning rate of a cosine has fallen to its end, and rises to where it stands in the longer one.

    The warm-up, which the study does not say, stays the tenth of the steps with which the run began.
    """
    data = config.model_dump(mode="json")
    del data["training"]["warmup_steps"]
    cosine, higher = (
        StudyConfig.model_validate({**data, "training": {**data["training"], "schedule": "cosine", "stop": stop}})
        for stop in ({"steps": 20}, {"steps": 40})
    )
    assert (cosine.training.warmup_steps, higher.training.warmup_steps) == (2, 4)
    go(cosine, tmp_path / "run", stages=("train",))
    text = go(higher, tmp_path / "run", stages=("train",)).text()
    told = "the schedule was written for 20 steps; it goes on as for 40 steps: the learning rate rises from 0.0002 to "
    assert told in text
    assert "training.warmup_steps stays 2, as this run began" in text
    assert load_study(tmp_path / "run" / "study.toml").training.warmup_steps == 2
    rates = {record["step"]: record["learning_rate"] for record in history(tmp_path / "run")}
    assert rates[20] == pytest.approx(0.0002)
    assert rates[40] == pytest.approx(0.0002)
    middle = 0.02 * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * 18 / 38)))
    assert f"to {middle:.2g}" in text


def test_lower_limits_change_nothing(config: StudyConfig, poor: Path, tmp_path: Path) -> None:
    shutil.copytree(poor, tmp_path / "run")
    before = model_files(tmp_path / "run")
    lower = with_overrides(config, {"training.stop.steps": "10"})
    text = go(lower, tmp_path / "run").text()
    assert "training.stop.steps = 10 is met already, at step 20: the training and its limits stay as they are" in text
    assert model_files(tmp_path / "run") == before
    assert load_study(tmp_path / "run" / "study.toml").training.stop.steps == 20


def test_stages_that_train_nothing_leave_the_limits(config: StudyConfig, poor: Path, tmp_path: Path) -> None:
    shutil.copytree(poor, tmp_path / "run")
    higher = with_overrides(config, {"training.stop.steps": "50"})
    assert "nothing is trained here" in go(higher, tmp_path / "run", stages=("measure", "analyse")).text()
    assert load_study(tmp_path / "run" / "study.toml").training.stop.steps == 20


def test_a_run_without_the_state_of_its_optimiser_is_refused(config: StudyConfig, poor: Path, tmp_path: Path) -> None:
    shutil.copytree(poor, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model" / "checkpoints")
    with pytest.raises(ConfigError, match=r"steps: 20 → 50; this run .* kept no state .* --run-dir NEW --from .*run"):
        go(with_overrides(config, {"training.stop.steps": "50"}), tmp_path / "run")
    go(config, tmp_path / "run", stages=("train",))  # unchanged limits ask for nothing


class Killed(Exception):
    """The process is gone."""


def test_saves_fall_between_evaluations_and_change_no_bit(
    config: StudyConfig, poor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed after a save in the midst of an interval goes on from there."""
    monkeypatch.setattr(descent, "_SECONDS_OF_CHUNK", 0.0)
    often = with_overrides(config, {"training.checkpoint_minutes": "1e-9"})
    seen: list[str] = []
    checkpoints_save = checkpoints.save_checkpoint

    def save(directory: Path, state: Any, **rest: Any) -> str:
        digest = checkpoints_save(directory, state, **rest)
        seen.append(f"{directory.name} {rest['step']}")
        if seen[-1] == "between 13":
            raise Killed
        return digest

    monkeypatch.setattr(checkpoints, "save_checkpoint", save)
    with pytest.raises(Killed):
        go(often, tmp_path / "run", stages=("train",))
    assert seen[:2] == ["checkpoints 0", "between 1"]
    assert "resumed at step 13" in go(config, tmp_path / "run", stages=("train",)).text()
    assert weights(tmp_path / "run") == weights(poor)
    assert history(tmp_path / "run") == history(poor)
    assert sorted(path.name for path in (tmp_path / "run/model/checkpoints").iterdir()) == [
        "step-000000020.json",
        "step-000000020.safetensors",
    ]


def test_steps_of_a_curriculum_are_counted_from_its_last_lattice() -> None:
    log = [
        {**RECORD, "step": step, "seconds": seconds}
        for step, seconds in ((0, 1.0), (100, 61.0), (100, 62.0), (150, 91.0))
    ]
    own = own_history(log)
    assert [(record["step"], record["seconds"]) for record in own] == [(0, 1.0), (50, 30.0)]
    assert first_met({"steps": 50}, own) == "steps"
    assert first_met({"steps": 51}, own) is None
    assert own_history(log[:2]) == log[:2]


def test_a_dry_run_refuses_and_tells_what_the_run_would(
    config: StudyConfig, poor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another study, limits that are met, nothing to analyse; and nothing is written."""
    run = tmp_path / "run"
    shutil.copytree(poor, run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(["run", str(run), "--action.coupling", "7", "--dry-run"]) == 78
    assert "belongs to another study" in capsys.readouterr().err
    assert main(["run", str(run), "--action.coupling", "7", "--dry-run", "--fork"]) == 0
    assert f"# run directory: {run}-" in capsys.readouterr().out
    assert main(["run", str(run), "--training.stop.steps", "5", "--dry-run"]) == 0
    assert "# training.stop.steps = 5 is met already, at step 20" in capsys.readouterr().out
    (tmp_path / "x.toml").write_text(config.to_toml())
    assert main(["report", str(tmp_path / "x.toml"), "--run-dir", str(tmp_path / "new"), "--dry-run"]) == 66
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "x.toml"]
