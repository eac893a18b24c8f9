"""The model zoo: trained models shipped with the package, each with a card that says what it is and what it does.

An entry is a directory of the package with a model as any training writes it and ``card.json``: the theory, how it was
trained and what that cost, and what fresh draws showed. Nothing here imports jax, so the zoo can be listed at once.
"""

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from latflow.errors import MissingInputError
from latflow.store.atomic import read_bytes
from latflow.store.records import FormatError, require_schema, unseal
from latflow.study.config.reading import did_you_mean

PREFIX = "zoo:"
"""What names of the zoo begin with where a model may also be a directory."""

SCHEMA = 1
CARD = "card.json"

_TABLES = ("lattice", "action", "flow", "training", "measured", "provenance")


@dataclasses.dataclass(frozen=True)
class Card:
    """One model of the zoo.

    Args:
        name: Its name, without the prefix.
        directory: Where model and card lie.
        content: The card as plain data.
    """

    name: str
    directory: Path
    content: Mapping[str, Any]


def zoo(folder: Path | None = None) -> tuple[Card, ...]:
    """All models of the zoo, by name.

    Args:
        folder: Where its directories lie; by default in the package.

    Raises:
        DataError: If a card is damaged, foreign or newer.
    """
    folder = folder or shipped()
    return tuple(read_card(path.parent) for path in sorted(folder.glob(f"*/{CARD}")))


def zoo_directory(name: str, folder: Path | None = None) -> Path:
    """The directory of one model of the zoo.

    Args:
        name: With or without the prefix. It is looked up among the names there are, so it cannot lead elsewhere.
        folder: As in `zoo`.

    Raises:
        MissingInputError: If there is none of this name.
    """
    folder = folder or shipped()
    known = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{CARD}"))}
    word = name.removeprefix(PREFIX)
    if word not in known:
        hint = did_you_mean(word, tuple(known)) or "`latflow models` lists them"
        raise MissingInputError(f"{PREFIX}{word}", value="no such model in the zoo", hint=hint)
    return known[word]


def model_path(name: str) -> Path:
    """The directory of a model.

    Args:
        name: A run directory, a model directory, or ``zoo:`` and the name of a model of the zoo.

    Raises:
        MissingInputError: If there is no model.
    """
    if name.startswith(PREFIX):
        return zoo_directory(name)
    for path in (Path(name), Path(name) / "model"):
        if (path / "model.json").is_file():
            return path
    raise MissingInputError(name, value="no trained model", allowed="a run, a model directory or zoo:NAME")


def read_card(directory: Path) -> Card:
    """The card of an entry.

    Raises:
        MissingInputError: If there is none.
        DataError: If it is damaged, foreign or newer.
    """
    path = directory / CARD
    record = unseal(read_bytes(path).removesuffix(b"\n"), what=str(path), indent=1)
    require_schema(record, newest=SCHEMA, what=str(path))
    if type(record.get("model")) is not str or any(type(record.get(key)) is not dict for key in _TABLES):
        raise FormatError(f"{path}: not a card", value=f"keys {sorted(record)}")
    return Card(directory.name, directory, record)


def summary(card: Card) -> dict[str, Any]:
    """One line of the list of models."""
    content = card.content
    measured, training = content["measured"], content["training"]
    return {
        "model": f"{PREFIX}{card.name}",
        "title": content.get("title", ""),
        "shape": content["lattice"]["shape"],
        "action": content["action"],
        "acceptance": measured["acceptance"],
        "reweighting_ess": measured["reweighting_ess"],
        "draws": measured["n"],
        "log_z": measured["log_z"],
        "log_z_error": measured["log_z_error"],
        "training_seconds": training["seconds"],
        "sha256": content["model"],
    }


def shipped() -> Path:
    """Where the zoo of the package lies."""
    return Path(str(resources.files("latflow.study").joinpath("zoo")))
