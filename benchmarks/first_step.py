"""Seconds from `latflow train` to the end of the first training step, with an empty and a filled compilation cache.

Every row is a process of its own. Start of the program, start of the flow, both evaluations (before and after the
step) and all compilation are counted; the process is stopped when the step is evaluated. The cache is that of JAX, in a
directory of its own, filled by the first run of the same study. CPU seconds are those of all cores together, so other
work beside it matters less for them. The goals of 40 s and 10 s are for wall seconds on a quiet machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from latflow.study.config.presets import Preset, presets

STUDIES = ("phi4-e1", "u1-flow", "su2-flow", "su3-flow", "su3-4d-flow")
QUICK = ("phi4-quick",)
GOALS = {"empty": 40, "filled": 10}
ONE_STEP = {"stop.steps": 1, "warmup_steps": 0, "evaluate_every": 1, "evaluation_draws": 64}
DONE = "train: 1/1;"


def measured(study: Preset, folder: Path, name: str) -> tuple[float, float]:
    """CPU and wall seconds of a process until it says that one step is done."""
    path = folder / f"{study.name}.toml"
    path.write_text(study.text, encoding="utf-8")
    settings = [part for key, value in ONE_STEP.items() for part in (f"--training.{key}", str(value))]
    command = [sys.executable, "-m", "latflow", "train", str(path), "--run-dir", str(folder / name), *settings]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    begun, said = time.perf_counter(), []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | cache) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith(DONE):
                found = spent(process.pid), time.perf_counter() - begun
                process.terminate()
                return found
    sys.exit(f"{study.name}: no first step\n{''.join(said)}")


def spent(pid: int) -> float:
    """CPU seconds of a process that runs, of which Linux tells."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK[0]} only")
    parser.add_argument("studies", nargs="*", help=f"names of studies; by default {', '.join(STUDIES)}")
    given = parser.parse_args()
    names = QUICK if given.quick else given.studies or STUDIES
    print(f"{'study':16s}{'cache':>8s}{'CPU seconds':>13s}{'wall seconds':>14s}{'goal':>6s}")
    for study in (entry for entry in presets() if entry.name in names):
        with tempfile.TemporaryDirectory() as folder:
            for cache, goal in GOALS.items():
                cpu, wall = measured(study, Path(folder), cache)
                print(f"{study.name:16s}{cache:>8s}{cpu:13.1f}{wall:14.1f}{goal:6d}", flush=True)


if __name__ == "__main__":
    main()
