"""Trained Stein fields on disk: weights beside a sealed card, written and read as models are.

The card tells the family, its settings and what it was trained on. Nothing in it depends on the lattice, so the same
file serves other extents of as many directions, and other couplings.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latflow.errors import ConfigError, DataError, MissingInputError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.given import path_of, require_type
from latflow.randomness import root_key
from latflow.store.records import FormatError
from latflow.training.model_file import HEADER, load_model, read_header, save_model
from latflow.variates.base import AbstractSteinFields
from latflow.variates.catalogue import FAMILIES, family

PURPOSE = "stein_fields"


class ForeignFieldsError(DataError):
    """Stein fields of another kind of configurations, or a file that holds none."""


def save_fields(
    directory: str | Path, fields: AbstractSteinFields, *, space: AbstractFieldSpace, made: Mapping[str, Any]
) -> str:
    """Write velocities with their card; returns the SHA-256 of the card, which holds that of the weights.

    Args:
        directory: Where ``model.json`` and ``weights.safetensors`` go; created if absent.
        fields: What is saved.
        space: Of the configurations they were trained on.
        made: Facts for the card: theory, parents, figures.
    """
    place = path_of("directory", directory, "a directory for the velocities")
    require_type("fields", fields, AbstractSteinFields, "the velocities of lf.reduce(...), or other Stein fields")
    require_type("space", space, AbstractFieldSpace, "the space of an action, action.space")
    directions = len(space.tangent_shape)
    told = {"kind": fields.kind, "settings": dict(fields.settings), "directions": directions, "space": space.summary}
    return save_model(place, fields, header={PURPOSE: {**told, "made": dict(made)}})


def load_fields(directory: str | Path, space: AbstractFieldSpace | None = None) -> AbstractSteinFields:
    """Velocities for the configurations of a space.

    Args:
        directory: Where they were saved, or a run that has trained some for one sampler, RUN/reduced/SAMPLER/fields.
        space: Of any extents: ``action.space`` of the chains. The card does not hold one, since the same velocities
            serve every lattice of as many directions.

    Raises:
        ConfigError: If the space is missing, or a run has trained fields for several samplers.
        MissingInputError: If there is nothing.
        ForeignFieldsError: If it is no file of Stein fields, or of fields with other axes.
        DataError: If it is damaged.
    """
    directory = path_of("directory", directory, "a directory with saved velocities")
    if space is None:
        raise ConfigError(["space: missing; allowed: action.space of the chains, of any extents, which no card holds"])
    require_type("space", space, AbstractFieldSpace, "the space of an action, action.space")
    directory = fields_place(directory)
    card = read_header(directory).get(PURPOSE)
    match card:
        case {"kind": str(kind), "settings": dict(settings), "directions": int(directions)}:
            pass
        case _:
            hint = "`latflow reduce --save` writes them; this is a model of something else"
            raise ForeignFieldsError(str(directory / HEADER), value="no Stein fields", hint=hint)
    if kind not in FAMILIES:
        raise FormatError(str(directory), value=f"Stein fields {kind!r}", allowed=", ".join(FAMILIES))
    if directions != len(space.tangent_shape):
        value, allowed = f"fields of {directions} axes", f"of {len(space.tangent_shape)}, as {space.summary} has"
        raise ForeignFieldsError(str(directory), value=value, allowed=allowed)
    return load_model(directory, family(kind).create(root_key(0), space, settings))[0]


def fields_place(directory: str | Path) -> Path:
    """The directory itself, or where a run keeps the fields that it has trained.

    Raises:
        ConfigError: If a run has trained fields for several samplers.
        MissingInputError: If there are none.
    """
    directory = Path(directory)
    if (directory / HEADER).exists():
        return directory
    found = sorted(each.parent for each in directory.glob(f"reduced/*/fields/{HEADER}"))
    if len(found) > 1:
        raise ConfigError([f"fields: {directory}, a run; allowed: one of {', '.join(map(str, found))}"])
    if not found:
        allowed = "a run whose averages `latflow reduce` has corrected, or a folder of fields as its --save writes"
        raise MissingInputError(str(directory), value="no Stein fields there", allowed=allowed)
    return found[0]
