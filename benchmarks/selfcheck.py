"""CPU seconds of `latflow selfcheck` for every shipped study, with the start of the program and all compilation.

Every study is a process of its own, one after another. CPU seconds are those of all cores together, so other work
beside it matters little; the goal is 60 for every study.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from latflow.study.config.presets import Preset, presets

GOAL = 60.0
QUICK = "phi4-quick"


def measured(study: Preset) -> tuple[float, dict]:
    """CPU seconds of the checks of a study, and what they found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{study.name}.toml")
        path.write_text(study.text, encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "latflow", "selfcheck", str(path), "--json"]
        out = subprocess.run(command, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(out.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} only")
    parser.add_argument("studies", nargs="*", help="names of studies; by default all")
    given = parser.parse_args()
    names = [QUICK] if given.quick else given.studies
    studies = [entry for entry in presets() if entry.command == "run" and (entry.name in names or not names)]
    print(f"{'study':24s}{'laws':>6s}{'failed':>8s}{'CPU seconds':>13s}")
    slowest = 0.0
    for study in studies:
        seconds, found = measured(study)
        failed = sum(not check["passed"] for check in found["checks"])
        print(f"{study.name:24s}{len(found['checks']):6d}{failed:8d}{seconds:13.1f}", flush=True)
        slowest = max(slowest, seconds)
    print(f"most {slowest:.1f}; goal {GOAL:.0f}")


if __name__ == "__main__":
    main()
