"""Printing of checks with PASS or FAIL, and the exit code of them all."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from latflow.cli.boundary import tell
from latflow.cli.output import emit, emit_json, table_lines, words
from latflow.errors import LatflowError

_TOLERANCE = " ± "


def print_checks(
    checks: Sequence[Any],
    failure: type[LatflowError],
    *,
    subject: str,
    machine: bool,
    instead: LatflowError | None = None,
) -> int:
    """Print every check with PASS or FAIL, and one line of error if any failed.

    Args:
        checks: Dataclasses with ``name``, ``value``, ``limit`` and ``passed``, and perhaps ``state``, one word.
        failure: Exception whose code and exit code a failed check gives.
        subject: Name of what was checked.
        machine: Print one JSON document instead.
        instead: Error to tell if any failed, in place of one that counts them.

    Returns:
        The exit code; that of a failure where there was nothing to check, which is no pass.
    """
    failed = [check.name for check in checks if not check.passed]
    passed = bool(checks) and not failed
    document: dict[str, Any] = {"passed": passed, "checks": [dataclasses.asdict(check) for check in checks]}
    if not machine:
        emit("\n".join(_table(checks)))
    told = (
        f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}" if checks else "nothing could be checked"
    )
    refusal = instead or failure(subject, value=told)
    if not passed:
        document["error"] = tell(refusal)
    if machine:
        emit_json(document)
    return 0 if passed else refusal.exit_code


def _table(checks: Sequence[Any]) -> list[str]:
    rows = [[_state(c), c.name, _value(c.value, c.limit), words(c.limit)] for c in checks]
    return table_lines([["", "check", "value", "limit"], *rows])


def _state(check: Any) -> str:
    """The word of the check itself, if it has one, else PASS or FAIL."""
    return dataclasses.asdict(check).get("state") or ("PASS" if check.passed else "FAIL")


def _value(value: Any, limit: Any) -> str:
    """The value as text, with more digits if its limit has a tolerance."""
    return f"{value:.12g}" if type(value) is float and _TOLERANCE in str(limit) else words(value)
