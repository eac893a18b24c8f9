"""The words of a study: number types with their ranges, and the base of every table."""

import hashlib
import json
from typing import Annotated, TypeAlias, TypeVar

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


class AbstractSection(BaseModel):
    """A table of a study: immutable, closed to unknown keys, without silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal content gives equal digests, however the file was written."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
