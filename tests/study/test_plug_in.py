"""A plug-in of a weighted sampler and of a kernel goes from a study file to results, without a line of latflow changed.

The plug-in of `tests/plugin` is installed for another process only: entry points are read when latflow is imported.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latflow.actions import exact
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.config.methods import METHODS

PLUG_IN = Path(__file__).parents[1] / "plugin"

STUDY = """
name = "toys"
seed = 3
[lattice]
shape = [2, 2]
[action]
kind = "phi4"
mass_squared = -4.0
coupling = 8.0
[sampling]
configurations = 2048
block_size = 512
samplers = ["annealed", "mixed"]
[annealed]
steps = 24
width = 0.3
[mixed]
chains = 16
"""

PROGRAM = """
import contextlib, dataclasses, io, json, sys
from pathlib import Path
from latflow.cli import main
from latflow.study.config import load_study
from latflow.study.stages.claims import differing_keys

def told(*line):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*line, "--json"])
    return code, json.loads(out.getvalue())

def run(verb, study, directory, *more):
    return told(verb, study, "--run-dir", directory, *more)[0]

plain = load_study(Path("plain.toml"))
found = {
    "dry": told("run", "toys.toml", "--dry-run")[1],
    "whole": run("sample", "toys.toml", "whole") + run("measure", "toys.toml", "whole"),
    "half": run("sample", "toys.toml", "half", "--configurations", "512"),
    "more": run("sample", "half", "half", "--configurations", "2048"),
    "ledger": run("sample", "toys.toml", "ledger", "--samplers", "annealed", "--ledger-only"),
    "added": differing_keys(plain, load_study(Path("plain.toml"), {"sampling.samplers": "hmc mixed"})),
    "reset": differing_keys(plain, load_study(Path("plain.toml"), {"mixed.sweeps": "3"})),
    "verify": {name: told("verify", name) for name in ("whole", "ledger")},
    "again": told("regenerate", "ledger", "--index", "7", "2000"),
    "doctor": told("doctor")[1],
    "digest": plain.digest(),
    "text": plain.to_toml(),
    "refused": told("run", "toys.toml", "--mixed.sweep", "2", "--dry-run")[1],
}
samplers = sys.modules["latflow_toys.samplers"]
build = samplers.annealed
samplers.annealed = lambda config: dataclasses.replace(build(config), width=0.31)
found["wider"] = told("verify", "whole")
json.dump(found, sys.stdout)
"""

PLAIN = STUDY.partition("[annealed]")[0].replace('"annealed", "mixed"', '"hmc"')


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The directory of the runs, and what the commands said."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys.toml").write_text(STUDY)
    (folder / "plain.toml").write_text(PLAIN)
    path = os.pathsep.join([str(PLUG_IN), *sys.path])
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert finished.returncode == 0, finished.stderr
    return folder, json.loads(finished.stdout)


def test_every_command_ends_well(told: tuple[Path, dict[str, Any]]) -> None:
    _, found = told
    assert [found[name] for name in ("whole", "half", "more", "ledger")] == [0] * 4
    for name, (code, said) in found["verify"].items():
        assert code == 0, (name, said)
    names = " ".join(check["name"] for check in found["verify"]["whole"][1]["checks"])
    for wanted in ("annealed: last block made again", "annealed: accept/reject", "mixed: first block made again"):
        assert wanted in names


def test_draws_of_another_sampler_are_noticed(told: tuple[Path, dict[str, Any]]) -> None:
    code, said = told[1]["wider"]
    assert code != 0
    assert [c["name"] for c in said["checks"] if not c["passed"]] == ["ensembles/annealed: last block made again"]


def test_results_are_those_of_the_theory(told: tuple[Path, dict[str, Any]]) -> None:
    """Estimates of both, reweighted ones too, within five errors of the exact values; no model was trained."""
    folder, _ = told
    results = json.loads((folder / "whole" / "results.json").read_text())
    rows = {(row["observable"], row["sampler"]): row for row in results["estimates"]}
    known = exact.phi_four_2x2(mass_squared=-4.0, coupling=8.0)
    log_z = rows["log_z", "annealed_reweighted"]
    assert abs(log_z["value"] - known.log_z) < 5 * log_z["error"]
    assert log_z["error"] < 0.1
    for sampler in ("annealed", "annealed_reweighted", "mixed"):
        row = rows["phi_squared", sampler]
        assert abs(row["value"] - row["reference"]) < 5 * row["error"]
        assert row["error"] < 0.15 * row["reference"]
    assert results["flow"] is None
    assert results["samplers"]["annealed"]["steps"] == 24
    assert results["samplers"]["mixed"]["sweeps"] == 1
    assert not (folder / "whole" / "model").exists()


def test_what_was_stopped_goes_on_with_the_same_bits(told: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = told
    for sampler in ("annealed", "mixed"):
        for whole in sorted((folder / "whole" / "ensembles" / sampler).glob("block-*.h5")):
            assert whole.read_bytes() == (folder / "half" / "ensembles" / sampler / whole.name).read_bytes()


def test_draws_are_made_again_from_the_ledger(told: tuple[Path, dict[str, Any]]) -> None:
    folder, found = told
    code, said = found["again"]
    whole = Ensemble.open(folder / "whole" / "ensembles" / "annealed", writable=False)
    ledger = Ensemble.open(folder / "ledger" / "ensembles" / "annealed", writable=False)
    assert set(ledger.read(0).arrays) == set(whole.read(0).arrays) - {"fields"}
    draws = [made["draw"] for made in said["configurations"]]
    assert (code, [made["level"] for made in said["configurations"]]) == (0, ["exact", "exact"])
    np.testing.assert_array_equal(np.load(folder / "configurations.npy"), whole.column("fields")[draws])
    assert {"work", "action", "log_weight"} <= set(said["configurations"][0])


def test_an_installation_changes_no_study_that_does_not_use_it(told: tuple[Path, dict[str, Any]]) -> None:
    folder, found = told
    plain = load_study(folder / "plain.toml")
    assert found["digest"] == plain.digest()
    assert found["text"] == plain.to_toml()
    assert (found["added"], found["reset"]) == ([], ["mixed.sweeps: 1 → 3"])


def test_the_rest_of_the_house_knows_the_methods(told: tuple[Path, dict[str, Any]]) -> None:
    _, found = told
    assert found["dry"]["plan"]["seconds"]["sample_annealed"] is None
    assert found["dry"]["study"]["annealed"] == {"steps": 24, "width": 0.3}
    assert "did you mean mixed.sweeps?" in found["refused"]["error"]["lines"][0]
    doctor = {name: value for name, value in found["doctor"].items() if name.startswith("plug-in")}
    assert doctor["plug-in annealed"] == "samples draws"
    assert doctor["plug-in mixed"] == "samples chains"
    broken, thief = (next(v for k, v in doctor.items() if word in k) for word in ("broken", "thief"))
    assert "ModuleNotFoundError" in broken
    assert "the name hmc is taken" in thief
    assert "annealed" not in METHODS
