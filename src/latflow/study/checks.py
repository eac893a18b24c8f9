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
    """

    name: str
    value: float | str
    limit: float | str
    passed: bool
