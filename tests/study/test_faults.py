"""Whole jobs killed at random and asked to stop: they go on without hands and end with the bits of a quiet run.

F2 and F8 of the fault catalogue. The small form kills one job twice; the nightly form kills it twenty times. Delays are
drawn from a fixed seed, but where in the job they fall depends on the machine: every one of them must be survived.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "latflow", "run"]

TIMED = {"metrics.jsonl", "train.jsonl", "results.json", "report.html"}

SECONDS = 1200.0
"""No job of this size may need longer, on the slowest machine."""


def start(study: Path, directory: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [*COMMAND, str(study), "--run-dir", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(study: Path, directory: Path) -> str:
    job = start(study, directory)
    out, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 0, err
    return out


def bits(directory: Path) -> dict[str, bytes]:
    """What is promised to be reproducible; figures and the report carry timings."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in TIMED and "figures" not in path.parts
        # headers of checkpoints tell seconds
        if not (path.suffix == ".json" and "checkpoints" in path.parts)
    }


@pytest.fixture(scope="module")
def quiet(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An undisturbed run and the seconds it took."""
    directory = tmp_path_factory.mktemp("quiet") / "run"
    begin = time.monotonic()
    finish(tiny_study, directory)
    return directory, time.monotonic() - begin


def killed_and_resumed(study: Path, directory: Path, delays: list[float]) -> None:
    for delay in delays:
        job = start(study, directory)
        try:
            job.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
        job.communicate()
    finish(study, directory)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.nightly)], ids=lambda kills: f"{kills} kills")
def test_killed_jobs_end_with_the_same_bits(
    tiny_study: Path, quiet: tuple[Path, float], tmp_path: Path, kills: int
) -> None:
    reference, seconds = quiet
    draw = random.Random(20)
    killed_and_resumed(tiny_study, tmp_path / "run", [draw.uniform(0.2, 0.9) * seconds for _ in range(kills)])
    assert bits(tmp_path / "run") == bits(reference)


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.nightly)])
def test_a_signal_saves_and_leaves_with_75(
    tiny_study: Path, quiet: tuple[Path, float], tmp_path: Path, name: str
) -> None:
    job = start(tiny_study, tmp_path / "run")
    # Well inside training and sampling: the first checkpoint or block is on its way.
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "run" / "study.toml").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    job.send_signal(getattr(signal, name))
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 75, err
    assert "error[INTERRUPTED]" in err
    finish(tiny_study, tmp_path / "run")
    assert bits(tmp_path / "run") == bits(quiet[0])
