"""Printing of checks with PASS or FAIL, and the exit code of them all."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from latflow.cli.boundary import tell
from latflow.cli.output import emit, emit_json, table_lines, words
from latflow.errors import LatflowError

_TOLERANCE = " ± "
_HEAD = ["", "check", "value", "limit"]
_WIDTHS = (4, 42, 9, 0)


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
    if not machine:
        emit("\n".join(_table(checks)))
    return _concluded(checks, lambda told: instead or failure(subject, value=told), machine=machine)


def print_as_found(checks: Iterable[Any], failure: type[LatflowError], *, subject: str, machine: bool) -> int:
    """As `print_checks`, but every line as soon as its check is done, for checks that take their time."""
    found: list[Any] = []
    for check in checks:
        if not machine:
            emit("\n".join(([] if found else [_line(_HEAD)]) + [_line(_row(check))]))
        found.append(check)
    return _concluded(found, lambda told: failure(subject, value=told), machine=machine)


def _concluded(checks: Sequence[Any], refused: Callable[[str], LatflowError], *, machine: bool) -> int:
    """Tell how many failed, print the document for a machine; the exit code."""
    failed = [check.name for check in checks if not check.passed]
    passed = bool(checks) and not failed
    document: dict[str, Any] = {"passed": passed, "checks": [dataclasses.asdict(check) for check in checks]}
    told = (
        f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}" if checks else "nothing could be checked"
    )
    refusal = refused(told)
    if not passed:
        document["error"] = tell(refusal)
    if machine:
        emit_json(document)
    return 0 if passed else refusal.exit_code


def _table(checks: Sequence[Any]) -> list[str]:
    return table_lines([_HEAD, *(_row(check) for check in checks)])


def _row(check: Any) -> list[str]:
    return [_state(check), check.name, _value(check.value, check.limit), words(check.limit)]


def _line(row: list[str]) -> str:
    """A row as a line, whose columns are as wide as any name of a law."""
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, _WIDTHS, strict=True)).rstrip()


def _state(check: Any) -> str:
    """The word of the check itself, if it has one, else PASS or FAIL."""
    return dataclasses.asdict(check).get("state") or ("PASS" if check.passed else "FAIL")


def _value(value: Any, limit: Any) -> str:
    """The value as text, with more digits if its limit has a tolerance."""
    return f"{value:.12g}" if type(value) is float and _TOLERANCE in str(limit) else words(value)
