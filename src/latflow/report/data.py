"""Contents of a run directory, finished or not: the numbers of its report are read here.

A run may be unfinished: no trained flow, one sampler missing, nothing analysed against a reference. What is
absent is therefore `None` or an empty collection; a file that exists and cannot be read is refused by name.
"""

import functools
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latflow.errors import DataError, MissingInputError
from latflow.results import FlowFigures, Results, Theory
from latflow.results.records import Reals
from latflow.stats.estimates import Estimate
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import CHAINS
from latflow.study.wording import read_results, stored_theory


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
    return run


def has_flow(run: Run) -> bool:
    """Whether the study samples a flow or the results hold figures of one; true if the study does not name samplers."""
    named = run.study.get("sampling", {}).get("samplers")
    return named is None or "flow" in named or run.results.flow is not None


@dataclass(frozen=True)
class Shown:
    """Configurations picked for showing.

    Attributes:
        planes: One two-dimensional array per configuration; a plane of it where the lattice has more dimensions.
        label: Which draws or chain records they are.
    """

    planes: list[np.ndarray]
    label: str


def configurations(
    run: Run, sampler: str, number: int, *, picture: Callable[[np.ndarray], np.ndarray] | None = None
) -> Shown | None:
    """The last configurations of an ensemble, `number` of them: distinct accepted draws, or distinct chains.

    Only the newest block is read, so memory does not grow with the run. None where only the ledger was kept.

    Args:
        run: The run.
        sampler: Whose.
        number: How many.
        picture: From one configuration to the array that is shown of it; by default a plane of a scalar field.
    """
    plane = picture or _plane
    ensemble = run.ensembles.get(sampler)
    if ensemble is None or ensemble.n_blocks == 0 or "fields" in ensemble.manifest["identity"]:
        return None
    last = ensemble.n_blocks - 1
    if sampler not in CHAINS:
        arrays = ensemble.read(last, names=["fields", "accepted"]).arrays
        positions = np.flatnonzero(arrays["accepted"])
        chosen = positions[_spread(len(positions), number)]
        first = ensemble.n_records - len(arrays["accepted"])
        return Shown([plane(arrays["fields"][i]) for i in chosen], f"draws {_listed(first + chosen)}")
    fields = ensemble.read(last, names=["fields"]).arrays["fields"]
    records, chains = fields.shape[:2]
    # the ledger counts configurations of all chains
    first = (ensemble.n_records - ensemble.entries[last].n) // chains
    if chains >= number:
        columns = _spread(chains, number)
        label = f"record {first + records - 1} of chains {_listed(columns)}"
        return Shown([plane(fields[-1, c]) for c in columns], label)
    rows = _spread(records, number)
    return Shown([plane(fields[i, 0]) for i in rows], f"records {_listed(first + rows)} of chain 0")


def one_field(run: Run) -> np.ndarray | None:
    """A configuration of the run, whichever sampler made it; None where none is stored."""
    for sampler, ensemble in run.ensembles.items():
        if ensemble.n_blocks and "fields" not in ensemble.manifest["identity"]:
            fields = ensemble.read(0, names=["fields"]).arrays["fields"]
            return fields[(0,) * (2 if sampler in CHAINS else 1)]
    return None


def accepted(run: Run, sampler: str) -> np.ndarray | None:
    """Accept decisions of every step, thinned away or not, shape (chains, n)."""
    flags = _column(run.ensembles.get(sampler), "accepted")
    return None if flags is None else _chains_first(flags)


def log_weights(run: Run) -> np.ndarray | None:
    """Log w of every flow draw, accepted or not, shape (n,)."""
    return _column(run.ensembles.get("flow"), "log_weight")


def series(run: Run, sampler: str, observable: str) -> np.ndarray | None:
    """History of a measured primitive along the Markov chains, shape (chains, n).

    For the flow the chain repeats its standing draw at every rejection, as its errors require.
    """
    values = _measured(run, sampler, observable)
    if values is None or sampler in CHAINS:
        return None if values is None else _chains_first(values)
    index = _column(run.ensembles.get(sampler), "index")
    if index is None:
        return None
    standing = index[: len(values)]
    return values[standing[standing >= 0]][None]


def draws(run: Run, observable: str) -> tuple[np.ndarray, np.ndarray] | None:
    """A measured primitive of every flow draw and its log w, each of shape (n,)."""
    values, weights = _measured(run, "flow", observable), log_weights(run)
    if values is None or weights is None:
        return None
    n = min(len(values), len(weights))
    return values[:n], weights[:n]


def flow_times(results: Results) -> np.ndarray:
    """Times of the gradient flow that was measured, from 0 on; empty without one."""
    return np.array(() if results.gradient_flow is None else results.gradient_flow.times, dtype=float)


def vector(values: Reals) -> np.ndarray:
    """A field of an estimate as an array of floats, NaN where it is null; empty if there is none."""
    return np.array([] if values is None else values, dtype=float).reshape(-1)


def curve(run: Run, observable: str, sampler: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions on its axis, values and errors of an array-valued estimate where both are finite; else empty."""
    entry, axis = run.results.estimate(observable, sampler), run.results.words(observable).axis
    value, error = (vector(None), vector(None)) if entry is None else (vector(entry.value), vector(entry.error))
    if error.size != value.size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    kept = np.isfinite(value) & np.isfinite(error)
    positions = np.arange(value.size) if axis is None or axis.values is None else np.array(axis.values)
    return positions[kept], value[kept], error[kept]


def reference(run: Run, observable: str) -> Estimate | None:
    """Known value of a scalar observable and its error (0 for exact ones)."""
    return next((row.known for row in run.results.of(observable) if row.known is not None), None)


def reference_source(run: Run, observable: str) -> str:
    """The source of the known value of an observable, as the results give it; empty if they do not."""
    return next((row.reference_source for row in run.results.of(observable) if row.reference_source), "")


def _spread(available: int, number: int) -> np.ndarray:
    """Up to `number` distinct positions spread evenly over ``range(available)``, the last one included."""
    return np.unique(np.linspace(0, available - 1, min(number, available)).round().astype(int))


def _listed(numbers: np.ndarray) -> str:
    return ", ".join(str(number) for number in numbers)


def _plane(field: np.ndarray) -> np.ndarray:
    """Two dimensions of a configuration: a single column for one, the plane through the origin for more than two."""
    return field.reshape(-1, 1) if field.ndim == 1 else field[(..., *(0,) * (field.ndim - 2))]


def _chains_first(values: np.ndarray) -> np.ndarray:
    """Axes (records, chains) or (n,) turned into (chains, n)."""
    return values[None] if values.ndim == 1 else values.T


def _column(ensemble: Ensemble | None, name: str) -> np.ndarray | None:
    """A column over all blocks; None for an ensemble that is absent or empty."""
    return None if ensemble is None or ensemble.n_blocks == 0 else ensemble.column(name)


def _measured(run: Run, sampler: str, observable: str) -> np.ndarray | None:
    """A measured column; None where it was not measured."""
    ensemble = run.measurements.get(sampler)
    if ensemble is None or ensemble.n_blocks == 0 or observable not in ensemble.read(0).arrays:
        return None
    return ensemble.column(observable)


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
