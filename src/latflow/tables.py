"""Tables of study files: number types with their ranges, the base of every table, and complaints about values.

Theories, samplers and flows bring tables of their own. Nothing here imports JAX.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_T = TypeVar("_T")


def _as_tuple(value: object) -> object:
    return tuple(value) if type(value) is list else value


List: TypeAlias = Annotated[tuple[_T, ...], BeforeValidator(_as_tuple)]
Pair: TypeAlias = Annotated[tuple[_T, ...], Field(min_length=2, max_length=2), BeforeValidator(_as_tuple)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Number: TypeAlias = Annotated[int, Field(ge=0, le=10**9)]
Warmup: TypeAlias = Annotated[int, Field(ge=3, le=10**9)]
Positive: TypeAlias = Annotated[float, Field(gt=0, le=1e6)]
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
LearningRate: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Extent: TypeAlias = Annotated[int, Field(ge=1, le=2**24)]
Width: TypeAlias = Annotated[int, Field(ge=1, le=16384)]
Mass: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]
Coupling: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]


ADDED: dict[str, Any] = {"added": True}
"""`json_schema_extra` of a key that came after studies had been stored: at its default it is no part of identities."""

Lookup: TypeAlias = Callable[[str], Any]
"""Value of a key by its dotted path, or ``None`` where it is unknown, wrong or unset."""


@dataclasses.dataclass(frozen=True)
class Complaint:
    """One thing wrong with one key.

    Args:
        key: Dotted path of the key.
        value: What was found there, ready for printing.
        allowed: What would have been accepted.
        hint: What to do about it.
    """

    key: str
    value: str
    allowed: str = ""
    hint: str = ""

    def text(self) -> str:
        """``key: value; allowed: …; hint``."""
        parts = [f"{self.key}: {self.value}", self.allowed and f"allowed: {self.allowed}", self.hint]
        return "; ".join(part for part in parts if part)


Rule: TypeAlias = Callable[[Lookup], list[Complaint]]
"""What several keys must fulfil together: a function that looks values up and returns complaints."""


class AbstractSection(BaseModel):
    """A table of a study: immutable, closed to unknown keys, without silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def plain(self, **context: Any) -> dict[str, Any]:
        """The table as plain data, without keys that were added later and stand at their default.

        So a study keeps its identity when a new version knows more keys.

        Args:
            context: Passed on to pydantic's serialisation.
        """
        return _without_added(self, self.model_dump(mode="json", context=context))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal content gives equal digests, however the file was written."""
        canonical = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _without_added(section: AbstractSection, plain: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in plain.items():
        field, own = type(section).model_fields[name], getattr(section, name)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("added") and own == field.get_default(call_default_factory=True):
            continue
        found[name] = _without_added(own, value) if isinstance(own, AbstractSection) else value
    return found
