"""A package of someone else's: a theory, an observable, three methods and a flow go from study files to reports.

The example package is installed for one other process, beside packages that are broken or take names of others. No line
of latflow knows it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from installation import announce, answer, install
from latflow.actions import exact
from latflow.cli import main
from latflow.lattice import Lattice
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.config.methods import METHODS

FREE = """
name = "example"
[lattice]
shape = [2, 4]
[action]
kind = "example_sine_gordon"
mass_squared = 0.5
alpha = 0.0
[flow]
kind = "example_affine"
scale = 0.5
[training]
batch_size = 32
learning_rate = 0.05
warmup_steps = 2
evaluation_draws = 256
[training.stop]
steps = 20
[sampling]
configurations = 1024
block_size = 512
samplers = ["flow", "mixed"]
[mixed]
chains = 16
warmup = 50
[measure]
observables = ["susceptibility", "phi_squared", "example_cos_phi"]
"""
"""The theory, the flow, the kernel and the observable; at α = 0 the free field, which is exact."""

TOYS = """
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
[measure]
observables = ["phi_squared", "example_cos_phi"]
"""
"""Both methods and the observable, on a theory of latflow's own."""

NORMALS = """
name = "normals"
[lattice]
shape = [4, 4]
[action]
kind = "example_sine_gordon"
mass_squared = 2.0
alpha = 0.0
[sampling]
configurations = 2048
block_size = 2048
samplers = ["normals"]
[measure]
observables = ["phi_squared"]
"""
"""The method of the guide as it stands there."""

PLAIN = TOYS.partition("[annealed]")[0].replace('"annealed", "mixed"', '"hmc"')

PROGRAM = """
import dataclasses
from pathlib import Path
from latflow.study.config import load_study
from latflow.study.stages.claims import differing_keys

def run(verb, study, directory, *more):
    return told(verb, study, "--run-dir", directory, *more)[0]

plain = load_study(Path("plain.toml"))
found = {
    "digest": plain.digest(),
    "text": plain.to_toml(),
    "kinds": [load_study(Path(name)).action.kind for name in ("free.toml", "toys.toml")],
    "new": told("new", "phi4-quick")[0],
    "added": differing_keys(plain, load_study(Path("plain.toml"), {"sampling.samplers": "hmc mixed"})),
    "reset": differing_keys(plain, load_study(Path("plain.toml"), {"mixed.sweeps": "3"})),
    "misspelt": told("run", "toys.toml", "--mixed.sweep", "2", "--dry-run"),
    "unknown": told("run", "toys.toml", "--measure.observables", "example_cos_phy", "--dry-run"),
    "light": "jax" not in sys.modules,
    "dry": told("run", "toys.toml", "--dry-run")[1],
    "free": run("run", "free.toml", "free"),
    "whole": run("sample", "toys.toml", "whole") + run("measure", "toys.toml", "whole"),
    "normals": run("sample", "normals.toml", "normals") + run("measure", "normals.toml", "normals"),
    "half": run("sample", "toys.toml", "half", "--configurations", "512"),
    "more": run("sample", "half", "half", "--configurations", "2048"),
    "ledger": run("sample", "toys.toml", "ledger", "--samplers", "annealed", "--ledger-only"),
    "verify": {name: told("verify", name) for name in ("free", "whole", "ledger")},
    "again": told("regenerate", "ledger", "--index", "7", "2000"),
    "doctor": told("doctor")[1],
    "broken": told("run", "toys.toml", "--measure.observables", "broken", "--samplers", "mixed", "--run-dir", "b"),
}
builders = sys.modules["latflow_example.builders"]
build = builders.annealed
builders.annealed = lambda config: dataclasses.replace(build(config), width=0.31)
found["wider"] = told("verify", "whole")
json.dump(found, sys.stdout)
"""

BROKEN = {
    "latflow.theories": {"broken": "nothing_here.room", "twice": "latflow.theories.phi4"},
    "latflow.observables": {"broken": "nothing_here:observable", "cos_phi": "latflow.observables.cosine:mean_cosine"},
    "latflow.methods": {"broken": "nothing_here:METHOD", "thief": "thief:METHOD"},
    "latflow.flows": {"broken": "nothing_here:Table", "twice": "latflow.flows.tables:RealNVPTable"},
}

THIEF = """
import dataclasses
from latflow_example.methods import MIXED
METHOD = dataclasses.replace(MIXED, name="hmc")
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The directory of the runs, and what the commands said."""
    site = install(tmp_path_factory.mktemp("site"))
    (site / "thief.py").write_text(THIEF)
    announce(site, "broken", "1", BROKEN)
    folder = tmp_path_factory.mktemp("runs")
    for name, text in {"free": FREE, "toys": TOYS, "plain": PLAIN, "normals": NORMALS}.items():
        (folder / f"{name}.toml").write_text(text)
    return folder, answer(PROGRAM, site, folder=folder)


@pytest.fixture(scope="module")
def free(told: tuple[Path, dict[str, Any]]) -> Path:
    """The run of the example theory."""
    return told[0] / "free"


def estimates(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """By observable and sampler."""
    rows = json.loads((run / "results.json").read_text())["estimates"]
    return {(row["observable"], row["sampler"]): row for row in rows}


def test_every_command_ends_well(told: tuple[Path, dict[str, Any]]) -> None:
    _, found = told
    assert [found[name] for name in ("new", "free", "whole", "normals", "half", "more", "ledger")] == [0] * 7
    for name, (code, said) in found["verify"].items():
        assert code == 0, (name, said)
    names = " ".join(check["name"] for check in found["verify"]["whole"][1]["checks"])
    for wanted in ("annealed: last block made again", "annealed: accept/reject", "mixed: first block made again"):
        assert wanted in names


def test_a_theory_goes_from_study_to_report(free: Path) -> None:
    found = estimates(free)
    assert {name for name, _ in found} >= {"susceptibility", "phi_squared", "example_cos_phi"}
    assert not any(name == "binder_cumulant" for name, _ in found)
    chi = found["susceptibility", "mixed"]
    assert (chi["reference"], chi["reference_source"]) == (1.0, "exact")
    assert abs(chi["value"] - 1.0) < 5 * chi["error"]
    assert found["example_cos_phi", "mixed"]["reference"] is None
    report = (free / "report.html").read_text()
    assert "mean cosine of the example" in report
    assert "Pinned fields" in report
    assert "cos φ" in report


def test_a_flow_is_trained_and_exact(free: Path) -> None:
    found = estimates(free)
    log_z = found["log_z", "reweighted"]
    assert log_z["reference"] == exact.free_log_z(Lattice((2, 4)), mass_squared=0.5)
    assert abs(log_z["value"] - log_z["reference"]) < 5 * log_z["error"]
    assert log_z["error"] < 0.2
    assert (
        json.loads((free / "model" / "model.json").read_text())["header"]["identity"]["flow"]["kind"]
        == "example_affine"
    )


def test_an_observable_serves_a_theory_that_does_not_know_it(told: tuple[Path, dict[str, Any]]) -> None:
    folder, found = told
    assert found["kinds"] == ["example_sine_gordon", "phi4"]
    rows = estimates(folder / "whole")
    assert {name for name, _ in rows} == {"phi_squared", "example_cos_phi", "log_z", "free_energy_density"}
    one, other = (rows["example_cos_phi", sampler] for sampler in ("annealed", "mixed"))
    assert abs(one["value"] - other["value"]) < 5 * np.hypot(one["error"], other["error"])
    assert one["error"] < 0.1


def test_an_unknown_observable_is_refused_before_jax_is_imported(told: tuple[Path, dict[str, Any]]) -> None:
    code, said = told[1]["unknown"]
    assert (code, told[1]["light"]) == (78, True)
    (line,) = said["error"]["lines"]
    assert "measure.observables: 'example_cos_phy'" in line
    assert "example_cos_phi" in line


def test_the_run_records_the_package(free: Path) -> None:
    assert json.loads((free / "results.json").read_text())["provenance"]["versions"]["latflow-example"] == "0.3.0"


def test_a_run_reads_without_the_package(free: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words stand in the results, so a report needs no theory; its study names one that is not there."""
    copy = shutil.copytree(free, tmp_path / "run")
    (copy / "report.html").unlink()
    assert main(["report", str(copy)]) == 0
    missing = "not installed: theory 'example_sine_gordon', flow 'example_affine', sampler 'mixed'; "
    missing += "the run was made with broken 1, latflow-example 0.3.0"
    assert missing in capsys.readouterr().out
    assert "mean cosine of the example" in (copy / "report.html").read_text()
    assert main(["verify", str(copy)]) == 78
    said = capsys.readouterr()
    assert f"error[CONFIG] {copy}: {missing}" in said.err
    for name in ("model: hash", "ensembles/mixed: 2 blocks, hashes and ledger", "results.json: inputs unchanged"):
        assert f"PASS  {name}" in said.out
    for command in (["measure", str(copy)], ["regenerate", str(copy / "ensembles" / "flow"), "--index", "0"]):
        out = ["--out", str(tmp_path / "fields.npy")] if "regenerate" in command else []
        assert main([*command, *out]) == 78
        assert capsys.readouterr().err.startswith(f"error[CONFIG] {copy}: {missing}")


@pytest.mark.parametrize(
    ("file", "failed"),
    [
        ("model/weights.safetensors", "model: hash"),
        ("ensembles/flow/block-000001.h5", "ensembles/flow: 2 blocks, hashes and ledger"),
        ("ensembles/mixed-start.h5", "ensembles/mixed-start.h5: file"),
        ("model/train.jsonl", "results.json: inputs unchanged"),
        ("results.json", "results.json: checksum"),
    ],
)
def test_damage_is_found_without_the_package(
    file: str, failed: str, free: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(free, tmp_path / "run")
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    assert main(["verify", str(copy)]) == 65
    assert f"FAIL  {failed}" in capsys.readouterr().out


def test_draws_of_a_method_that_is_gone_are_reported(
    told: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Draws and their reweighted averages are still known for the same draws, so that no pull stands between them."""
    copy = shutil.copytree(told[0] / "whole", tmp_path / "run")
    assert main(["report", str(copy)]) == 0
    assert "not installed: sampler 'annealed', sampler 'mixed', observable 'example_cos_phi'" in capsys.readouterr().out
    report = (copy / "report.html").read_text()
    assert "annealed − mixed" in report
    assert "annealed − annealed_reweighted" not in report


def test_draws_of_another_sampler_are_noticed(told: tuple[Path, dict[str, Any]]) -> None:
    code, said = told[1]["wider"]
    assert code != 0
    assert [c["name"] for c in said["checks"] if not c["passed"]] == ["ensembles/annealed: last block made again"]


def test_results_of_methods_are_those_of_the_theory(told: tuple[Path, dict[str, Any]]) -> None:
    """Estimates of both, reweighted ones too, within five errors of the exact values; no model was trained."""
    folder, _ = told
    results = json.loads((folder / "whole" / "results.json").read_text())
    rows = estimates(folder / "whole")
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


def test_the_method_of_the_guide_serves_the_theory_of_the_guide(told: tuple[Path, dict[str, Any]]) -> None:
    run = told[0] / "normals"
    rows = estimates(run)
    known = exact.free_log_z(Lattice((4, 4)), mass_squared=2.0)
    for name, reference in (("log_z", known), ("phi_squared", rows["phi_squared", "normals_reweighted"]["reference"])):
        row = rows[name, "normals_reweighted"]
        assert abs(row["value"] - reference) < 5 * row["error"], name
    assert json.loads((run / "results.json").read_text())["samplers"]["normals"]["acceptance"] > 0.25


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
    assert "did you mean mixed.sweeps?" in found["misspelt"][1]["error"]["lines"][0]
    assert "annealed" not in METHODS


def test_doctor_lists_every_plug_in_with_its_package(told: tuple[Path, dict[str, Any]]) -> None:
    doctor = told[1]["doctor"]
    for name in ("theory example_sine_gordon", "observable example_cos_phi", "flow example_affine"):
        assert doctor[name] == "latflow-example 0.3.0"
    assert doctor["sampler annealed"] == doctor["sampler mixed"] == doctor["sampler normals"] == "latflow-example 0.3.0"


def test_broken_and_colliding_plug_ins_are_told_and_do_no_harm(told: tuple[Path, dict[str, Any]]) -> None:
    doctor = told[1]["doctor"]
    for what in ("theory", "observable", "sampler", "flow"):
        (said,) = (value for name, value in doctor.items() if name.startswith(f"{what} broken = nothing_here"))
        assert said.startswith("broken 1, not usable: ModuleNotFoundError"), what
    taken = {
        "theory twice = latflow.theories.phi4": "action.kind phi4, phi4_hopping is taken",
        "observable cos_phi = latflow.observables.cosine:mean_cosine": "the observable cos_phi is taken",
        "sampler thief = thief:METHOD": "the name hmc is taken",
        "flow twice = latflow.flows.tables:RealNVPTable": "flow.kind real_nvp is taken",
    }
    assert {name: doctor[name] for name in taken} == {k: f"broken 1, not usable: {v}" for k, v in taken.items()}
    code, said = told[1]["broken"]
    assert code == 78
    assert "'broken'; its package cannot be imported" in said["error"]["lines"][0]
