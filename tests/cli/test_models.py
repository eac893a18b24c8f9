"""Commands on trained models: draws without a study, what they refuse, configurations made again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as safetensors

from latflow.cli import main
from latflow.cli.models import block_of_draws, parsed_indices
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.config.stages import SamplingConfig
from latflow.study.context import Silent
from latflow.study.run import run_stages

STUDY = """
name = "tiny"
lattice = { shape = [2, 2] }
action = { kind = "phi4", mass_squared = -4.0, coupling = 8.0 }
flow = { kind = "real_nvp", layers = 2, hidden = [8] }
training = { batch_size = 64, evaluation_draws = 64, warmup_steps = 0, stop = { steps = 1 } }
sampling = { configurations = 64, block_size = 64, samplers = ["flow"] }
hmc = { chains = 4 }
local = { chains = 4 }
cluster = { chains = 4 }
"""

DRAW = ("-n", "128")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "tiny.toml").write_text(STUDY, encoding="utf-8")
    run_stages(load_study(folder / "tiny.toml"), folder / "run", stages=("train",), progress=Silent())
    return folder / "run"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_draws_from_a_model_and_one_of_them_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--model", str(trained), *DRAW, "--ledger-only", "--json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert drawn["run_dir"] == "runs/run-ledger"
    # whole blocks of the run's own size
    assert drawn["draws"] == 128
    assert 0 < drawn["acceptance"] <= 1
    assert main(["regenerate", "runs/run-ledger", "--index", "100", "126:128", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [(one["index"], one["level"]) for one in made["configurations"]] == [(i, "exact") for i in (100, 126, 127)]
    assert np.load("configurations.npy").shape == (3, 2, 2)
    # fields beside the ledger, from the model directory: another place, the same draws
    assert main(["sample", "--model", str(trained / "model"), *DRAW]) == 0
    told = capsys.readouterr().out
    assert "128 draws: acceptance" in told
    assert (f"averages of these draws: {drawn['state']}: N·ESS is" in told) == (drawn["state"] != "reliable")
    assert drawn["state"] != "reliable"  # 128 draws of a flow of a few steps
    assert drawn["reasons"]
    assert main(["regenerate", "runs/run-draws", "--index", "127", "--out", "z.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["configurations"][0]["level"] == "stored"
    assert np.array_equal(np.load("z.npy")[0], np.load("configurations.npy")[2])
    assert main(["regenerate", "runs/run-ledger", "--index", "128", "--out", "y.npy"]) == 64
    assert "--index: 128; allowed: 0 to 127" in capsys.readouterr().err
    assert not Path("y.npy").exists()
    assert main(["regenerate", "runs/run-ledger", "--index", "0", "--out", "nowhere/y.npy"]) == 73
    assert "nowhere is not there" in capsys.readouterr().err


def test_draws_are_whole_blocks_and_say_so(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--model", str(trained), "-n", "65"]) == 0
    assert capsys.readouterr().out.startswith("128 draws (65 asked for; blocks are whole): acceptance")


def test_a_model_without_a_run_draws_no_more_than_asked(trained: Path) -> None:
    """More draws in the same directory come in blocks of the size that is there."""

    def size(model: Path, n: int) -> int:
        return block_of_draws(model, Path("draws"), SamplingConfig(configurations=n, samplers=("flow",)))

    assert [size(Path("bare"), n) for n in (5, 100, 4096, 100_000)] == [64, 100, 4096, 4096]
    assert size(trained / "model", 100) == 64
    Path("draws").mkdir()
    Path("draws/study.toml").write_text(STUDY.replace("block_size = 64", "block_size = 32"), encoding="utf-8")
    assert size(Path("bare"), 100) == 32


@pytest.mark.nightly
def test_draws_are_the_same_in_blocks_of_any_size(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "model", "bare")
    assert main(["sample", "--model", "bare", "-n", "100"]) == 0
    assert capsys.readouterr().out.startswith("100 draws: acceptance")
    assert main(["sample", "--model", "bare", "-n", "101"]) == 0
    assert capsys.readouterr().out.startswith("200 draws (101 asked for; blocks are whole)")
    assert main(["sample", "--model", str(trained), *DRAW]) == 0
    few, many = (Ensemble.open(Path(f"runs/{name}-draws/ensembles/flow"), writable=False) for name in ("bare", "run"))
    np.testing.assert_allclose(few.column("log_weight")[:128], many.column("log_weight"), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "exit_code", "says"),
    [
        (("--lattice.shape", "4", "4"), 78, "lattice.shape: [2, 2] → [4, 4]; a model belongs to its theory"),
        (("--action.coupling", "7"), 78, "action.coupling: 8.0 → 7.0"),
        (("--action.kind", "free"), 78, "action"),
        (("--flow.layers", "4"), 78, "flow.layers: 2 → 4"),
        (("--sampling.samplers", "hmc", "--ledger-only"), 78, "false when no flow is sampled"),
        (("-n", "0"), 78, "--sampling.configurations: 0"),
    ],
)
def test_a_model_is_not_drawn_from_as_another(
    trained: Path, options: tuple[str, ...], exit_code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--model", str(trained), *options]) == exit_code
    assert says in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_dry_run_of_draws_writes_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--model", str(trained), *DRAW, "--dry-run"]) == 0
    assert "# run directory: runs/run-draws" in capsys.readouterr().out
    assert list(Path().iterdir()) == []


def test_draws_go_into_no_other_study(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other").mkdir()
    Path("other/study.toml").write_text(STUDY.replace("8.0", "7.0"), encoding="utf-8")
    assert main(["sample", "--model", str(trained), *DRAW, "--run-dir", "other"]) == 78
    assert "belongs to another study" in capsys.readouterr().err
    assert [path.name for path in Path("other").iterdir()] == ["study.toml"]


def test_a_start_that_cannot_be_one_leaves_nothing_behind(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, says in (
        (STUDY.replace("layers = 2", "layers = 4"), "flow.layers: 2 → 4"),
        (STUDY.replace("[2, 2]", "[4, 4]"), "its weights belong to the lattice it was trained on"),
    ):
        Path("x.toml").write_text(text, encoding="utf-8")
        assert main(["train", "x.toml", "--from", str(trained), "--debug"]) in (65, 78)
        assert says in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["x.toml"]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def flipped_weights(model: Path) -> None:
    flip(model / "weights.safetensors", -1)


def foreign_weights(model: Path) -> None:
    """Whole weights of the same shapes, of another training than the header names."""
    weights = safetensors.load((model / "weights.safetensors").read_bytes())
    (model / "weights.safetensors").write_bytes(
        safetensors.save({name: np.asarray(a + 1) for name, a in weights.items()})
    )


def flipped_header(model: Path) -> None:
    flip(model / "model.json", 200)


def no_weights(model: Path) -> None:
    (model / "weights.safetensors").unlink()


def no_log(model: Path) -> None:
    (model / "train.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "exit_code", "says"),
    [
        (flipped_weights, 65, "does not match the checksum in its header"),
        (foreign_weights, 65, "does not match the checksum in its header"),
        (flipped_header, 65, "bad/model.json"),
        (no_weights, 66, "bad/weights.safetensors: no such file"),
        (no_log, 66, "bad/train.jsonl: no such file"),
    ],
)
def test_a_spoilt_model_is_refused_everywhere_and_leaves_nothing_behind(
    trained: Path, spoil: Callable[[Path], None], exit_code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "model", "bad")
    spoil(Path("bad"))
    Path("x.toml").write_text(STUDY, encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in sorted(Path().rglob("*"))}
    assert main(["verify", "bad"]) == 65
    assert says in capsys.readouterr().out
    for command in (
        ["sample", "--model", "bad", *DRAW],
        ["sample", "--model", "bad", *DRAW, "--dry-run"],
        ["train", "x.toml", "--from", "bad"],
        ["train", "x.toml", "--from", "bad", "--dry-run"],
        ["run", "x.toml", "--from", "bad", "--run-dir", "there"],
    ):
        assert main(command) == exit_code
        assert says in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in sorted(Path().rglob("*"))} == before


def test_a_whole_model_directory_verifies(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "model", "good")
    # lying in a directory of another study makes it no part of that
    Path("study.toml").write_text(STUDY.replace("8.0", "7.0"), encoding="utf-8")
    assert main(["verify", "good"]) == 0
    assert "log q of draws = log_prob" in capsys.readouterr().out


def test_a_whole_model_of_another_theory_is_refused_in_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, "run")
    Path("run/study.toml").write_text(STUDY.replace("8.0", "7.0"), encoding="utf-8")
    assert main(["verify", "run"]) == 65
    assert "a model of another theory: action.coupling: 8.0 → 7.0" in capsys.readouterr().out
    assert main(["sample", "run"]) == 65
    assert "a model of another theory: action.coupling: 8.0 → 7.0" in capsys.readouterr().err
    assert not Path("run/ensembles").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_scaling_study_cannot_start_from_a_flow_of_one_lattice(
    trained: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first size could; the second could not, and nothing is done before that is known."""
    text = STUDY.replace("lattice = { shape = [2, 2] }\n", "").replace(
        'action = { kind = "phi4", mass_squared = -4.0, coupling = 8.0 }',
        "points = { extents = [2, 4], couplings = [8.0, 7.0], mass_squared = -4.0 }",
    )
    Path("x.toml").write_text(text, encoding="utf-8")
    assert main(["scaling", "x.toml", "--training.start_from", str(trained), *more]) in (65, 78)
    assert "its weights belong to the lattice it was trained on" in capsys.readouterr().err
    assert main(["scaling", "x.toml", "--training.start_from", "nowhere", *more]) == 66
    assert [path.name for path in Path().iterdir()] == ["x.toml"]


def test_a_dry_run_names_the_lattices_that_are_trained_on(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.toml").write_text(
        STUDY.replace('kind = "real_nvp", layers = 2, hidden = [8]', 'kind = "continuous", radius = 1')
        .replace("shape = [2, 2]", "shape = [4, 4]")
        .replace(
            "steps = 1 } }", "steps = 1 }, curriculum = { extents = [2, 3], couplings = [8, 8], steps = [1, 1] } }"
        ),
        encoding="utf-8",
    )
    assert main(["train", "x.toml", "--dry-run"]) == 0
    assert "# lattices trained on: 2 → 3 → 4" in capsys.readouterr().out


def test_indices_are_numbers_and_ranges() -> None:
    assert parsed_indices(("5", "10:13", "5")) == (5, 10, 11, 12, 5)
