"""Stein fields that a study names, or a flow that gives some: what identifies them, their card and their training.

The card of fields that are carried to another run goes on telling how they were trained. Hashes of the cards before
it, the oldest first, and what the fields were used for last, stand beside.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latflow.errors import ConfigError, DataError, LatflowError, MissingInputError
from latflow.store.atomic import sha256_file
from latflow.store.records import ChecksumError
from latflow.study.card import model_path
from latflow.study.config.stages import ReduceConfig
from latflow.study.models import lineage
from latflow.study.stein_files import PURPOSE, fields_place
from latflow.training.model_file import HEADER, read_header, require_whole
from latflow.variates.base import AbstractSteinFields
from latflow.variates.training import is_trainable

_NAMED = ("fields", "flow")
_PARENTS = "parents"
_USED = "used"


def given_hashes(asked: ReduceConfig) -> dict[str, str | None]:
    """SHA-256 of the card of the fields, or of the model of the flow, that a study names; None of what is gone."""
    found: dict[str, str | None] = {}
    if asked.fields:
        found["fields"] = _hash_of_fields(asked.fields)
    if asked.flow:
        found["flow"] = _hash_of_flow(asked.flow)
    return found


def is_same(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether averages are those that are wanted.

    Fields are those of the same card, wherever it is. Of fields or a flow that are gone the hash that was kept counts,
    with the name that they had.

    Args:
        kept: What identifies those that are there.
        wanted: What would identify those made now.
    """
    if wanted.get("fields"):
        kept, wanted = _without_path(kept), _without_path(wanted)
    gone = {name: kept.get(name) for name in _NAMED if name in wanted and wanted[name] is None}
    return kept == {**wanted, **gone}


def made_from(source: str | Path | None, made: Mapping[str, Any]) -> dict[str, Any]:
    """What the card of fields tells of their making; of carried ones it is what the card of their source told.

    Args:
        source: Where the fields were; None if they were trained now.
        made: What was done with them now.

    Raises:
        MissingInputError: If there are none.
        DataError: If their card is damaged.
    """
    if source is None:
        return dict(made)
    before = _made(source)
    parents = [*before.get(_PARENTS, []), sha256_file(fields_place(source) / HEADER)]
    return {**before, _PARENTS: parents, _USED: dict(made)}


def seconds_of_given(asked: ReduceConfig, fields: AbstractSteinFields) -> float | None:
    """Seconds of the trainings of the fields or the flow that a study names; None where nothing tells them.

    Args:
        asked: What names them.
        fields: The velocities.
    """
    with contextlib.suppress(LatflowError, KeyError):
        if asked.flow:
            return float(sum(each["seconds"] for each in lineage(model_path(asked.flow))))
        if not is_trainable(fields):
            return 0.0
        made = _made(asked.fields or "")
        facts = made.get("facts", made)
        # cards of earlier versions tell of the reduction that carried the fields, which trained nothing
        return float(facts["training_seconds"]) if facts["trained_on"] > 0 else None
    return None


def require_fields(directory: Path, named: str | None) -> None:
    """Refuse the fields beside corrected averages if they are not whole or not those that the averages name.

    Args:
        directory: Where they are.
        named: SHA-256 of their card; None if the averages have none beside them.

    Raises:
        MissingInputError: If a file of them is not there.
        DataError: If one is damaged, or of other fields.
    """
    if named is None:
        return
    require_whole(directory)
    if (found := sha256_file(directory / HEADER)) != named:
        raise ChecksumError(f"{directory}: not the fields of the averages", value=found[:16], allowed=named[:16])


def are_whole(directory: Path, named: str | None) -> bool:
    """Whether `require_fields` accepts them."""
    try:
        require_fields(directory, named)
    except (MissingInputError, DataError):
        return False
    return True


def _made(source: str | Path) -> dict[str, Any]:
    return dict(read_header(fields_place(source)).get(PURPOSE, {}).get("made", {}))


def _without_path(identity: Mapping[str, Any]) -> dict[str, Any]:
    asked = identity.get("reduce", {})
    return {**identity, "reduce": {name: value for name, value in asked.items() if name != "fields"}}


def _hash_of_fields(name: str) -> str | None:
    with contextlib.suppress(MissingInputError, ConfigError):
        return sha256_file(fields_place(name) / HEADER)
    return None


def _hash_of_flow(name: str) -> str | None:
    with contextlib.suppress(MissingInputError):
        return sha256_file(model_path(name) / HEADER)
    return None
