"""The verdict on exactness as the report and the terminal show it: its word, its reasons, the checks behind it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from latflow.report.numbers import ABSENT, compact, measured
from latflow.stats.evidence import Check, Verdict

SUSPICIOUS = 3.0
"""A pull beyond this many combined standard deviations is marked."""

DOUBTFUL = "pass, but !"
"""Outcome of a check that is allowed, whose difference is beyond `SUSPICIOUS`."""

_NEGATIVE = re.compile(r"(?<=[\s(=e])-(?=\d)")
"""The hyphen before a number, or before the digits of its exponent."""


class CheckCells(NamedTuple):
    """One check behind a verdict, formatted; outcome `pass`, `DOUBTFUL`, `FAIL`, `uninformative`, or a dash."""

    name: str
    value: str
    limit: str
    outcome: str


@dataclass(frozen=True)
class VerdictBox:
    """The verdict on exactness as the page shows it.

    Attributes:
        status: Its word, with the weight that is lost where one is.
        tone: `good`, `bad` or `open`: only `exact` is good.
        reasons: Sentences in support, with true minus signs.
        evidence: The checks behind it.
    """

    status: str
    tone: str
    reasons: list[str]
    evidence: list[CheckCells]


def verdict_box(verdict: Verdict) -> VerdictBox:
    """A verdict in the words and digits of the page."""
    status = verdict.status
    tone = "good" if status == "exact" else "open" if status.startswith(("no verdict", "unresolved")) else "bad"
    if verdict.lost_weight is not None:
        status += f", lost weight ≈ {compact(verdict.lost_weight, verdict.lost_weight_error)}"
    reasons = [_NEGATIVE.sub("−", reason) for reason in verdict.reasons]
    return VerdictBox(status, tone, reasons, [_check_cells(check) for check in verdict.evidence])


def _check_cells(check: Check) -> CheckCells:
    value = compact(check.value, check.error) if check.error else measured(check.value)
    outcome = _outcome(check) if check.limit else ABSENT
    return CheckCells(check.name, value, check.limit or ABSENT, outcome)


def _outcome(check: Check) -> str:
    """The mark of the tables stands here too: a difference that has an exclamation mark there is not a plain pass."""
    if not check.informative:
        return "uninformative"
    if not check.passed:
        return "FAIL"
    differs = check.limit.startswith("within") and check.error and check.is_finite
    return DOUBTFUL if differs and abs(check.value or 0.0) > SUSPICIOUS * (check.error or 0.0) else "pass"
