"""Commands that succeed, and failures of the parts below them; the parts themselves are stood in for."""

import dataclasses
import errno
import json
import math
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latflow
from latflow.cli import main
from latflow.errors import Interrupted, PhysicsStop
from latflow.results import EstimateRecord, FlowFigures, Observable, Results
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.presets import preset, presets
from latflow.study.preflight import Order

RESULTS = Results(
    study="phi4-quick",
    observables={"phi_squared": Observable(title="field squared", symbol="φ²", math="φ²")},
    estimates=(EstimateRecord(observable="phi_squared", sampler="hmc", value=0.17143, error=0.00012, n=100),),
    flow=FlowFigures(log_z=math.nan),
)


@dataclasses.dataclass(frozen=True)
class Check:
    """The fields of a verdict."""

    name: str
    value: float | str
    limit: float | str
    passed: bool


class FakeStudy:
    """Stands in for the stages: remembers how it was called, returns results or raises."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.raises: BaseException | None = None

    def run_order(self, order: Order, **options: Any) -> Results | None:
        self.calls.append({**vars(order), **options})
        if self.raises is not None:
            raise self.raises
        options["progress"].stage("train", "nothing")
        if "report" in order.stages:
            options["write_report"](order.directory)
        return RESULTS if "analyse" in order.stages else None


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeStudy:
    """A directory with phi4-quick.toml, and stages that do nothing."""
    fake = FakeStudy()
    monkeypatch.chdir(tmp_path)
    Path("phi4-quick.toml").write_text(preset("phi4-quick").text, encoding="utf-8")
    stand_in(monkeypatch, "latflow.study.run", run_order=fake.run_order)
    stand_in(
        monkeypatch,
        "latflow.report",
        write_report=lambda directory: directory / "report.html",
        summary_lines=lambda results: [f"{len(results.estimates)} observables"],
    )
    return fake


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Callable[..., Any]) -> None:
    module = types.ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def test_new_lists_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new"]) == 0
    listed = capsys.readouterr().out
    assert all(entry.name in listed and entry.cost in listed for entry in presets())
    assert main(["new", "phi4-e1"]) == 0
    assert capsys.readouterr().out == preset("phi4-e1").text
    assert main(["new", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == [entry.name for entry in presets()]
    assert main(["new", "phi4-e1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == preset("phi4-e1").text


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{latflow.__version__}\n"
    for arguments in ([], ["--help"], ["run", "--help"]):
        assert main(arguments) == 0
        assert "Usage: latflow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "stages"),
    [
        ("run", ("train", "sample", "measure", "analyse", "report")),
        ("train", ("train",)),
        ("sample", ("sample",)),
        ("measure", ("measure", "analyse")),
        ("report", ("analyse", "report")),
    ],
)
def test_each_command_runs_its_stages(
    study: FakeStudy, command: str, stages: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path("runs/phi4-quick")
    (run / "measurements").mkdir(parents=True)
    (run / "study.toml").write_text(load_study(Path("phi4-quick.toml")).to_toml())
    assert main([command, "phi4-quick.toml"]) == 0
    (call,) = study.calls
    assert call["config"] == load_study(Path("phi4-quick.toml"))
    assert (call["directory"], call["stages"]) == (Path("runs/phi4-quick"), stages)
    assert call["samplers"] == call["config"].sampling.samplers
    out, err = capsys.readouterr()
    assert ("1 observables" in out) == ("analyse" in stages)
    assert ("report: runs/phi4-quick/report.html" in out) == ("report" in stages)
    assert err == "train    nothing\n"


def test_options_reach_the_stages(study: FakeStudy) -> None:
    line = "run phi4-quick.toml --run-dir here --fork --samplers hmc flow --action.coupling 6.5 --lattice.shape 8 8"
    Path("here").mkdir()
    Path("here/study.toml").write_text(preset("phi4-quick").text, encoding="utf-8")
    assert main(line.split()) == 0
    (call,) = study.calls
    assert (call["directory"].name[:5], call["samplers"]) == ("here-", ("hmc", "flow"))
    assert call["config"].action.coupling == 6.5
    assert call["config"].lattice.shape == (8, 8)


def test_a_run_directory_is_a_study(study: FakeStudy) -> None:
    Path("old").mkdir()
    Path("old/study.toml").write_text(preset("phi4-quick").text, encoding="utf-8")
    assert main(["measure", "old"]) == 0
    assert study.calls[0]["directory"] == Path("old")
    assert main(["measure", "old", "--run-dir", "new"]) == 0
    assert study.calls[1]["directory"] == Path("new")


def test_json_is_all_that_stands_on_standard_output(study: FakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "phi4-quick.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == RESULTS.plain()


def test_dry_run_of_links_speaks_of_no_flow(study: FakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    del study
    Path("links.toml").write_text(preset("u1-2d").text, encoding="utf-8")
    assert main(["run", "links.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    tables = [line for line in out.splitlines() if line.startswith("[")]
    assert tables == ["[lattice]", "[action]", "[sampling]", "[hmc]", "[heatbath]", "[metropolis]"]
    assert [line.partition(":")[0] for line in out.splitlines() if line.startswith("# ")] == [
        "# run directory", "# memory", "# memory bytes, program", "# memory bytes, block", "# seconds, sample hmc",
        "# seconds, sample heatbath", "# seconds, sample metropolis", "# disk bytes",
    ]  # fmt: skip


def test_dry_run_writes_nothing(
    study: FakeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs = {"parameters": 123456, "memory_bytes": {"block": 2**20}, "seconds": {"train": 18.2, "unknown": None}}
    stand_in(monkeypatch, "latflow.study.plan", plan=lambda config: needs, require_room_for=lambda order: None)
    before = sorted(Path().rglob("*"))
    assert main(["run", "phi4-quick.toml", "--dry-run", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    Path("resolved.toml").write_text(out, encoding="utf-8")
    assert load_study(Path("resolved.toml")) == load_study(Path("phi4-quick.toml"), {"seed": "5"})
    assert "# parameters: 123,456\n# memory bytes, block: 1.0 MiB\n# seconds, train: 18 s\n" in out
    assert main(["train", "phi4-quick.toml", "--dry-run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["plan"] == needs
    assert StudyConfig.model_validate_json(json.dumps(printed["study"])).name == "phi4-quick"
    Path("resolved.toml").unlink()
    assert sorted(Path().rglob("*")) == before
    assert study.calls == []


@pytest.mark.parametrize(
    ("failure", "exit_code", "line"),
    [
        (PhysicsStop("loss", value="nan"), 70, "error[PHYSICS] loss: nan"),
        (Interrupted("SIGTERM", hint="saved"), 75, "error[INTERRUPTED] SIGTERM; saved"),
        (KeyboardInterrupt(), 75, "error[INTERRUPTED] interrupted; the same command goes on from what is saved"),
        (OSError(errno.ENOSPC, "x", "a/b"), 74, f"error[IO] a/b: {os.strerror(errno.ENOSPC)}"),
        (MemoryError(), 69, "error[UNAVAILABLE] memory: exhausted"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."), 69,
         "error[UNAVAILABLE] memory: exhausted, Out of memory allocating 9 bytes.; lower training.batch_size"),
        (RuntimeError("other"), 70, "error[INTERNAL] RuntimeError: other; a defect"),
        (NotImplementedError(), 70, "error[INTERNAL] NotImplementedError; a defect"),
        (ModuleNotFoundError("no", name="optax"), 69, "error[UNAVAILABLE] the Python package 'optax': not installed"),
        (ValueError("two\nlines"), 70, "error[INTERNAL] ValueError: two lines; a defect of latflow; run again with"),
        (ZeroDivisionError(), 70, "error[INTERNAL] ZeroDivisionError; a defect"),
    ],
)  # fmt: skip
def test_failures_below(
    study: FakeStudy,
    failure: BaseException,
    exit_code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study.raises = failure
    assert main(["run", "phi4-quick.toml"]) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(line)


def test_failures_are_machine_readable(study: FakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    study.raises = ValueError("broken")
    assert main(["run", "phi4-quick.toml", "--json"]) == 70
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": {"code": "INTERNAL", "exit_code": 70, "lines": err.splitlines()}}


def test_debug_shows_the_traceback(study: FakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    study.raises = ValueError("broken")
    assert main(["run", "phi4-quick.toml", "--debug"]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "raise self.raises" in err
    assert err.splitlines()[-1].startswith("error[INTERNAL] ValueError: broken")


@pytest.mark.parametrize(
    ("command", "module", "function", "argument", "code"),
    [
        ("verify", "latflow.study.verify", "verify", ".", 65),
        ("selfcheck", "latflow.testing", "selfchecks", "phi4-quick.toml", 70),
    ],
)
def test_verdicts(
    study: FakeStudy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    module: str,
    function: str,
    argument: str,
    code: int,
) -> None:
    del study
    checks = [Check("hashes", "intact", "any", passed=True), Check("log q", 1.2e-13, 1e-10, passed=True)]
    stand_in(monkeypatch, module, **{function: lambda subject: checks})
    assert main([command, argument]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["check", "PASS", "PASS"]
    assert "1.2e-13" in lines[2]

    checks.append(Check("action", float("nan"), 1e-10, passed=False))
    assert main([command, argument, "--json"]) == code
    out, err = capsys.readouterr()
    verdicts = json.loads(out)
    assert verdicts["passed"] is False
    assert verdicts["error"]["exit_code"] == code
    assert verdicts["checks"][-1] == {"name": "action", "value": "nan", "limit": 1e-10, "passed": False}
    assert "1 of 3" in err
    assert "action" in err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["latflow"] == latflow.__version__
    assert found["precision"] == "float64"
    assert found["devices"]
    assert main(["doctor"]) == 0
    assert "precision" in capsys.readouterr().out


def run_program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "latflow", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_missing_device_is_unavailable() -> None:
    finished = run_program("doctor", JAX_PLATFORMS="abacus")
    assert finished.returncode == 69
    assert finished.stderr.startswith("error[UNAVAILABLE] environment variable JAX_PLATFORMS: abacus")
    assert "Traceback" not in finished.stderr


def test_a_terminal_without_unicode_and_a_closed_pipe() -> None:
    finished = run_program("new", "phi4-e1", PYTHONIOENCODING="ascii")
    assert finished.returncode == 0
    assert "\\u03bb" in finished.stdout
    command = f"{sys.executable} -m latflow new phi4-e1 | true; exit ${{PIPESTATUS[0]}}"
    piped = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=600, check=False)
    assert piped.returncode == 74
    assert piped.stderr == ""


def test_interrupt_while_starting() -> None:
    program = (
        # a shell starts background jobs with SIGINT ignored, and Python inherits that
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from latflow.cli import main\nimport latflow.study.config as config\n"
        "config.load_study = lambda *a: os.kill(os.getpid(), signal.SIGINT)\nsys.exit(main(['run', 'x.toml']))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 75
    assert finished.stderr.startswith("error[INTERRUPTED]")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["new"], ["new", "phi4-e1"], ["--version"]])
def test_quick_commands_import_nothing_slow(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom latflow.cli import main\n"
        f"code = main({arguments!r})\n"
        "slow = {'jax', 'numpy', 'scipy', 'matplotlib', 'pandas', 'pyerrors', 'h5py'} & set(sys.modules)\n"
        "sys.exit(code or (f'imported {slow}' if slow else 0))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stderr
