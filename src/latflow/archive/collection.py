"""Observables of many runs side by side, against the parameters in which the runs differ."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latflow.archive.directory import Run, load
from latflow.errors import MissingInputError, UsageError
from latflow.given import path_of, require_type
from latflow.results import EstimateRecord, Observable

EXTENT = "L"
"""Name of the parameter that stands for ``lattice.shape`` where all extents are equal."""

_SECTIONS = ("lattice", "action")
"""Tables of a study whose keys are parameters of the theory; others are taken only if they are named."""


@dataclass(frozen=True)
class Row:
    """One estimate of one run.

    Attributes:
        run: Directory of the run.
        parameters: Value of every parameter of the collection, by key.
        estimate: The estimate, of a scalar observable.
        normalisation: Of the field that the estimate is of; empty where it has none.
        chains_agree: Whether the chains behind it agree (R̂); None where they are too short to say so, or no chains.
    """

    run: str
    parameters: Mapping[str, Any]
    estimate: EstimateRecord
    normalisation: str = ""
    chains_agree: bool | None = None

    def plain(self) -> dict[str, Any]:
        """Plain data: the run, its parameters, the estimate, its field and the agreement of its chains."""
        about = {"normalisation": self.normalisation, "chains_agree": self.chains_agree}
        return {"run": self.run, **self.parameters, **self.estimate.model_dump(), **about}


@dataclass(frozen=True)
class RunTable:
    """Estimates of many runs.

    Attributes:
        keys: The parameters: keys of the study in which the runs differ, or those that were asked for.
        rows: Ordered by observable, parameters and sampler.
        words: How observables are written, by name.
        fields: The fields that estimates are of, in words, one for every normalisation there is.
    """

    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    words: Mapping[str, Observable]
    fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n = len({row.run for row in self.rows})
        against = ", ".join(self.keys) or "nothing"
        return f"RunTable({n} runs against {against}: {', '.join(self.observables)}; {', '.join(self.samplers)})"

    @property
    def observables(self) -> tuple[str, ...]:
        """Names of the observables, in order."""
        return tuple(dict.fromkeys(row.estimate.observable for row in self.rows))

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers, in order."""
        return tuple(dict.fromkeys(row.estimate.sampler for row in self.rows))

    def of(self, observable: str) -> tuple[Row, ...]:
        """The rows of one observable."""
        return tuple(row for row in self.rows if row.estimate.observable == observable)

    def csv(self) -> str:
        """Comma-separated values with a heading; what is absent is empty."""
        text = io.StringIO()
        plain = [row.plain() for row in self.rows]
        writer = csv.DictWriter(text, list(plain[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue()


def found_runs(paths: Sequence[Path]) -> list[Path]:
    """The analysed runs that are named, and those inside folders that are named.

    Raises:
        MissingInputError: If a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(file.parent for file in path.glob("*/results.json"))
        if (path / "results.json").is_file():
            found.append(path)
        elif inside:
            found += inside
        else:
            raise MissingInputError(str(path), value="no analysed run", hint="`latflow run` writes them")
    return list(dict.fromkeys(found))


def collect_runs(
    paths: Sequence[str | Path] | str | Path,
    *,
    observables: Collection[str] | str = (),
    samplers: Collection[str] | str = (),
    against: Collection[str] | str = (),
) -> RunTable:
    """The scalar estimates of many runs.

    Args:
        paths: Run directories, or folders of them; one or several.
        observables: Which; by default all.
        samplers: Whose; by default all.
        against: Keys of the study; by default the numbers of lattice and action in which the runs differ.

    Raises:
        MissingInputError: If a path holds no analysed run.
        UsageError: If no run has an observable, sampler or key that is asked for.
        DataError: If a file is damaged.
    """
    observables, samplers, against = (_several(names) for names in (observables, samplers, against))
    named = [paths] if isinstance(paths, str | Path) else paths
    require_type("paths", named, Iterable, "run directories, or folders of them")
    runs = [load(path) for path in found_runs([path_of("paths", path, "a run") for path in named])]
    studies = [_parameters(run) for run in runs]
    keys = _asked(against, studies) if against else _differing(studies)
    estimates = [(run, p, e) for run, p in zip(runs, studies, strict=True) for e in run.results.estimates]
    scalars = [(run, p, e) for run, p, e in estimates if not e.is_array]
    require_among("--observables", observables, [e.observable for _, _, e in scalars])
    require_among("--samplers", samplers, [e.sampler for _, _, e in scalars])
    order = list(observables) or _order(runs)
    ranks = {sampler: rank for rank, sampler in enumerate(dict.fromkeys(e.sampler for _, _, e in scalars))}
    rows = [
        Row(str(run.path), {key: p.get(key) for key in keys}, e, _normalisation(run), _agree(run, e.sampler))
        for run, p, e in scalars
        if e.observable in order and (not samplers or e.sampler in samplers)
    ]
    rows.sort(key=lambda row: (order.index(row.estimate.observable), _rank(row, keys), ranks[row.estimate.sampler]))
    words = {name: _words(runs, name) for name in order}
    fields = dict.fromkeys(f.words for run in runs if (f := run.normalisation) is not None and f.words)
    return RunTable(keys, tuple(rows), words, tuple(fields))


def _normalisation(run: Run) -> str:
    return "" if run.normalisation is None else run.normalisation.name


def _parameters(run: Run) -> dict[str, Any]:
    """All scalar keys of a study by dotted path, and the extent of a lattice whose extents are equal."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", run.study or _theory(run))
    shape = flat.get("lattice.shape")
    if shape is not None:
        flat["lattice.shape"] = "×".join(map(str, shape))
        if len(set(shape)) == 1:
            flat[EXTENT] = shape[0]
    return flat


def _theory(run: Run) -> dict[str, Any]:
    """What the results say of a study whose file is not there."""
    theory = run.results.theory
    return {} if theory is None else {"lattice": {"shape": list(theory.lattice)}, "action": dict(theory.action)}


def _several(names: Collection[str] | str) -> Collection[str]:
    return (names,) if isinstance(names, str) else names


def _agree(run: Run, sampler: str) -> bool | None:
    found = run.results.chains.get(sampler)
    return None if found is None else found.agree


def _differing(studies: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Keys of lattice and action that are not the same in all studies; the extent in place of equal shapes."""
    names = dict.fromkeys(key for study in studies for key in study if key.partition(".")[0] in _SECTIONS)
    differing = [key for key in names if len({str(study.get(key)) for study in studies}) > 1]
    if "lattice.shape" in differing and all(EXTENT in study for study in studies):
        differing[differing.index("lattice.shape")] = EXTENT
    return tuple(differing)


def _asked(against: Collection[str], studies: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    known = sorted({key for study in studies for key in study})
    for key in against:
        if key not in known:
            close = [name for name in known if name.endswith(f".{key}")]
            raise UsageError("--against", value=repr(key), allowed=" or ".join(close) or ", ".join(known))
    return tuple(against)


def require_among(option: str, asked: Collection[str], there: Sequence[str]) -> None:
    """Refuse a name that no run has.

    Raises:
        UsageError: Naming what there is.
    """
    for name in asked:
        if name not in there:
            raise UsageError(option, value=repr(name), allowed=", ".join(dict.fromkeys(there)) or "of analysed runs")


def _order(runs: Sequence[Run]) -> list[str]:
    """Observables of all runs in the order of the first that has them."""
    return list(dict.fromkeys(name for run in runs for name in run.results.in_order(run.results.observables)))


def _words(runs: Sequence[Run], observable: str) -> Observable:
    known = (run for run in runs if observable in run.results.observables)
    return next(known, runs[0]).results.words(observable)


def _rank(row: Row, keys: Sequence[str]) -> tuple[Any, ...]:
    """By the values of the parameters: numbers by size, words by their letters, what is absent first."""
    values = [row.parameters[key] for key in keys]
    return tuple((0, v, "") if isinstance(v, int | float) else (1, 0, str(v)) for v in values)
