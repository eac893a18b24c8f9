"""Whole jobs killed at random and asked to stop: they go on without hands and end with the bits of a quiet run.

F2 and F8 of the fault catalogue. The small form kills one job while it samples; the nightly form kills it twenty times.
Its delays are drawn from a fixed seed, but where in the job they fall depends on the machine: every one of them must be
survived.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import compilation
from latflow.store.ensemble import Ensemble

COMMAND = [sys.executable, "-m", "latflow", "run"]

TIMED = {"metrics.jsonl", "train.jsonl", "results.json", "report.html"}

SECONDS = 1200.0
"""No job of this size may need longer, on the slowest machine."""


def start(study: Path, directory: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": compilation.FLAGS}
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
def small_study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study with one sampler of each kind: draws of a flow, and chains."""
    path = tmp_path_factory.mktemp("faults") / "small.toml"
    path.write_text(tiny_study.read_text().replace('["flow", "hmc", "local", "cluster"]', '["flow", "local"]'))
    return path


@pytest.fixture(scope="module")
def quiet(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    directory = tmp_path_factory.mktemp("quiet") / "run"
    finish(small_study, directory)
    return directory


def wait_for(directory: Path, pattern: str) -> None:
    """Until a job has made such a file."""
    deadline = time.monotonic() + SECONDS
    while not any(directory.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_job_killed_while_it_samples_ends_with_the_same_bits(small_study: Path, quiet: Path, tmp_path: Path) -> None:
    job = start(small_study, tmp_path / "run")
    wait_for(tmp_path / "run", "ensembles/*/*")
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert job.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "results.json").exists()
    finish(small_study, tmp_path / "run")
    assert bits(tmp_path / "run") == bits(quiet)


@pytest.mark.nightly
def test_killed_jobs_end_with_the_same_bits(small_study: Path, quiet: Path, tmp_path: Path) -> None:
    begin = time.monotonic()
    finish(small_study, tmp_path / "again")
    seconds = time.monotonic() - begin  # of a job whose programs had been compiled, as those of killed ones
    draw, killed = random.Random(20), 0
    for _ in range(20):
        job = start(small_study, tmp_path / "run")
        try:
            job.wait(timeout=draw.uniform(0.2, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
        job.communicate()
        killed += job.returncode == -signal.SIGKILL
    finish(small_study, tmp_path / "run")
    assert killed > 0
    assert bits(tmp_path / "run") == bits(tmp_path / "again") == bits(quiet)


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.nightly)])
def test_a_signal_saves_and_leaves_with_75(small_study: Path, quiet: Path, tmp_path: Path, name: str) -> None:
    job = start(small_study, tmp_path / "run")
    wait_for(tmp_path / "run", "study.toml")
    time.sleep(0.2)  # well inside training: the first checkpoint is on its way
    job.send_signal(getattr(signal, name))
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 75, err
    assert "error[INTERRUPTED]" in err
    finish(small_study, tmp_path / "run")
    assert bits(tmp_path / "run") == bits(quiet)


ONE_SAMPLER = """
name = "slow"
[lattice]
shape = [2, 2]
[action]
kind = "phi4"
mass_squared = -4.0
coupling = 8.0
[sampling]
configurations = 384
samplers = ["local"]
block_size = 128
[local]
chains = 4
warmup = 10
"""

ENDLESS = """
import hashlib, sys
import latflow.study.stages.chains as chains
from latflow.cli import main
from latflow.store import interrupts
interrupts.GRACE_SECONDS = 1.0
real = chains.one_block
def one_block(context, *arguments, first, n):
    if first:  # one long call outside Python, like a program that compiles
        context.path("endless").touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    return real(context, *arguments, first=first, n=n)
chains.one_block = one_block
sys.exit(main())
"""


def test_a_block_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """What was saved before stays, the directory is free, and the reason is told."""
    study, directory = tmp_path / "slow.toml", tmp_path / "run"
    study.write_text(ONE_SAMPLER)
    command = [sys.executable, "-c", ENDLESS, "run", str(study), "--run-dir", str(directory)]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + SECONDS
    while not (directory / "endless").exists() and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 75, err
    assert err.splitlines()[-1].startswith("error[INTERRUPTED] stopped by SIGTERM: the current step had not ended")
    assert out == ""
    assert not (directory / "run.lock").exists()
    assert Ensemble.open(directory / "ensembles" / "local", writable=False).n_blocks == 1
