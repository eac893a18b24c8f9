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
        checks: Dataclasses with ``name``, ``value``, ``limit`` and ``passed``.
        failure: Exception whose code and exit code a failed check gives.
        subject: Name of what was checked.
        machine: Print one JSON document instead.
        instead: Error to tell if any failed, in place of one that counts them.

    Returns:
        The exit code.
    """
    failed = [check.name for check in checks if not check.passed]
    document: dict[str, Any] = {"passed": not failed, "checks": [dataclasses.asdict(check) for check in checks]}
    if not machine:
        emit("\n".join(_table(checks)))
    refusal = instead or failure(subject, value=f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}")
    if failed:
        document["error"] = tell(refusal)
    if machine:
        emit_json(document)
    return refusal.exit_code if failed else 0


def _table(checks: Sequence[Any]) -> list[str]:
    rows = [["PASS" if c.passed else "FAIL", c.name, _value(c.value, c.limit), words(c.limit)] for c in checks]
    return table_lines([["", "check", "value", "limit"], *rows])


def _value(value: Any, limit: Any) -> str:
    """The value as text, with more digits if its limit has a tolerance."""
    return f"{value:.12g}" if type(value) is float and _TOLERANCE in str(limit) else words(value)
