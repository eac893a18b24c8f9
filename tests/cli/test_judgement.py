"""Checks and their exit codes: nothing that was not checked has passed."""

import json

import pytest

from latflow.cli.judgement import print_checks
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
