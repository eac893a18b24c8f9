"""Configurations that another code has made: the files of a folder, or an ensemble gathered from one.

Nothing is copied. A configuration is known by its name and the SHA-256 of what holds it, and read again whenever it is
measured. No JAX here: a folder that cannot be used is refused before anything slow begins.
"""

import abc
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex, Int
from typing_extensions import override

from latflow.errors import ConfigError, MissingInputError
from latflow.given import path_of
from latflow.stats.replicas import Replicas
from latflow.store.atomic import sha256_file
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.configuration import Configuration, accept, examine
from latflow.store.gauge_files.files import stem
from latflow.store.gauge_files.folders import FIELDS, Reading
from latflow.store.gauge_files.hints import sensible
from latflow.store.gauge_files.provenance import Provenance, from_facts
from latflow.store.gauge_files.refusals import ShapeUnknownError, UnsupportedError
from latflow.store.gauge_files.replicas import are_numbered, listing, places
from latflow.study.config import StudyConfig
from latflow.study.config.methods import GIVEN
from latflow.study.config.stages import GradientFlowConfig
from latflow.theories.catalogue import kinds, table_of

_BLOCK_BYTES = 64 << 20
_MOST_IN_BLOCK = 64
_RECORDS = 20
_LONGEST_FLOW = 6.0
_MANIFEST = "manifest.json"


class AbstractCollection(abc.ABC):
    """Configurations of one lattice and group, by name; a loop over it reads one after another, checked.

    Attributes:
        names: In order.
        passed_over: Names of files that stand beside the configurations and are none.
    """

    names: list[str]
    passed_over: list[str]

    @abc.abstractmethod
    def digest(self, name: str) -> str:
        """SHA-256 of the file that holds a configuration."""

    @abc.abstractmethod
    def read(self, name: str) -> Configuration:
        """A configuration, checked.

        Raises:
            DataError: If it is damaged or fails a check.
        """

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Configuration]:
        return (self.read(name) for name in self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} configurations: {self.names[0]} … {self.names[-1]})"

    def replicas(self) -> Replicas:
        """Replicas with the numbers of their configurations, gaps kept.

        They are those of the names. Where a name has no number, every file is read for the one that it states.

        Raises:
            FormatError: If two configurations of one replica have the same number.
        """
        stems = [stem(name) for name in self.names]
        stated = [""] * len(self) if are_numbered(stems) else [each.provenance.sequence_number for each in self]
        found = places(self.names, stems, stated)
        return Replicas.sorted_from([place.replica for place in found], [place.number for place in found])[0]


class Folder(AbstractCollection):
    """The files of a folder.

    Args:
        path: The folder.
        reading: How its files are read.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        found = listing(path)
        self.names = found.names
        self.passed_over = found.passed_over
        self._path = path
        self._reading = reading

    @override
    def digest(self, name: str) -> str:
        return sha256_file(self._path / name)

    @override
    def read(self, name: str) -> Configuration:
        return self._reading.read(self._path, name)


class Gathered(AbstractCollection):
    """An ensemble that was gathered from a folder by `latflow convert`.

    Args:
        path: Its directory.
        force: Take also what failed a check when it was read from its file.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self._ensemble = Ensemble.open(path, writable=False)
        self._force = force
        self.passed_over = []
        self._where: dict[str, tuple[int, int]] = {}
        self._facts: dict[str, tuple[Provenance, tuple[str, ...]]] = {}
        for block in range(self._ensemble.n_blocks):
            attributes = self._ensemble.read(block, ()).attributes
            files = attributes.get("files")
            if type(files) is not list:
                hint = "name the run that sampled it: `latflow measure RUN`"
                raise UnsupportedError(f"{path}: not gathered from files", allowed="an ensemble of files", hint=hint)
            origin, failed = attributes.get("provenance"), attributes.get("failed_checks")
            for row, name in enumerate(files):
                self._where[str(name)] = (block, row)
                facts = origin[row] if type(origin) is list else None
                bad = failed[row] if type(failed) is list else ()
                self._facts[str(name)] = from_facts(facts), tuple(map(str, bad))
        if not self._where:
            raise MissingInputError(f"{path}: no configurations yet")
        self.names = list(self._where)
        self._last: tuple[int, np.ndarray] | None = None

    @override
    def digest(self, name: str) -> str:
        return self._ensemble.entries[self._where[name][0]].sha256

    @override
    def read(self, name: str) -> Configuration:
        block, row = self._where[name]
        if self._last is None or self._last[0] != block:
            self._last = block, self._ensemble.read(block, (FIELDS,)).arrays[FIELDS]
        links = self._last[1][row]
        provenance, failed = self._facts[name]
        precision = "float32" if links.dtype == np.complex64 else "float64"
        details = {"failed when its file was read": ", ".join(failed)} if failed else {}
        found = examine(links, format="ensemble", precision=precision, details=details, provenance=provenance)
        return accept(found, self._ensemble.path / name, force=self._force)


def open_configurations(
    path: str | Path,
    *,
    shape: Sequence[int] | None = None,
    colours: int | None = None,
    precision: str | None = None,
    which: int | None = None,
    force: bool = False,
) -> AbstractCollection:
    """Gauge configurations of another code: the files of a folder, or an ensemble gathered from one.

    Args:
        path: The folder, or the directory of the ensemble.
        shape: Extents, time last, for files that do not state them.
        colours: N of SU(N), likewise.
        precision: ``float32`` or ``float64``, likewise.
        which: Number of the configuration, from 0, in ILDG and SciDAC files that hold several.
        force: Take also what fails a check; `Configuration.failed` then names it.

    Returns:
        Names, replicas with their numbers, and the configurations, read one after another.

    Raises:
        MissingInputError: If there is no such folder, or nothing in it.
        UnsupportedError: For an ensemble that was not gathered from files.
    """
    found = path_of("path", path, "a folder of gauge configurations, or an ensemble")
    return collection(found, Reading(shape, "the caller", force, colours, precision, which))


def is_collection(path: Path) -> bool:
    """Whether a directory may hold configurations of another code: it is no run."""
    return path.is_dir() and not (path / "study.toml").exists()


def collection(path: Path, reading: Reading) -> AbstractCollection:
    """The configurations in a directory.

    Raises:
        MissingInputError: There is none, or nothing in it.
        UnsupportedError: An ensemble that was not gathered from files.
    """
    if not path.is_dir():
        raise MissingInputError(f"{path}: no such folder", hint="name a folder of gauge configurations")
    if (path / _MANIFEST).exists():
        return Gathered(path, force=reading.force)
    return Folder(path, reading)


def collection_of(config: StudyConfig) -> AbstractCollection:
    """The configurations that a study names; they must be of its lattice and group."""
    settings: Any = getattr(config, "files")  # noqa: B009  (a section of the table of methods)
    group = getattr(config.action, "group", "")
    reading = Reading(config.lattice.shape, "the study", settings.force, int(group[3:-1]))
    return collection(Path(settings.folder), reading)


def replicas_of(ensemble: Ensemble) -> tuple[Replicas, Int[np.ndarray, " n"]]:
    """Replicas and numbers of the records of a run's ledger of files, and the order that brings these together."""
    names: list[str] = []
    stated: list[str] = []
    for block in ensemble.blocks(()):
        names += block.attributes["files"]
        stated += block.attributes["numbers"]
    found = places(names, [stem(name) for name in names], stated)
    return Replicas.sorted_from([place.replica for place in found], [place.number for place in found])


def require_usable(found: AbstractCollection) -> None:
    """Refuse configurations that no error could be given for, as far as their names tell, before any is read.

    Raises:
        FormatError: Two of one replica have the same number.
        TooShortError: Every replica has too few.
    """
    made = places(found.names, [stem(name) for name in found.names], [""] * len(found.names))
    replicas, _ = Replicas.sorted_from([place.replica for place in made], [place.number for place in made])
    replicas.require(replicas.size)


def projected(found: Configuration, what: str, config: StudyConfig) -> Complex[np.ndarray, "mu n n *sites"]:
    """Links in the group, in double precision, of the lattice and group of a study.

    Raises:
        UnsupportedError: Open boundaries, which are not measured here, or another lattice or group.
    """
    if found.open_boundary:
        hint = "`latflow inspect` shows what lies inside"
        raise UnsupportedError(f"{what}: boundary in time", value="open", allowed="periodic ones", hint=hint)
    if found.shape != tuple(config.lattice.shape) or f"SU({found.colours})" != getattr(config.action, "group", ""):
        has = f"SU({found.colours}), {'x'.join(map(str, found.shape))}"
        raise UnsupportedError(what, value=has, allowed="lattice and group of the study")
    return found.reunitarised().links


def study_of(path: Path, overrides: Mapping[str, str]) -> StudyConfig:
    """The study that measures a folder or an ensemble: everything at its default that the overrides do not say.

    In four dimensions the gradient flow runs to t = 6, or as far as the lattice allows; loops are smeared where there
    is a potential.

    Args:
        path: The folder or the ensemble.
        overrides: Values by dotted key, as on the command line.

    Raises:
        DataError: If the first configuration cannot be read.
        ConfigError: With every complaint about the overrides.
    """
    from latflow.study.config.study import with_overrides

    found, first = _first(path, overrides)
    shape = first.shape
    count = max(1, min(_MOST_IN_BLOCK, _BLOCK_BYTES // max(1, 2 * first.links.nbytes)))
    base = {
        "name": _name(path),
        "lattice": {"shape": list(shape)},
        "action": {"kind": _kind(), "group": f"SU({first.colours})"},
        "sampling": {"samplers": ["files"], "configurations": len(found.names), "block_size": count},
        "files": {"folder": str(path.resolve()), "force": overrides.get("files.force", "").lower() == "true"},
        "gradient_flow": _flow(shape),
        "smearing": {"kind": "ape" if len(shape) > 2 and min(shape[:-1]) > 1 and shape[-1] > 2 else "none"},
    }
    left = {key: value for key, value in overrides.items() if key != "files.force"}
    return with_overrides(StudyConfig.model_validate(base), left)


def _first(path: Path, overrides: Mapping[str, str]) -> tuple[AbstractCollection, Configuration]:
    """The configurations, and the first of them; lattice and group may be overridden."""
    shape = tuple(int(word) for word in re.findall(r"[0-9]{1,7}", overrides.get("lattice.shape", "")))
    group = re.search(r"SU\(([2-9])\)", overrides.get("action.group", ""))
    if shape and not sensible(shape):
        raise ConfigError([f"lattice.shape: {overrides['lattice.shape']}; allowed: 1 to 6 extents"])
    force = overrides.get("files.force", "").lower() == "true"
    found = collection(path, Reading(shape or None, "--lattice.shape", force, int(group[1]) if group else None))
    try:
        return found, found.read(found.names[0])
    except ShapeUnknownError as error:
        hint = "say it: --lattice.shape X Y Z T"
        raise ShapeUnknownError(error.what, value=error.value, allowed=error.allowed, hint=hint) from error


def _kind() -> str:
    """The theory of links without an action."""
    return next(kind for kind in kinds() if table_of(kind).samplers == GIVEN)


def _flow(shape: tuple[int, ...]) -> dict[str, Any]:
    if len(shape) != 4:
        return GradientFlowConfig().model_dump(mode="json")
    end = min(_LONGEST_FLOW, min(shape) ** 2 / 32)
    return {"kind": "wilson", "spacing": float(f"{end / _RECORDS:.6g}"), "records": _RECORDS}


def _name(path: Path) -> str:
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", path.resolve().name).strip("._+-")
    return plain[:100] or "configurations"
