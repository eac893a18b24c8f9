"""F1 and F4: the process killed, and the disk full, before every mutating call of an append or a checkpoint save."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import faults
from latflow.errors import StorageError
from latflow.store.atomic import write_bytes
from latflow.store.ensemble import Ensemble

FAULTS = Path(faults.__file__)
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}


def run_sweep(*arguments: str) -> dict[str, int]:
    command = [sys.executable, str(FAULTS), "sweep", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_write_protocol_is_kept(tmp_path):
    calls = []
    with faults.watched(lambda number, name, arguments: calls.append((name, arguments))):
        write_bytes(tmp_path / "file", b"new")
    assert [name for name, _ in calls] == ["open", "write", "fsync", "replace", "fsync"]
    temporary = Path(calls[0][1][0])
    assert temporary.parent == tmp_path
    assert calls[3][1] == (temporary, tmp_path / "file")


@pytest.mark.parametrize("torn", ["plain", "torn"])
def test_killed_before_every_call_of_an_append(torn):
    counts = run_sweep("ensemble", torn, "once")
    assert counts["kills"] == counts["calls"] >= 5 * (1 + 2 * faults.N_BLOCKS)


def test_killed_before_every_call_of_a_checkpoint():
    counts = run_sweep("checkpoint", "torn", "once")
    assert counts["kills"] == counts["calls"] >= 10 * len(faults.STEPS)


@pytest.mark.nightly
@pytest.mark.parametrize("torn", ["plain", "torn"])
@pytest.mark.parametrize("job", ["ensemble", "checkpoint"])
def test_killed_again_before_every_call_of_the_recovery(job, torn):
    counts = run_sweep(job, torn, "twice")
    assert counts["kills"] > counts["calls"] ** 2


@pytest.mark.nightly
@pytest.mark.skipif(
    shutil.which("strace") is None,
    reason="no strace, which alone kills inside a system call; the sweeps above, never skipped, kill from Python",
)
@pytest.mark.parametrize("job", ["ensemble", "checkpoint"])
@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename", "mkdir", "unlink"])
def test_killed_by_the_kernel_before_every_system_call(job, call, memory_path):
    """The same without trusting Python: SIGKILL injected at the entry of the system call itself."""
    run, check = faults.JOBS[job]
    run(memory_path / "reference", lambda step: None)
    want = faults.contents(memory_path / "reference")

    def traced(name: str, *options: str) -> int:
        command = ["strace", "-f", "-qqq", "-o", str(memory_path / "log"), f"--trace={call}", *options, sys.executable]
        environment = {**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"}
        command += [str(FAULTS), "job", job, str(memory_path / name)]
        return subprocess.run(command, env=environment, check=False).returncode

    assert traced("whole") == 0
    lines = (memory_path / "log").read_text().splitlines()
    # Python's own start opens hundreds of files; the job begins where its directory is first named.
    first = next((i for i, line in enumerate(lines, 1) if "/whole" in line), 1) if call == "openat" else 1
    kills = 0
    for number in range(first, len(lines) + 1):
        name = str(number)
        status = traced(name, f"--inject={call}:signal=KILL:when={number}")
        if (memory_path / name).exists():
            check(memory_path / name, 0)
        run(memory_path / name, lambda step: None)
        assert faults.contents(memory_path / name) == want, f"killed at {call} {number}"
        if status == 0:
            break
        assert status in {-9, 137}
        kills += 1
    assert kills >= {"mkdir": 1, "unlink": 0 if job == "ensemble" else 2}.get(call, len(want))


@pytest.mark.parametrize("job", ["ensemble", "checkpoint"])
def test_the_disk_is_full_at_each_call(job, memory_path):
    """One clear refusal with path and space, nothing lost, and the same process can go on."""
    run, check = faults.JOBS[job]
    calls = faults.operations(run, memory_path / "reference")
    want = faults.contents(memory_path / "reference")
    for number in range(1, len(calls) + 1):
        directory, steps = memory_path / str(number), []

        def refuse(now: int, name: str, arguments: tuple, number: int = number) -> None:
            if now == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with faults.watched(refuse), pytest.raises(StorageError) as caught:
            run(directory, steps.append)
        assert caught.value.exit_code == 74
        assert str(directory) in str(caught.value)
        assert "No space left on device" in str(caught.value)
        assert "bytes needed" in str(caught.value)
        assert "bytes free" in str(caught.value)
        check(directory, len(steps))
        run(directory, lambda step: None)
        assert faults.contents(directory) == want


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        why = f"only root may mount a file system that fills up ({mounted.stderr.strip()})"
        pytest.skip(f"{why}; test_the_disk_is_full_at_each_call, never skipped, plants the same refusal at every call")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(
    shutil.which("mount") is None,
    reason="no mount, so no file system that fills up; test_the_disk_is_full_at_each_call plants its refusals",
)
def test_a_full_disk(small_disk):
    ensemble = Ensemble.create(small_disk / "ensemble", faults.MANIFEST)

    def fill() -> None:
        for _ in range(10):
            ensemble.append({"x": np.zeros(25_000)}, n=1, attributes={})

    with pytest.raises(StorageError, match=r"No space left on device .* bytes needed, [0-9]+ bytes free") as caught:
        fill()
    assert "block-0000" in str(caught.value)
    whole = ensemble.n_blocks
    assert 1 < whole < 10
    again = Ensemble.open(small_disk / "ensemble")
    assert again.n_blocks == whole
    assert again.verify() == []
    assert again.append({"x": np.zeros(10)}, n=1, attributes={}).index == whole
