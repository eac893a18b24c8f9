"""What a stored run was made with and is not here: theories, samplers, flows and observables of other packages.

The results of a run hold its words and numbers, so that it can be read, reported and checked for damage without them.
No JAX here.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from latflow.errors import LatflowError
from latflow.flows.tables import flow_tables
from latflow.study.config import StudyConfig
from latflow.study.config.methods import METHODS
from latflow.study.config.reading import read_table
from latflow.theories.catalogue import all_words, kinds
from latflow.theories.further import further

_NO_PACKAGES = frozenset({"latflow", "python"})
"""Versions in the provenance of results that are those of no package, or of this one."""


@dataclasses.dataclass(frozen=True)
class Absent:
    """What is missing to go on with a run.

    Attributes:
        parts: What its study names and nothing here brings, such as ``sampler 'normals'``; empty if all is there.
        packages: Packages and versions that its results were made with and are not installed.
    """

    parts: tuple[str, ...]
    packages: tuple[str, ...]

    def __str__(self) -> str:
        """What is missing and the packages to install, in one line."""
        made = f"the run was made with {', '.join(self.packages)}"
        hint = made if self.packages else "`latflow doctor` says which plug-ins cannot be used"
        return f"not installed: {', '.join(self.parts)}; {hint}"


def absent(run: Path) -> Absent:
    """What the stored study of a run names and is not here; of packages those that its results name.

    Args:
        run: A directory with a ``study.toml``; of one that cannot be read nothing is said.
    """
    try:
        study = read_table(run / "study.toml")
    except LatflowError:  # whoever reads it next refuses it
        return Absent((), ())
    parts = tuple(dict.fromkeys(_parts(study)))
    return Absent(parts, _packages(run / "results.json") if parts else ())


def _parts(study: Mapping[str, Any]) -> Iterator[str]:
    """In the order of a study; a value of the wrong type is not looked at, since the study itself refuses it."""
    kind = _of(study, "action", "kind")
    if type(kind) is str and kind not in kinds():
        yield f"theory {kind!r}"
    flow = _of(study, "flow", "kind")
    if type(flow) is str and flow not in flow_tables():
        yield f"flow {flow!r}"
    named = [name for name, table in study.items() if type(table) is dict and name not in StudyConfig.model_fields]
    for name in (*_texts(study, "sampling", "samplers"), *named):
        if name not in METHODS:
            yield f"sampler {name!r}"
    known = {*all_words(), *further()}
    for name in _texts(study, "measure", "observables") if kind in kinds() else ():
        if name not in known:
            yield f"observable {name!r}"


def _packages(results: Path) -> tuple[str, ...]:
    from latflow.study.wording import read_results  # slow, and rarely needed

    try:
        provenance = read_results(results).provenance
    except LatflowError:  # there are none, or they are damaged, which is told elsewhere
        return ()
    found = {} if provenance is None else provenance.versions
    return tuple(f"{name} {found[name]}" for name in sorted(found) if name not in _NO_PACKAGES and not _is_here(name))


def _is_here(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _of(study: Mapping[str, Any], table: str, key: str) -> Any:
    found = study.get(table)
    return found.get(key) if type(found) is dict else None


def _texts(study: Mapping[str, Any], table: str, key: str) -> tuple[str, ...]:
    found = _of(study, table, key)
    return tuple(name for name in found if type(name) is str) if type(found) is list else ()
