"""Bits follow the study and its seed, not the number of cores and not what the environment says to JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from latflow import ambient

# Convolutions and eight chains of 16×16 are what was seen to depend on the size of the pool.
STUDY = """
name = "tiny"
seed = 3
[lattice]
shape = [16, 16]
[action]
kind = "phi4"
mass_squared = -1.0
coupling = 5.0
[flow]
kind = "real_nvp"
network = "convolutional"
layers = 2
hidden = [8]
[training]
batch_size = 64
warmup_steps = 0
evaluate_every = 3
evaluation_draws = 64
stop = { steps = 3 }
[sampling]
samplers = ["flow", "hmc"]
configurations = 256
block_size = 128
[hmc]
chains = 8
n_steps = 2
warmup = 20
"""

PROGRAM = """
import hashlib, json, pathlib
from latflow.ambient import threads
from latflow.cli import main
for command in ("sample", "measure"):
    assert main([command, "study.toml", "--run-dir", "run"]) == 0
found = [*pathlib.Path("run").rglob("block-*.h5"), pathlib.Path("run/model/weights.safetensors")]
rows = [[row["observable"], row["sampler"], row["value"], row["error"]]
        for row in json.loads(pathlib.Path("run/results.json").read_text())["estimates"]]
print(json.dumps([threads(), {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(found)}, rows]))
"""

HOSTILE = {
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_DEFAULT_MATMUL_PRECISION": "BF16_BF16_F32",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DISABLE_JIT": "1",
    "JAX_DEBUG_NANS": "1",
    "PYTHONHASHSEED": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "tr_TR.UTF-8",
}
"""What a user, a batch system or a shell may have set; locale and time zone are among it."""


def made(folder: Path, *, cores: int, environment: dict[str, str]) -> list:
    """What the program prints on so many cores; on all, where the system gives a process no cores of its own."""
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    pin = ""
    if hasattr(os, "sched_setaffinity"):
        pin = f"import os; os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[:cores]})\n"
    clean = {name: value for name, value in os.environ.items() if name != "NPROC" and not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", pin + PROGRAM],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_neither_cores_nor_the_environment_change_a_bit(tmp_path: Path) -> None:
    here = made(tmp_path / "here", cores=64, environment={})
    there = made(tmp_path / "there", cores=1, environment=HOSTILE)
    assert here[0] == ambient.THREADS
    assert len(here[1]) == 9  # the weights, two blocks of each ensemble and of its measurement
    assert there == here


def test_a_choice_of_the_user_stands_and_is_seen() -> None:
    program = "from latflow.cli.device import prepare_jax\nfrom latflow.ambient import threads, chosen\nprepare_jax()\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "print(threads(), chosen())"],
        env=os.environ | {"NPROC": "3", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split(maxsplit=1)[0] == "3"
    assert "'XLA_FLAGS': '--xla_cpu_max_isa=AVX2'" in done.stdout


def test_what_is_fixed_or_harmless_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("JAX_", "XLA_"))]:
        monkeypatch.delenv(name)
    given = {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu", "JAX_SCAN3": "1", "JAX_THREEFRY_PARTITIONABLE": "0"}
    given |= {"JAX_COMPILATION_CACHE_DIR": "/tmp/programs", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert ambient.chosen() == {"JAX_SCAN3": "1"}


def test_threads_where_the_system_does_not_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ambient, "_named_threads", lambda: 0)
    monkeypatch.setenv("NPROC", "5")
    assert ambient.threads() == 5
    monkeypatch.delenv("NPROC")
    assert ambient.threads() == ambient.cores()


def test_the_settings_are_those_that_jax_has() -> None:
    """A setting that JAX renames would no longer be fixed."""
    assert set(ambient.SETTINGS) - set(jax.config.values) <= {"jax_default_dtype_bits"}
