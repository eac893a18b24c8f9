"""Which files of a folder are configurations, and to which replica and number each belongs.

Replicas are told by what stands before the number at the end of a file's name, or by sub-folders; numbers may have
gaps and irregular steps. ``cfg.100``, ``conf_r1_0040`` and openQCD's ``A1r001n40`` are such names.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latflow.errors import MissingInputError
from latflow.store.atomic import is_temporary
from latflow.store.gauge_files.provenance import number_in
from latflow.store.records import FormatError

SIDECARS = (
    *(".info", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".log", ".md", ".csv", ".pdf", ".sh", ".py"),
    *(".svg", ".png", ".jpg", ".jpeg", ".gif", ".eps", ".html", ".htm", ".tex"),
    *(".md5", ".sha1", ".sha256", ".sha512", ".crc", ".crc32", ".cksum", ".sum", ".asc", ".sig"),
)
"""Endings of files that stand beside configurations and are none."""

_SIDECAR_NAMES = re.compile(r"(readme|license|copying|manifest|checksums?|(md5|sha\d+)sums?)(\.txt)?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a configuration stands in its ensemble.

    Attributes:
        replica: Name of the replica; empty if there is one without a name.
        number: Number of the configuration in it.
    """

    replica: str
    number: int


@dataclass(frozen=True)
class Listing:
    """The files of a folder.

    Attributes:
        names: Of configurations, in order; with their sub-folder where there are such.
        passed_over: Of files that stand beside them.
    """

    names: list[str]
    passed_over: list[str]


def listing(folder: Path) -> Listing:
    """The configurations in a folder, or in its sub-folders if it has no files of its own.

    Raises:
        MissingInputError: There are none.
    """
    if not folder.is_dir():
        raise MissingInputError(f"{folder}: no such folder", hint="name a folder of gauge configurations")
    names = _plain(folder)
    if not any(not is_sidecar(name) for name in names):
        inner = sorted(n for n in os.listdir(folder) if (folder / n).is_dir() and not n.startswith("."))
        names += [f"{sub}/{name}" for sub in inner for name in _plain(folder / sub)]
    found = sorted((name for name in names if not is_sidecar(name)), key=_natural)
    if not found:
        hint = "name a folder of gauge configurations or an ensemble"
        raise MissingInputError(f"{folder}: no files there", hint=hint)
    return Listing(found, sorted(name for name in names if is_sidecar(name)))


def is_sidecar(name: str) -> bool:
    """Whether a file stands beside configurations, by its name."""
    base = name.rpartition("/")[2].removesuffix(".gz")
    return os.path.splitext(base)[1].lower() in SIDECARS or _SIDECAR_NAMES.fullmatch(base) is not None


def places(names: Sequence[str], stems: Sequence[str], stated: Sequence[str]) -> list[Place]:
    """Replica and number of every configuration.

    The number is that at the end of the name; where some names have none, that which every file states, or else the
    place in the folder.

    Args:
        names: Of the files, in order.
        stems: The same without the endings of formats.
        stated: Number of the trajectory as each file states it; empty where it does not.

    Raises:
        FormatError: Two configurations of one replica have the same number.
    """
    bare = [_without_word(stem) for stem in stems]
    found = [number_in(stem.rpartition("/")[2]) for stem in bare]
    if are_numbered(stems):
        made = [Place(_replica(s, n), int(n)) for s, n in zip(bare, found, strict=True)]
    else:
        folders = [name.rpartition("/")[0] for name in names]
        numbers = stated if all(text.isdecimal() for text in stated) else [str(i) for i in range(len(names))]
        made = [Place(folder, int(number)) for folder, number in zip(folders, numbers, strict=True)]
    first: dict[Place, str] = {}
    for place, name in zip(made, names, strict=True):
        if place in first:
            two = f"{first[place]} and {name}"
            hint = "rename one of them, or leave it out"
            raise FormatError(f"configuration {place.number} of replica {place.replica!r}", value=two, hint=hint)
        first[place] = name
    return made


def are_numbered(stems: Sequence[str]) -> bool:
    """Whether every name ends in a number: what the files state is then not asked."""
    return all(number_in(_without_word(stem).rpartition("/")[2]) for stem in stems)


def _plain(folder: Path) -> list[str]:
    return [n for n in os.listdir(folder) if (folder / n).is_file() and not n.startswith(".") and not is_temporary(n)]


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Numbers in names compare as numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _without_word(stem: str) -> str:
    """Without an ending of letters, which is no number: conf_0100.cfg."""
    front, ending = os.path.splitext(stem)
    return front if ending[1:].isalpha() and front else stem


def _replica(stem: str, number: str) -> str:
    return re.sub(r"(?<=[0-9])n$|[._-]+n?$", "", stem.removesuffix(number))
