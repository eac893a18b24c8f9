"""A directory of immutable blocks: manifest, ledger and ``block-000000.h5``, ``block-000001.h5``, ….

A block belongs to the ensemble only if the ledger has its line (SHA-256, length, number of records, hash of the line
before). Both are written as in `latflow.store.atomic`, so that a process killed anywhere leaves at most one block
without a line; opening the ensemble removes it.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np

from latflow.errors import CannotCreateError, DataError, MissingInputError, StorageError
from latflow.store.atomic import clean_temporaries, is_temporary, make_directory, read_bytes, remove_file, write_bytes
from latflow.store.blocks import Block, decode_bytes, encode_block
from latflow.store.records import (
    JSON,
    ChecksumError,
    FormatError,
    canonical,
    require_schema,
    resolve_inside,
    seal,
    unseal,
)

SCHEMA = 1
MANIFEST = "manifest.json"
LEDGER = "ledger.jsonl"

_BLOCK = re.compile(r"block-(\d{6,})\.h5")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        index: Number of the block, from 0.
        file: Its name in the ensemble's directory.
        sha256: Of the whole file.
        bytes: Its length.
        n: Number of records it holds.
        parent: SHA-256 of the ledger line before; for the first line, of the manifest's kind and identity.
    """

    index: int
    file: str
    sha256: str
    bytes: int
    n: int
    parent: str


class Ensemble:
    """Blocks of one identity, written once and read verified; use `create`, `open` or `open_or_create`.

    Attributes:
        path: The directory.
        manifest: ``schema``, ``kind``, ``identity`` and whatever else it was created with.
        recovered: Repairs made on opening, in words; empty after a clean stop.
    """

    def __init__(self, path: Path, manifest: Mapping[str, JSON], ledger: bytes, entries: list[Entry]) -> None:
        self.path = path
        self.manifest = MappingProxyType(dict(manifest))
        self.recovered: tuple[str, ...] = ()
        self._ledger = ledger
        self._entries = entries

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, JSON]) -> "Ensemble":
        """Make an empty ensemble.

        Args:
            path: Its directory, created with its parents.
            manifest: ``kind`` (a word), ``identity`` (what makes it this ensemble and no other) and free keys. The
                schema is added here.

        Raises:
            CannotCreateError: There is an ensemble already.
        """
        path = Path(path)
        if (path / MANIFEST).exists():
            raise CannotCreateError(f"{path}: an ensemble exists already", hint="open it, or choose another directory")
        full = {**manifest, "schema": SCHEMA}
        _require_manifest(full, what=str(path / MANIFEST))
        data = seal(full, indent=1) + b"\n"
        make_directory(path)
        clean_temporaries(path)
        if any(_BLOCK.fullmatch(name) or name == LEDGER for name in os.listdir(path)):
            raise CannotCreateError(f"{path}: holds blocks but no {MANIFEST}", hint="choose another directory")
        write_bytes(path / MANIFEST, data)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, writable: bool = True) -> "Ensemble":
        """Open an ensemble and remove what a killed writer left.

        Args:
            path: Its directory.
            writable: False for a reader beside a running job: nothing on the disk is touched, and unfinished files
                are only ignored. True only for the holder of the run.

        Raises:
            MissingInputError: There is none.
            DataError: The manifest or the ledger is damaged, foreign or newer.
        """
        path = Path(path)
        manifest = read_manifest(path)
        # List files before reading the ledger: a block entered in between must not look like one without a line.
        names = os.listdir(path)
        ledger, notes = _whole_lines(path)
        entries = _parse_ledger(ledger, _root(manifest), what=str(path / LEDGER))
        strays = _strays(path, names, len(entries))
        ensemble = cls(path, manifest, ledger, entries)
        repairs = _repair(path, ledger, strays, rewrite=bool(notes)) if writable else []
        ensemble.recovered = (*notes, *(f"{name}: unfinished, ignored" for name in strays if not writable), *repairs)
        return ensemble

    @classmethod
    def open_or_create(cls, path: Path, manifest: Mapping[str, JSON]) -> "Ensemble":
        """Open the ensemble if it is the one that `manifest` describes, create it if there is none.

        Raises:
            CannotCreateError: There is one of another kind or identity; the differing keys are listed.
        """
        path = Path(path)
        if not (path / MANIFEST).exists():
            return cls.create(path, manifest)
        ensemble = cls.open(path)
        differing = _differences(ensemble.manifest, manifest)
        if differing:
            raise CannotCreateError(
                f"{path}: holds another ensemble", value="; ".join(differing), hint="choose another run directory"
            )
        return ensemble

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The ledger, first block first."""
        return tuple(self._entries)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._entries)

    @property
    def n_records(self) -> int:
        """Number of records in all blocks."""
        return sum(entry.n for entry in self._entries)

    @property
    def digest(self) -> str:
        """SHA-256 of the ledger: the identity of everything in the ensemble."""
        return hashlib.sha256(self._ledger).hexdigest()

    def was(self, digest: str) -> bool:
        """Whether the ledger had this digest before it grew to what it is now."""
        lines = self._ledger.splitlines(keepends=True)
        sums, found = hashlib.sha256(), []
        for line in lines:
            sums.update(line)
            found.append(sums.hexdigest())
        return digest in found[:-1]

    def append(
        self,
        arrays: Mapping[str, np.ndarray],
        *,
        n: int,
        attributes: Mapping[str, JSON],
        labels: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Entry:
        """Write the next block, then its ledger line.

        Args:
            arrays: As in `latflow.store.blocks.encode_block`.
            n: Number of records in them.
            attributes: JSON facts about the block.
            labels: Attributes of the datasets, for other readers. They are left out where the manifest does not say
                ``labelled``: ensembles that an earlier version began go on with the same bytes.

        Raises:
            StorageError: The disk refused; the ensemble is as before.
            CannotCreateError: Another process has written to it since it was opened.
        """
        if n < 1:
            raise FormatError(f"{self.path}: a block needs records", value=f"n = {n}", allowed="n >= 1")
        if _read_ledger(self.path) != self._ledger:
            raise CannotCreateError(f"{self.path}: another process writes to this ensemble", hint="open it again")
        data = encode_block(arrays, attributes, labels if self.manifest.get("labelled") is True else None)
        file = _file(self.n_blocks)
        digest = write_bytes(self.path / file, data)
        parent = _parent(self._ledger, _root(self.manifest))
        entry = Entry(self.n_blocks, file, digest, len(data), n, parent)
        ledger = self._ledger + seal(asdict(entry)) + b"\n"
        write_bytes(self.path / LEDGER, ledger)
        self._ledger = ledger
        self._entries.append(entry)
        return entry

    def read(self, index: int, names: Iterable[str] | None = None) -> Block:
        """One block, verified against the ledger before it is interpreted.

        Raises:
            DataError: The file is not the one that was written.
            MissingInputError: The file or the index does not exist.
        """
        if not 0 <= index < self.n_blocks:
            raise MissingInputError(f"{self.path}: no block {index}", allowed=f"0 to {self.n_blocks - 1}")
        entry = self._entries[index]
        path = resolve_inside(self.path, entry.file)
        data = read_bytes(path, length=entry.bytes)
        got = hashlib.sha256(data).hexdigest()
        if got != entry.sha256:
            raise ChecksumError(
                f"{path}: ledger says {entry.sha256[:12]}, data give {got[:12]}", hint="the file is damaged"
            )
        return decode_bytes(data, names, what=str(path))

    def blocks(self, names: Iterable[str] | None = None) -> Iterator[Block]:
        """All blocks in order, one in memory at a time."""
        wanted = None if names is None else tuple(names)
        return (self.read(index, wanted) for index in range(self.n_blocks))

    def column(self, name: str) -> np.ndarray:
        """One array of every block, joined along its first axis."""
        if not self.n_blocks:
            raise MissingInputError(f"{self.path}: no blocks yet", value=name)
        parts = [block.arrays[name] for block in self.blocks((name,))]
        shapes = {part.shape[1:] if part.ndim else None for part in parts}
        if len(shapes) > 1 or None in shapes:
            raise FormatError(f"{self.path}: {name} does not join", value=f"shapes {sorted(map(str, shapes))[:4]}")
        return np.concatenate(parts)

    def verify(self) -> list[str]:
        """Read everything; the problems found, in words."""
        problems = []
        for index in range(self.n_blocks):
            try:
                self.read(index)
            except (DataError, MissingInputError, StorageError) as error:
                problems.append(str(error))
        known = {MANIFEST, LEDGER, *(entry.file for entry in self._entries)}
        foreign = sorted(name for name in os.listdir(self.path) if name not in known and not is_temporary(name))
        return problems + [f"{self.path / name}: not in the ledger" for name in foreign]


def read_manifest(path: Path) -> dict[str, JSON]:
    """The verified manifest of the ensemble in directory `path`.

    Raises:
        MissingInputError: No manifest there.
        DataError: Damaged, foreign or newer.
    """
    what = str(path / MANIFEST)
    try:
        data = read_bytes(path / MANIFEST)
    except MissingInputError as error:
        raise MissingInputError(f"{path}: no ensemble there", hint=f"it has no {MANIFEST}") from error
    if not data.endswith(b"\n"):
        raise FormatError(
            f"{what}: not a manifest", value="the end is missing", hint="the file is truncated or damaged"
        )
    manifest = unseal(data[:-1], what=what, indent=1)
    _require_manifest(manifest, what=what)
    return manifest


def _require_manifest(manifest: Mapping[str, JSON], *, what: str) -> None:
    require_schema(manifest, newest=SCHEMA, what=what)
    if type(manifest.get("kind")) is not str or type(manifest.get("identity")) is not dict:
        raise FormatError(f"{what}: not a manifest", allowed="a text 'kind' and a table 'identity'")


def _root(manifest: Mapping[str, JSON]) -> str:
    """Parent of the first ledger line: ties the blocks to the ensemble they belong to."""
    text = canonical({"kind": manifest["kind"], "identity": manifest["identity"]})
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _parent(ledger: bytes, root: str) -> str:
    """Hash of the last line, without its newline."""
    lines = ledger.splitlines()
    return hashlib.sha256(lines[-1]).hexdigest() if lines else root


def _differences(have: Mapping[str, JSON], want: Mapping[str, JSON]) -> list[str]:
    """Dotted keys of kind and identity that differ, with both values."""
    left = _flatten({"kind": have["kind"], "identity": have["identity"]})
    right = _flatten({"kind": want.get("kind"), "identity": want.get("identity")})
    keys = [key for key in sorted({*left, *right}) if left.get(key, "absent") != right.get(key, "absent")]
    return [f"{key} is {left.get(key, 'absent')}, wanted {right.get(key, 'absent')}" for key in keys]


def _flatten(value: JSON, prefix: str = "") -> dict[str, str]:
    """Leaves of nested tables by dotted key, spelt canonically."""
    if not isinstance(value, Mapping):
        return {prefix: canonical(value)}
    return {
        key: text
        for name, inner in value.items()
        for key, text in _flatten(inner, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _file(index: int) -> str:
    return f"block-{index:06d}.h5"


def _read_ledger(path: Path) -> bytes:
    """The ledger's bytes; none before the first block."""
    return read_bytes(path / LEDGER) if (path / LEDGER).exists() else b""


def _whole_lines(path: Path) -> tuple[bytes, list[str]]:
    """The ledger up to its last whole line, and a note if something was cut off after it."""
    data = _read_ledger(path)
    end = data.rfind(b"\n") + 1
    if end == len(data):
        return data, []
    return data[:end], [f"{LEDGER}: dropped a torn last line of {len(data) - end} bytes"]


def _parse_ledger(ledger: bytes, root: str, *, what: str) -> list[Entry]:
    """Verified entries; every line must be whole, in order, and name the hash of the line before."""
    parent, entries = root, []
    for index, line in enumerate(ledger.split(b"\n")[:-1]):
        place = f"{what} line {index + 1}"
        record = unseal(line, what=place)
        if {field.name: field.type for field in fields(Entry)} != {key: type(value) for key, value in record.items()}:
            raise FormatError(f"{place}: not a ledger line", value=f"keys {sorted(record)}")
        entry = Entry(**record)  # pyright: ignore[reportArgumentType]
        if entry.parent != parent or entry.index != index:
            raise ChecksumError(f"{place}: does not follow the line before", hint="lines were lost, moved or foreign")
        if entry.file != _file(index) or entry.n < 1 or entry.bytes < 1:
            raise FormatError(f"{place}: not a ledger line", value=f"file {entry.file!r}", allowed=_file(index))
        entries.append(entry)
        parent = hashlib.sha256(line).hexdigest()
    return entries


def _strays(path: Path, names: list[str], n_blocks: int) -> list[str]:
    """Blocks without a ledger line: at most the one a killed writer was about to enter.

    Raises:
        FormatError: More than that; the ledger has lost lines, and removing their blocks would lose data.
    """
    found = {name: int(match[1]) for name in names if (match := _BLOCK.fullmatch(name))}
    strays = sorted(name for name, index in found.items() if index >= n_blocks)
    if any(found[name] > n_blocks for name in strays):
        raise FormatError(
            f"{path / LEDGER}: has {n_blocks} lines but there is {strays[-1]}",
            hint="the ledger is truncated; restore it from a copy, or remove the directory to compute it again",
        )
    return strays


def _repair(path: Path, ledger: bytes, strays: list[str], *, rewrite: bool) -> list[str]:
    """Remove files that the ledger does not have; returns what was done, in words."""
    removed = clean_temporaries(path)
    if rewrite:
        write_bytes(path / LEDGER, ledger)
    for name in strays:
        remove_file(path / name)
    return [f"{name}: unfinished, removed" for name in [*removed, *strays]]
