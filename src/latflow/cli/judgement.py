"""Verdicts on a list of checks: printed one by one, failed together."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from latflow.cli.boundary import tell
from latflow.cli.output import emit, emit_json, table_lines, words
from latflow.errors import LatflowError

_TOLERANCE = " ± "


def judge(checks: Sequence[Any], failure: type[LatflowError], *, subject: str, machine: bool) -> int:
    """Print every verdict, and one line of error if any check failed.

    Args:
        checks: Dataclasses with ``name``, ``value``, ``limit`` and ``passed``.
        failure: Named refusal that a failed check amounts to.
        subject: What was checked.
        machine: Print one JSON document.

    Returns:
        The exit code.
    """
    failed = [check.name for check in checks if not check.passed]
    document: dict[str, Any] = {"passed": not failed, "checks": [dataclasses.asdict(check) for check in checks]}
    if not machine:
        emit("\n".join(_table(checks)))
    refusal = failure(subject, value=f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}")
    if failed:
        document["error"] = tell(refusal)
    if machine:
        emit_json(document)
    return refusal.exit_code if failed else 0


def _table(checks: Sequence[Any]) -> list[str]:
    rows = [["PASS" if c.passed else "FAIL", c.name, _value(c.value, c.limit), words(c.limit)] for c in checks]
    return table_lines([["", "check", "value", "limit"], *rows])


def _value(value: Any, limit: Any) -> str:
    """A number held against one with a tolerance shows the digits that decide."""
    return f"{value:.12g}" if type(value) is float and _TOLERANCE in str(limit) else words(value)
