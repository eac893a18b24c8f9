"""What a verification finds: one statement, its number, its limit and whether it holds."""

import dataclasses

INSTALLED = "study: all that it names is installed"
"""Name of the check that fails where a theory, sampler, flow or observable of a run is not here."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One verified statement.

    Attributes:
        name: What was compared with what.
        value: What was found.
        limit: What was allowed.
        passed: Whether it holds.
        state: One word in place of PASS or FAIL; `OUT_OF_DATE` for what the next analysis makes anew, `UNINFORMATIVE`
            where there was nothing to look at, `UNFINISHED` for what goes on with the next `latflow run`, `MISSING`
            for a file that is not there.
    """

    name: str
    value: float | str
    limit: float | str
    passed: bool
    state: str = ""


UNINFORMATIVE = "UNINFORMATIVE"
"""State of what had nothing to look at: no damage, and no pass."""

OUT_OF_DATE = "OUT OF DATE"
"""State of what was right when it was made, and rests on less than there is now: no damage."""

UNFINISHED = "UNFINISHED"
"""State of a training that was stopped between two sittings: no damage, and no model yet."""

MISSING = "MISSING"
"""State of a file that others name and that is not there."""
