"""Conversion between an ensemble of this package and a folder with one file per configuration.

The same call continues an interrupted conversion: files with the right contents are kept, and blocks of an ensemble
are appended to those that exist.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from latflow.errors import CannotCreateError, LatflowError, MissingInputError
from latflow.given import path_of, require_type
from latflow.store.atomic import directory_for, require_directory, sha256_file
from latflow.store.ensemble import MANIFEST, Ensemble, Entry
from latflow.store.gauge_files.chain import of_chain
from latflow.store.gauge_files.checks import FileCheck
from latflow.store.gauge_files.configuration import Configuration, accept, compare, examine
from latflow.store.gauge_files.files import read_configuration, require_format, stem, write_configuration
from latflow.store.gauge_files.measure import Links
from latflow.store.gauge_files.provenance import Provenance, from_facts, known, left_out, number_in, numbered
from latflow.store.gauge_files.refusals import UnsupportedError
from latflow.store.gauge_files.replicas import Place, listing, places
from latflow.store.records import JSON, FormatError, canonical, resolve_inside

FIELDS = "fields"
"""Name of the array of configurations in the blocks of every ensemble."""

_SMALLEST_BLOCK = 64 << 20


@dataclass(frozen=True)
class Reading:
    """How the files of a folder are read: the same for every file, as arguments of `files.read_configuration`.

    Attributes:
        shape: Extents, time last, of files that do not state them.
        origin: Where these values come from, in words, for messages.
        force: Read also what fails a check.
        colours: N of SU(N), where files do not state it.
        precision: ``float32`` or ``float64``, likewise.
        which: Number of the configuration, from 0, in files that hold several.
    """

    shape: Sequence[int] | None = None
    origin: str = "the caller"
    force: bool = False
    colours: int | None = None
    precision: str | None = None
    which: int | None = None

    def read(self, folder: Path, name: str) -> Configuration:
        """One file; its number is that of its name where it states none itself."""
        found = read_configuration(
            folder / name,
            shape=self.shape,
            colours=self.colours,
            precision=self.precision,
            origin=self.origin,
            which=self.which,
            force=self.force,
        )
        return replace(found, provenance=numbered(found.provenance, stem(name)))


@dataclass(frozen=True)
class Written:
    """Configurations that were written, or were there already.

    Attributes:
        names: Names of their files, in order.
        left_out: Names of the fields of `Provenance` that some of these files could not hold.
        forced: Checks that a configuration fails, by the name of its file; only if reading was forced.
        passed_over: Names of files that stand beside the configurations and are none.
        replicas: Numbers of configurations by replica, only of folders gathered into an ensemble.
    """

    names: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    forced: dict[str, list[str]] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)
    replicas: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, found: Configuration, format: str) -> None:
        """One more file."""
        self.names.append(name)
        if found.failed:
            self.forced[name] = [check.name for check in found.failed]
        lost = left_out(found.provenance, format)
        number = found.provenance.sequence_number
        if number_in(stem(name)).lstrip("0") == number.lstrip("0"):  # the file name holds it
            lost = [each for each in lost if each != "sequence_number"]
        self.left_out.extend(each for each in lost if each not in self.left_out)


def export_ensemble(
    ensemble: str | Path, folder: str | Path, format: str, *, precision: str | None = None, force: bool = False
) -> Written:
    """Write every configuration of an ensemble into a file of its own.

    Files hold no weights. Of draws of a flow the accept/reject chain through them is written: a draw that was accepted
    and stays for three steps is three files, so that plain averages over all files are right.

    Args:
        ensemble: Directory of an ensemble whose ``fields`` are links, ``[n, mu, a, b, x, …, t]`` or, from several
            chains, ``[record, chain, mu, …]``.
        folder: Where the files go, ``000000.ildg`` and so on, or ``chain-0000-000000.ildg``, or under the names of the
            files that the ensemble was gathered from; created if absent.
        format: One of `files.FORMATS`.
        precision: By default that of the ensemble.
        force: Also write links that are not in the group or that failed a check when they were read from a file.

    Returns:
        The names of all files, in the order of the ensemble, and the facts that they could not hold.

    Raises:
        UnsupportedError: No links of SU(N), more than the format can hold, or weighted draws without a chain.
        MissingInputError: An ensemble without configurations.
        DataError: Links that fail a check.
        CannotCreateError: A file of one of the names holds something else.
    """
    ensemble, folder = path_of("ensemble", ensemble, "an ensemble"), path_of("folder", folder, "a folder")
    require_format(format)
    opened = Ensemble.open(ensemble, writable=False)
    if not opened.n_blocks:
        raise MissingInputError(f"{ensemble}: no configurations yet")
    written = Written()
    first, last = 0, None
    with directory_for(folder):
        for index, entry in enumerate(opened.entries):
            block = opened.read(index)
            links = last = of_chain(block.arrays[FIELDS], block.arrays, first, last, what=str(ensemble))
            chains = _chains(links, entry, what=str(ensemble))
            of_files = _files(block.attributes) if chains is None else None
            if of_files is not None and len(of_files) != len(links):
                raise FormatError(f"{ensemble / entry.file}: names {len(of_files)} files", allowed=str(len(links)))
            for place, each in _fields(links, chains):
                source = of_files[place[0]] if of_files else _made_here(opened, first + place[0], place[1:])
                name = _free(source.name, format, written.names)
                found = accept(_measured(each, source), ensemble / f"{entry.file} {place}", force=force)
                _put(resolve_inside(folder, name), found, format, precision=precision)
                written.add(name, found, format)
            first += len(links)
    return written


def import_folder(folder: str | Path, ensemble: str | Path, reading: Reading = Reading()) -> Written:
    """Gather the files of a folder, in the order of their names with numbers as numbers, into an ensemble.

    Replicas and the numbers of configurations, gaps included, are those of the names, see
    `latflow.store.gauge_files.replicas`.

    Args:
        folder: The folder, or one whose sub-folders are replicas.
        ensemble: Directory of the ensemble; created if absent.
        reading: What is known of the files that they do not state.

    Returns:
        The names of the files, and the checks that some of them fail.

    Raises:
        DataError: A file that cannot be read, or of another lattice or group than the first.
        CannotCreateError: `ensemble` is an ensemble of other files.
    """
    folder, ensemble = path_of("folder", folder, "a folder"), path_of("ensemble", ensemble, "an ensemble")
    require_type("reading", reading, Reading, "Reading(shape=…)")
    found = listing(folder)
    names = found.names
    places(names, [stem(name) for name in names], [""] * len(names))
    hashes = [sha256_file(folder / name) for name in names]
    first = reading.read(folder, names[0])
    digest = hashlib.sha256("\n".join(f"{h}  {n}" for n, h in zip(names, hashes, strict=True)).encode()).hexdigest()
    what = {"shape": list(first.shape), "group": f"SU({first.colours})", "files": digest}
    size = max(1, _SMALLEST_BLOCK // max(1, first.links.nbytes))
    require_directory(ensemble, new=True)
    # a bad file in the first block leaves no ensemble behind
    ahead = {} if (ensemble / MANIFEST).exists() else {0: _gathered(folder, names[:size], first, reading)}
    opened = Ensemble.open_or_create(ensemble, {"kind": "ensemble", "sampler": "files", "identity": what})
    for start in range(opened.n_records, len(names), size):
        chosen = names[start : start + size]
        links, facts = ahead.pop(start, None) or _gathered(folder, chosen, first, reading)
        facts = {"first": start, "files": chosen, **facts}
        opened.append({FIELDS: links}, n=len(chosen), attributes=facts)
    blocks = [block.attributes for block in opened.blocks(())]
    sources = [each for attributes in blocks for each in _files(attributes) or []]
    forced = {names[i]: list(each.failed) for i, each in enumerate(sources) if each.failed}
    counts = Counter(place.replica for place in ensemble_places(opened))
    return Written(names, forced=forced, passed_over=found.passed_over, replicas=dict(counts))


def ensemble_places(ensemble: Ensemble) -> list[Place]:
    """Replica and number of every configuration of an ensemble that was gathered from files.

    Raises:
        UnsupportedError: It was not.
        FormatError: Two configurations of one replica have the same number.
    """
    names: list[str] = []
    stated: list[str] = []
    for block in ensemble.blocks(()):
        found = block.attributes.get("files")
        if type(found) is not list:
            raise UnsupportedError(f"{ensemble.path}: not gathered from files", allowed="an ensemble of files")
        facts = _one_each(block.attributes.get("provenance"), len(found))
        names += [str(name) for name in found]
        stated += [from_facts(each).sequence_number for each in facts]
    return places(names, [stem(name) for name in names], stated)


def convert_folder(
    folder: str | Path,
    target: str | Path,
    format: str,
    reading: Reading = Reading(),
    *,
    precision: str | None = None,
) -> Written:
    """Write every file of a folder in another format under its own name with another ending.

    Args:
        folder: The folder.
        target: Where the files go; created if absent.
        format: One of `files.FORMATS`.
        reading: What is known of the files that they do not state.
        precision: ``float32`` or ``float64``; by default that of each file.

    Returns:
        The names of the files written, and what they could not hold.

    Raises:
        DataError: A file that cannot be read, or that the format cannot hold.
        CannotCreateError: Two files would have one name, or a file of a name holds something else.
    """
    folder, target = path_of("folder", folder, "a folder"), path_of("target", target, "a folder")
    require_format(format)
    require_type("reading", reading, Reading, "Reading(shape=…)")
    found = listing(folder)
    names = found.names
    news = [f"{_joined(stem(name))}.{format}" for name in names]
    _require_distinct(dict(zip(names, news, strict=True)), target)
    written = Written(passed_over=found.passed_over)
    with directory_for(target):
        for name, new in zip(names, news, strict=True):
            read = reading.read(folder, name)
            _put(target / new, read, format, precision=precision)
            written.add(new, read, format)
    return written


def configuration_files(folder: Path) -> list[str]:
    """Names of the configurations in a folder, numbers in them compared as numbers.

    Raises:
        MissingInputError: There are none.
    """
    return listing(folder).names


def _require_distinct(names: Mapping[str, str], target: Path) -> None:
    """Refuse files of a folder that would be written under one name."""
    first: dict[str, str] = {}
    for name, new in names.items():
        if new in first:
            raise CannotCreateError(
                f"{target / new}: two files would have this name",
                value=f"{first[new]} and {name}",
                hint="rename one of them in the source folder",
            )
        first[new] = name


def _chains(links: np.ndarray, entry: Entry, *, what: str) -> int | None:
    """How many chains a block has on its second axis; None if it has no such axis."""
    for leading, chains in ((1, None), (2, links.shape[1] if links.ndim > 1 else 0)):
        d = links.ndim - leading - 3
        counts = int(np.prod(links.shape[:leading])) == entry.n
        d_, *square = links.shape[leading : leading + 3] if d >= 1 else (0, 0, 1)
        if counts and d_ == d and square[0] == square[1] > 1 and np.iscomplexobj(links):
            return chains
    angles = not np.iscomplexobj(links) and links.ndim > 2
    raise UnsupportedError(
        f"{what}: fields",
        value=f"{links.dtype} {list(links.shape)}" + (", as of U(1)" if angles else ""),
        allowed="complex links [n, mu, a, b, x, …, t] of SU(N)",
    )


def _fields(links: np.ndarray, chains: int | None) -> Iterator[tuple[tuple[int, ...], Links]]:
    """Place and links of every configuration, chain by chain within a block."""
    if chains is None:
        return (((i,), each) for i, each in enumerate(links))
    return (((i, chain), links[i, chain]) for chain in range(chains) for i in range(len(links)))


@dataclass(frozen=True)
class _Source:
    """Origin of a configuration of an ensemble: name of its file without ending, and the checks that it failed."""

    name: str
    provenance: Provenance
    failed: tuple[str, ...] = ()


def _made_here(ensemble: Ensemble, record: int, chain: tuple[int, ...]) -> _Source:
    """The origin of a configuration that was sampled by this package."""
    identity = hashlib.sha256(canonical(ensemble.manifest["identity"]).encode("ascii")).hexdigest()
    sampler = str(ensemble.manifest.get("sampler", ""))
    words = ", ".join(filter(None, [sampler, *(f"chain {c}" for c in chain)]))
    name = "-".join([*(f"chain-{c:04d}" for c in chain), f"{record:06d}"])
    made = known(ensemble_id=identity[:16], ensemble_label=words, sequence_number=str(record), creator="latflow")
    return _Source(name, made)


def _files(attributes: Mapping[str, JSON]) -> list[_Source] | None:
    """The origins of the configurations of a block; None if it was not gathered from files."""
    names = attributes.get("files")
    if type(names) is not list or not all(type(name) is str for name in names):
        return None
    told, failed = (_one_each(attributes.get(key), len(names)) for key in ("provenance", "failed_checks"))
    return [
        _Source(_joined(stem(str(name))), from_facts(facts), tuple(map(str, checks or ())))
        for name, facts, checks in zip(names, told, failed, strict=True)
    ]


def _joined(name: str) -> str:
    """A name in a sub-folder as a plain one; any other path is left for the check of names."""
    folder, slash, base = name.partition("/")
    return f"{folder}-{base}" if slash and folder not in ("", ".", "..") else name


def _one_each(values: JSON, n: int) -> Sequence[Any]:
    """The list if it has n entries, else n times None."""
    return values if type(values) is list and len(values) == n else [None] * n


def _free(name: str, format: str, taken: Sequence[str]) -> str:
    """A file name that is not taken; numbered if two files of the folder differ in their ending only."""
    for suffix in ("", *(f"-{i}" for i in range(2, len(taken) + 3))):
        if (chosen := f"{name}{suffix}.{format}") not in taken:
            return chosen
    return f"{name}.{format}"


def _measured(links: Links, source: _Source) -> Configuration:
    """Links of a block as a configuration, with the checks that its file failed."""
    precision = "float32" if links.dtype == np.complex64 else "float64"
    hint = "--force writes it all the same"
    old = [FileCheck(name, "failed when its file was read", "", passed=False, hint=hint) for name in source.failed]
    found = examine(links, format="ensemble", precision=precision, details={}, checks=old, provenance=source.provenance)
    names = dict.fromkeys(source.failed)
    return replace(found, checks=tuple(c for c in found.checks if c in old or c.passed or c.name not in names))


def _gathered(
    folder: Path, names: Sequence[str], first: Configuration, reading: Reading
) -> tuple[np.ndarray, dict[str, JSON]]:
    """The links of some files, stacked, and for each the checks that it fails and where it comes from."""
    found = [reading.read(folder, name) for name in names]
    for name, each in zip(names, found, strict=True):
        _require_same(first, each, folder / name)
    links = np.stack([each.links for each in found])
    failed = [[check.name for check in each.failed] for each in found]
    return links, {"failed_checks": failed, "provenance": [each.provenance.facts() for each in found]}


def _put(path: Path, configuration: Configuration, format: str, *, precision: str | None) -> None:
    """Write a file unless it holds these links already."""
    if not path.exists():
        write_configuration(path, configuration, format, precision=precision)
        return
    try:
        same = compare(configuration, read_configuration(path, force=True)).equal
    except LatflowError:
        same = False
    if not same:
        raise CannotCreateError(f"{path}: exists already and holds something else", hint="choose another folder")


def _require_same(first: Configuration, other: Configuration, path: Path) -> None:
    has, wanted = (
        f"SU({each.colours}), {'x'.join(map(str, each.shape))}, {each.precision} as {each.links.dtype}"
        for each in (other, first)
    )
    if has != wanted:  # rebuilt rows are in double precision; stacking them with single precision would round them
        raise FormatError(
            f"{path}: another lattice, group or precision", value=has, allowed=f"{wanted}, as the first file"
        )
