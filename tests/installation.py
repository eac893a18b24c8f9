"""Packages on a path of their own, with the metadata that an installer writes, and processes that see them.

Entry points are read when latflow is imported, so what an installation adds is seen by another process only.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import compilation

ROOT = Path(__file__).parents[1]
EXAMPLE = Path(__file__).parent / "example_package"


def install(target: Path, project: Path = EXAMPLE) -> Path:
    """What `pip install` leaves: the package, and its entry points beside it."""
    described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = described["name"].replace("-", "_")
    shutil.copytree(project / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return announce(target, described["name"], described["version"], described["entry-points"])


def announce(target: Path, name: str, version: str, points: Mapping[str, Mapping[str, str]]) -> Path:
    """The metadata of an installed package with entry points, by group and name."""
    info = target / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [line for group in points for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points[group].items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return target


TOLD = """
import contextlib, io, json, sys
from latflow.cli import main

def told(*line):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*line, "--json"])
    return code, json.loads(out.getvalue())

"""
"""In a process: exit code and answer of a command."""


def answer(program: str, *paths: Path, folder: Path) -> dict[str, Any]:
    """What another process writes, as JSON, which has `told`, imports from these paths first and works in a folder.

    Its programs run for a moment only, so they are compiled without optimisation.
    """
    path = os.pathsep.join([*map(str, paths), *filter(None, sys.path)])
    finished = subprocess.run(
        [sys.executable, "-c", TOLD + program],
        env={**os.environ, "PYTHONPATH": path, "XLA_FLAGS": compilation.FLAGS},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=folder,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
