"""Every wrong input gives one clear line, the documented code, and touches nothing: the table is `bad_inputs.py`."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from cli.bad_inputs import CASES, Case

CODES = {64: "USAGE", 65: "DATA", 66: "MISSING", 69: "UNAVAILABLE", 73: "EXISTS", 74: "IO", 78: "CONFIG"}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict]:
    """What happened in each case, all played in one fresh process."""
    program = Path(__file__).with_name("bad_inputs.py")
    finished = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=900, check=True)
    return dict(zip([case.name for case in CASES], json.loads(finished.stdout), strict=True))


def test_enough_cases_with_distinct_names() -> None:
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, outcomes: dict[str, dict]) -> None:
    outcome = outcomes[case.name]
    lines = outcome["err"].splitlines()
    assert outcome["exit_code"] == case.exit_code, outcome["err"]
    assert len(lines) == case.lines, outcome["err"]
    assert all(line.startswith(f"error[{CODES[case.exit_code]}] ") for line in lines), outcome["err"]
    assert all(len(line) < 400 for line in lines)
    for words in case.says:
        assert words in outcome["err"]
    assert "Traceback" not in outcome["err"]
    assert outcome["untouched"]
    assert outcome["slow_imports"] == []


def test_within_a_second(outcomes: dict[str, dict]) -> None:
    # The median, so that a busy machine does not decide; the goal for each is one second.
    assert statistics.median(outcome["seconds"] for outcome in outcomes.values()) < 0.5


def test_standard_output_is_empty_or_json(outcomes: dict[str, dict]) -> None:
    for case in CASES:
        out = outcomes[case.name]["out"]
        if "--json" in case.argv:
            error = json.loads(out)["error"]
            assert error["exit_code"] == case.exit_code
            assert "\n".join(error["lines"]) == outcomes[case.name]["err"].rstrip("\n")
        else:
            assert out == ""
