"""What all records of results have in common: frozen, closed to unknown fields, and null for what is no number."""

import math
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AllowInfNan, BaseModel, ConfigDict, JsonValue


def _present(value: float | None) -> float | None:
    """JSON has no NaN: what could not be computed is null."""
    return None if value is None or not math.isfinite(value) else float(value)


Real: TypeAlias = Annotated[Annotated[float, AllowInfNan(allow_inf_nan=True)] | None, AfterValidator(_present)]
Reals: TypeAlias = Real | tuple[Real, ...]
Table: TypeAlias = dict[str, JsonValue]
"""A table of a study, whose keys belong to its theory or method."""


class AbstractRecord(BaseModel):
    """A table of the results: immutable, closed to unknown fields, without silent conversions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )
