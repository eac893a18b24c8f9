"""The model zoo: trained models shipped with the package, each with a card that describes it.

An entry is a directory of the package with a model as any training writes it and ``card.json``: the theory, how it was
trained and what that cost, and what fresh draws showed. Nothing here imports jax, so the zoo can be listed at once.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from latflow.errors import MissingInputError, UsageError
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

    def __repr__(self) -> str:
        title = self.content.get("title", "")
        return f"Card({PREFIX}{self.name}: {title}, acceptance {self.content['measured']['acceptance']:.3f})"


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
        name: With or without the prefix. Only names of existing entries are accepted, so it is never a path.
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
    """The directory of a trained model.

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


def model_name(name: str) -> str:
    """What a study of a model is called: its name in the zoo, or that of its run or directory."""
    path = model_path(name).resolve()
    return path.parent.name if path.name == "model" else path.name


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


def required_name(name: str) -> str:
    """The name, if an entry may have it.

    Raises:
        UsageError: If it could be a path, or be misread.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", name):
        raise UsageError("name", value=repr(name), allowed="small letters, digits and - _ . after the first")
    return name


def ancestors(card: Card, cards: Sequence[Card]) -> tuple[dict[str, Any], ...]:
    """The trainings before that of a model, oldest first, each with at least ``sha256``, ``seconds`` and ``steps``.

    Args:
        card: The model. Its card lists them, or names its parent by a hash.
        cards: Models among which the parent of the oldest listed one, or a parent that is only named, is looked up. The
            list ends where it is not found.
    """
    training = card.content["training"]
    known = tuple(training.get("ancestors") or ())
    wanted = known[0]["sha256"] if known else training.get("parents", {}).get("start_from")
    others = [other for other in cards if other.name != card.name]
    parent = next((other for other in others if other.content["model"] == wanted), None)
    if parent is None:
        return known
    own = {key: parent.content["training"][key] for key in ("seconds", "steps")}
    return (*ancestors(parent, others), *(known or ({"sha256": wanted, **own},)))


def summary(card: Card, cards: Sequence[Card] = ()) -> dict[str, Any]:
    """One line of the list of models; `cards` are those among which its ancestors are looked for."""
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
        "training_steps": training["steps"],
        "ancestors_seconds": sum(ancestor["seconds"] for ancestor in ancestors(card, cards)),
        "sha256": content["model"],
    }


def shipped() -> Path:
    """The directory of the package's zoo."""
    return Path(str(resources.files("latflow.study").joinpath("zoo")))
