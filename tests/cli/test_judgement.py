"""Checks and their exit codes: nothing that was not checked has passed."""

import json
from collections.abc import Iterator

import pytest

from latflow.cli.judgement import print_as_found, print_checks
from latflow.errors import DataError
from latflow.stats.evidence import Check


def test_nothing_to_check_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_checks([], DataError, subject="x", machine=True) == DataError.exit_code
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert "nothing could be checked" in str(document["error"])


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, DataError.exit_code)])
def test_the_exit_code_is_that_of_a_failure(passed: bool, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_checks([Check("a", 1.0, None, "≤ 1", passed)], DataError, subject="x", machine=False) == code
    assert ("PASS" if passed else "FAIL") in capsys.readouterr().out


@pytest.mark.parametrize("machine", [False, True])
def test_lines_come_as_they_are_found(machine: bool, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def found() -> Iterator[Check]:
        yield Check("the first law", 1e-13, None, "≤ 1e-12", passed=True)
        seen.append(capsys.readouterr().out)  # before the second one is worked out
        yield Check("the second", 2.0, None, "≤ 1", passed=False)

    assert print_as_found(found(), DataError, subject="x", machine=machine) == DataError.exit_code
    out, err = capsys.readouterr()
    assert err == "error[DATA] x: 1 of 2 checks failed: the second\n"
    if machine:
        assert seen == [""]
        assert [check["name"] for check in json.loads(out)["checks"]] == ["the first law", "the second"]
    else:
        assert [line.split()[0] for line in seen[0].splitlines()] == ["check", "PASS"]
        assert [line.split()[0] for line in out.splitlines()] == ["FAIL"]
