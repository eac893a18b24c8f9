"""The doctor tells what it sees and survives what is broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from latflow import doctor


def test_findings(tmp_path: Path) -> None:
    found = doctor.examine(tmp_path)
    assert found["precision"] == "float64"
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0
    assert found["disk_free_gib"] >= 0
    assert all(found[package] != "absent" for package in doctor.PACKAGES)
    assert {f"tool {tool}" for tool in doctor.TOOLS} <= set(found)


def test_the_smaller_of_machine_and_control_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_machine_memory", lambda: 8 * 2**30)
    for limit, expected in ((2 * 2**30, 2.0), (None, 8.0)):
        monkeypatch.setattr(doctor, "_group_memory", lambda limit=limit: limit)
        assert doctor.examine(tmp_path)["memory_gib"] == expected


def test_what_is_absent_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(doctor, "TOOLS", {"no-such-tool": "nothing"})
    found = doctor.examine(tmp_path)
    assert found["no-such-package"] == "absent"
    assert found["tool no-such-tool"] == "absent; serves nothing"


def test_a_device_that_does_not_answer() -> None:
    program = "from pathlib import Path\nfrom latflow.doctor import examine\nprint(examine(Path())['problem'])"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "abacus"},
    )
    assert "abacus" in finished.stdout
