"""Theories without a lattice: the shape of a configuration, which their table knows, stands in its place."""

from collections.abc import Mapping
from typing import Any

from latflow.tables import Complaint, Lookup
from latflow.theories.catalogue import kinds, stored_table, table_of


def with_own_shape(study: Any) -> Any:
    """Plain data of a study with the table `lattice` that its theory brings itself, if it names none.

    Where the action is wrong the shape is arbitrary, so that the complaints are about the action.
    """
    action = study.get("action") if isinstance(study, Mapping) else None
    kind = action.get("kind") if isinstance(action, Mapping) else None
    if not isinstance(action, Mapping) or "lattice" in study or kind not in kinds() or table_of(str(kind)).lattice:
        return study
    shape = _shape(action)
    return {**study, "lattice": {"shape": [1] if shape is None else list(shape)}}


def own_shape(value: Lookup) -> list[Complaint]:
    """A table `lattice` beside a theory that has none says the same as the theory."""
    action, shape = value("action"), value("lattice.shape")
    expected = _shape(action) if isinstance(action, Mapping) else None
    if shape is None or expected is None or tuple(shape) == expected:
        return []
    hint = "this theory has no lattice: leave the table lattice out"
    return [Complaint("lattice.shape", str(list(shape)), f"{list(expected)} with this [action]", hint)]


def _shape(action: Mapping[str, Any]) -> tuple[int, ...] | None:
    table = stored_table(action)
    return None if table is None else table.own_shape()
