"""Theories and observables of another installed package: the example package, found through its entry points.

The package is put on a path of its own with the metadata that an installer would write, and `latflow` runs in a process
of its own, which sees it like any installed one.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from latflow.report import write_report

EXAMPLE = Path(__file__).parents[1] / "example_package"

STUDY = """
name = "example"
[lattice]
shape = [4, 4]
[action]
kind = "example_sine_gordon"
mass_squared = 0.5
alpha = {alpha}
[flow]
kind = "real_nvp"
network = "convolutional"
kernel_size = 3
layers = 2
hidden = [4]
[training]
batch_size = 32
warmup_steps = 2
evaluation_draws = 256
[training.stop]
steps = 5
[sampling]
configurations = 1024
block_size = 512
samplers = ["flow", "hmc", "local"]
[hmc]
target_acceptance = 0.8
chains = 16
warmup = 50
[local]
chains = 16
warmup = 50
[measure]
observables = ["susceptibility", "phi_squared", "example_cos_phi"]
"""


def install(target: Path, project: Path = EXAMPLE) -> None:
    """What `pip install` leaves: the package, and its entry points beside it."""
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    name = described["name"].replace("-", "_")
    shutil.copytree(project / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    info = target / f"{name}-{described['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
    )
    lines = []
    for group, points in described["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def latflow(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).parents[2] / "src")
    found = os.pathsep.join(filter(None, (str(path), source, os.environ.get("PYTHONPATH", ""))))
    return subprocess.run(
        [sys.executable, "-m", "latflow", *arguments],
        env={**os.environ, "PYTHONPATH": found},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site")
    install(path)
    return path


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of the example theory at α = 0, where the free field is exact."""
    directory = tmp_path_factory.mktemp("runs")
    (directory / "study.toml").write_text(STUDY.format(alpha="0.0"))
    done = latflow(site, "run", str(directory / "study.toml"), "--run-dir", str(directory / "run"))
    assert done.returncode == 0, done.stderr
    return directory / "run"


def test_a_theory_of_another_package_runs_from_study_to_report(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    found = {(e["observable"], e["sampler"]): e for e in results["estimates"]}
    assert {name for name, _ in found} >= {"susceptibility", "phi_squared", "example_cos_phi"}
    assert not any(name == "binder_cumulant" for name, _ in found)
    chi = found["susceptibility", "hmc"]
    assert (chi["reference"], chi["reference_source"]) == (1.0, "exact")
    assert abs(chi["value"] - 1.0) < 5 * chi["error"]
    assert found["example_cos_phi", "local"]["reference"] is None
    report = (run / "report.html").read_text()
    assert "mean cosine of the example" in report
    assert "Pinned fields" in report
    assert "cos φ" in report


def test_the_run_records_the_package(run: Path) -> None:
    assert '"latflow-example": "0.3.0"' in (run / "results.json").read_text()


def test_a_run_reads_without_the_package(run: Path, tmp_path: Path) -> None:
    """The words stand in the results, so a report needs no theory; its study names one that is not there."""
    copy = shutil.copytree(run, tmp_path / "run")
    write_report(copy)
    assert "mean cosine of the example" in (copy / "report.html").read_text()
    refused = latflow(tmp_path, "verify", str(copy))
    assert refused.returncode == 78
    assert "example_sine_gordon" in refused.stderr


def test_doctor_lists_plugins(site: Path) -> None:
    text = latflow(site, "doctor").stdout
    assert "theory example_sine_gordon" in text
    assert "latflow-example 0.3.0" in text
    assert "observable example_cos_phi" in text


def test_broken_and_colliding_plugins_are_told_and_do_no_harm(tmp_path: Path) -> None:
    for name, entry in {"broken": "nothing_here.room", "twice": "latflow.theories.phi4"}.items():
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[latflow.theories]\n{name} = {entry}\n")
    text = latflow(tmp_path, "doctor").stdout
    assert "not usable: ModuleNotFoundError" in text
    assert "not usable: action.kind phi4, phi4_hopping is taken" in text
    assert latflow(tmp_path, "new", "phi4-quick").returncode == 0
