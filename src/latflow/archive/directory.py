"""A run directory, finished or not, opened for reading.

A run may be unfinished: no trained flow, one sampler missing, nothing analysed. What is absent is `None` or an empty
collection; a file that exists and cannot be read is refused by name.
"""

import functools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latflow.archive.arrays import StoredEnsemble, frame
from latflow.display import extents
from latflow.errors import DataError, MissingInputError, UsageError
from latflow.given import path_of
from latflow.results import EstimateRecord, FlowFigures, Normalisation, Results, Theory
from latflow.store.ensemble import Ensemble
from latflow.study.context import theory_differences
from latflow.study.wording import read_results, stored_normalisation, stored_theory


@dataclass(frozen=True)
class Run:
    """One run directory, opened.

    Attributes:
        path: The directory.
        results: `results.json`, without estimates if nothing has been analysed yet.
        study: The resolved `study.toml`, empty if there is none. Its theory and methods may be those of a plug-in that
            is not installed, so it is plain data.
        training: Records of `model/train.jsonl` in order of steps; a resumed training keeps the last record of a step.
        model: Header of the trained model, None before training has ended.
        ensembles: Configurations by sampler.
        measurements: Measurements by sampler.
    """

    path: Path
    results: Results
    study: Mapping[str, Any]
    training: tuple[Mapping[str, Any], ...]
    model: Mapping[str, Any] | None
    ensembles: Mapping[str, Ensemble]
    measurements: Mapping[str, Ensemble]

    def __repr__(self) -> str:
        known = f"{len(self.results.observables)} observables" if self.is_analysed else "not analysed"
        lattice = "" if self.shape is None else f"{extents(self.shape)}, "
        return f"Run({self.path}: {lattice}{', '.join(self.samplers) or 'no ensemble'}; {known})"

    @property
    def samplers(self) -> list[str]:
        """Samplers with an ensemble on disk."""
        return list(self.ensembles)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Extents of the lattice, if the study names them."""
        shape = self.study.get("lattice", {}).get("shape")
        if shape is None:
            return None if self.results.theory is None else self.results.theory.lattice
        return tuple(shape)

    @property
    def theory(self) -> Theory | None:
        """The theory as the results describe it, or as the study names it while there are none."""
        return self.results.theory or stored_theory(self.study)

    @property
    def normalisation(self) -> Normalisation | None:
        """The field that results are of, and the measure of log Z; None if the theory is not known here."""
        return self.results.normalisation or stored_normalisation(self.study)

    @property
    def rescaling(self) -> float:
        """The field of the study over the house field, in which configurations and columns are stored."""
        return 1.0 if self.normalisation is None else self.normalisation.rescaling

    @property
    def log_z_shift(self) -> float:
        """Log Z of the field of the study minus that of the house field."""
        return 0.0 if self.normalisation is None else self.normalisation.log_z_shift

    @property
    def flow(self) -> FlowFigures:
        """The figures of the flow; all absent if there is none."""
        return self.results.flow or FlowFigures()

    @property
    def is_analysed(self) -> bool:
        """Whether there are results."""
        return self.results.provenance is not None

    def holds(self, *names: str) -> bool:
        """Whether any of these is an observable of the results or a measured column."""
        return any(name in self.results.observables or name in self.columns for name in names)

    def ensemble(self, sampler: str) -> StoredEnsemble:
        """The configurations of a sampler and what was measured of them, as arrays.

        Raises:
            UsageError: If it has no ensemble here.
        """
        if sampler not in self.ensembles:
            raise UsageError("sampler", value=repr(sampler), allowed=" or ".join(self.ensembles) or "none yet")
        study = self.study.get("name") or self.path.name
        return StoredEnsemble(study, self.ensembles[sampler], self.measurements.get(sampler), self.results.observables)

    def estimates(self, observable: str) -> tuple[EstimateRecord, ...]:
        """All estimates of one observable, one for every sampler, of the field of the study.

        Raises:
            UsageError: If there is none.
        """
        found = self.results.of(observable)
        if not found:
            allowed = ", ".join(self.results.observables) or "none, the run was not analysed"
            raise UsageError("observable", value=repr(observable), allowed=allowed)
        return found

    def to_dataframe(self) -> Any:
        """All scalar estimates as a `pandas.DataFrame`, a row for each observable and sampler.

        Raises:
            UnavailableError: If pandas is not installed.
        """
        rows = [row.model_dump() for row in self.results.estimates if not row.is_array]
        return frame(rows)

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        """Names of the measured columns of all samplers."""
        measured = (found for found in self.measurements.values() if found.n_blocks)
        return frozenset(name for found in measured for name in found.read(0).arrays)


def load(path: Path) -> Run:
    """Open a run directory for reading.

    Args:
        path: The run directory; it must exist and hold a study, results or an ensemble.

    Returns:
        Everything found; what is not there yet is empty.
    """
    if not path.is_dir():
        raise MissingInputError("run directory", value=str(path), hint="give a directory made by `latflow run`")
    run = Run(
        path=path,
        results=_results(path / "results.json"),
        study=_study(path / "study.toml"),
        training=_training(path / "model" / "train.jsonl"),
        model=_json(path / "model" / "model.json"),
        ensembles=_open_all(path / "ensembles"),
        measurements=_open_all(path / "measurements"),
    )
    if not (run.is_analysed or run.study or run.ensembles):
        raise MissingInputError(
            "run directory", value=str(path), hint="it holds no study.toml, results.json or ensemble; is it a run?"
        )
    _require_own_study(run)
    return run


def _require_own_study(run: Run) -> None:
    """Refuse a study that says another theory than the ensembles and results beside it were made for.

    Raises:
        DataError: If lattice or action differ in a key that both name.
    """
    there = {f"ensembles/{name}": found.manifest["identity"] for name, found in run.ensembles.items()}
    if run.results.theory is not None:
        found = run.results.theory
        there["results.json"] = {"lattice": {"shape": list(found.lattice)}, "action": dict(found.action)}
    for where, identity in there.items():
        for key, own, made in theory_differences(run.study, identity):
            hint = "the file was changed after the run: put it back; another study needs another directory"
            raise DataError(str(run.path / "study.toml"), value=f"{key} = {own}, but {made} in {where}", hint=hint)


def open_run(path: str | Path) -> Run:
    """A run directory for reading: results, estimates, and ensembles as arrays.

    Nothing on the disk is touched, so a run may be read while it goes on.

    Args:
        path: The run directory.

    Raises:
        TypeError: If `path` is no path.
        MissingInputError: If it is no run.
        DataError: If a file in it is damaged, or its study was changed after the run.
    """
    return load(path_of("path", path, "a run directory"))


def open_ensemble(path: str | Path) -> StoredEnsemble:
    """One ensemble for reading, with what was measured of it where it lies in a run.

    Args:
        path: The directory of the ensemble, ``RUN/ensembles/SAMPLER``.

    Raises:
        TypeError: If `path` is no path.
        MissingInputError: If there is no ensemble.
        DataError: If a file of it is damaged.
    """
    directory = path_of("path", path, "RUN/ensembles/SAMPLER")
    ensemble = Ensemble.open(directory, writable=False)
    run = directory.absolute().parents[1]
    if (run / "ensembles").is_dir() and (run / "study.toml").is_file():
        return load(run).ensemble(directory.name)
    return StoredEnsemble(directory.name, ensemble, None, {})


def _open_all(folder: Path) -> dict[str, Ensemble]:
    """Every ensemble in `folder`, by name."""
    manifests = sorted(folder.glob("*/manifest.json"))
    return {manifest.parent.name: Ensemble.open(manifest.parent, writable=False) for manifest in manifests}


def _training(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Records by step; a last line cut off by a crash is dropped, a damaged one elsewhere is refused."""
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    by_step: dict[int, Mapping[str, Any]] = {}
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines) - 1:
                break
            raise DataError(f"{path}, line {number + 1}", value=str(error), allowed="one JSON object a line") from error
        if not (isinstance(record, dict) and isinstance(record.get("step"), int)):
            raise DataError(
                f"{path}, line {number + 1}", value=line[:60], allowed="an object with a whole number 'step'"
            )
        by_step[record["step"]] = record
    return tuple(by_step[step] for step in sorted(by_step))


def _results(path: Path) -> Results:
    """`results.json`; without it, results that hold nothing."""
    return read_results(path) if path.is_file() else Results(study="")


def _study(path: Path) -> Mapping[str, Any]:
    study = _toml(path)
    _require_tables(path, study, ("lattice", "action", "flow", "sampling"))
    return study


def _require_tables(path: Path, content: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(content.get(name) or {}, dict):
            raise DataError(f"{path}, {name}", value=repr(content[name])[:60], allowed="a table")


def _json(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(str(path), value=str(error), allowed="a JSON object") from error
    if not isinstance(content, dict):
        raise DataError(str(path), value=type(content).__name__, allowed="a JSON object")
    return content


def _toml(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(str(path), value=str(error), allowed="a TOML study") from error
