"""Runs beside each other: values with the differences between runs, and what errors cost against one of them.

A difference is given in combined errors where the two averages have independent random numbers. Seconds are compared
where action, lattice and couplings are the same; where they are not, nothing but a warning is said of two runs.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latflow.archive.alike import differing_physics, share_random_numbers, warnings_of
from latflow.archive.collection import found_runs, require_among
from latflow.archive.directory import Run, load
from latflow.errors import MissingInputError, UsageError
from latflow.results import ErrorCost, EstimateRecord, Results, error_costs
from latflow.results.error_costs import error_costs_beside, sampled_as
from latflow.stats.estimates import pull
from latflow.study.config.methods import BASELINE, STYLES


@dataclass(frozen=True)
class ComparedAverage:
    """One scalar average of one run.

    Attributes:
        run: Number of the run.
        estimate: The average.
        chains_agree: Whether the chains behind it agree (R̂); None where they are too short to say so, or no chains.
        pull: Its difference from the reference average of the observable, in combined errors; None of that average,
            where an error is not to be believed, and where both have the same random numbers.
    """

    run: int
    estimate: EstimateRecord
    chains_agree: bool | None
    pull: float | None


@dataclass(frozen=True)
class Difference:
    """A difference of two averages of one observable from different runs, in combined errors."""

    observable: str
    averages: tuple[ComparedAverage, ComparedAverage]
    pull: float


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Attributes:
        runs: Opened.
        names: How each is called.
        baseline: Number of the run whose chains costs are compared with, and whose averages values are.
        observables: Names, in order.
        averages: Scalar ones, by observable, run and sampler.
        differences: Of all pairs of averages from different runs with independent random numbers.
        costs: Of the errors, for every run; those of another theory than the baseline's claim no gain.
        warnings: Why the runs cannot be compared in all respects; empty if nothing is known.
    """

    runs: tuple[Run, ...]
    names: tuple[str, ...]
    baseline: int
    observables: tuple[str, ...]
    averages: tuple[ComparedAverage, ...]
    differences: tuple[Difference, ...]
    costs: tuple[tuple[ErrorCost, ...], ...]
    warnings: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        costs = [
            {"run": name, **cost.model_dump()}
            for name, found in zip(self.names, self.costs, strict=True)
            for cost in found
        ]
        return {
            "runs": {name: str(run.path) for name, run in zip(self.names, self.runs, strict=True)},
            "baseline": self.names[self.baseline],
            "warnings": list(self.warnings),
            "averages": [
                {
                    "run": self.names[each.run],
                    **each.estimate.model_dump(),
                    "chains_agree": each.chains_agree,
                    "pull": each.pull,
                }
                for each in self.averages
            ],
            "differences": [
                {
                    "observable": each.observable,
                    "runs": [self.names[average.run] for average in each.averages],
                    "samplers": [average.estimate.sampler for average in each.averages],
                    "pull": each.pull,
                }
                for each in self.differences
            ],
            "error_costs": costs,
        }


def compare_runs(
    paths: Sequence[Path],
    *,
    baseline: Path | None = None,
    observables: Collection[str] = (),
    samplers: Collection[str] = (),
) -> Comparison:
    """Put runs beside each other.

    Args:
        paths: Run directories, folders of them, or ensembles of runs, RUN/ensembles/SAMPLER, for that sampler alone.
        baseline: The one of them whose chains costs are compared with; by default the first that has HMC.
        observables: Which scalar ones; by default all.
        samplers: Whose averages; by default all.

    Raises:
        MissingInputError: If a path holds no analysed run, or none has a scalar average.
        UsageError: If there are fewer than two, or none has what is asked for.
        DataError: If a file is damaged.
    """
    places = _distinct([place for path in paths for place in _places(path)])
    opened = {path: load(path) for path, _ in places}
    runs = [opened[path] for path, _ in places]
    names = tuple(_names(places))
    results = [_of_sampler(opened[path].results, sampler) for path, sampler in places]
    rows = [(i, row) for i, each in enumerate(results) for row in each.estimates if not row.is_array]
    if not rows:
        raise MissingInputError(str(paths[0]), value="no estimate of a scalar observable")
    require_among("--observables", observables, [row.observable for _, row in rows])
    require_among("--samplers", samplers, [row.sampler for _, row in rows])
    of = _baseline(results, places, baseline)
    order = list(observables) or [n for run in runs for n in run.results.in_order(run.results.observables)]
    kept = [(i, row) for i, row in rows if row.observable in order and (not samplers or row.sampler in samplers)]
    found = _averages(runs, kept, list(dict.fromkeys(order)), of)
    wanted = {(each.run, each.estimate.observable, each.estimate.sampler) for each in found}
    costs = _costs(runs, results, of)
    return Comparison(
        runs=tuple(runs),
        names=names,
        baseline=of,
        observables=tuple(dict.fromkeys(each.estimate.observable for each in found)),
        averages=tuple(found),
        differences=tuple(_differences(runs, found, of)),
        costs=tuple(tuple(c for c in own if (i, c.observable, c.sampler) in wanted) for i, own in enumerate(costs)),
        warnings=tuple(warnings_of(runs, names)),
    )


def _places(path: Path) -> list[tuple[Path, str]]:
    """Runs that a path stands for, each with the sampler whose averages alone are meant; empty for all."""
    run = path.parent.parent
    if path.parent.name == "ensembles" and (run / "results.json").is_file() and path.is_dir():
        return [(run, path.name)]
    return [(found, "") for found in found_runs([path])]


def _distinct(given: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Every run once, however its path is written."""
    found: dict[tuple[Path, str], tuple[Path, str]] = {}
    for path, sampler in given:
        found.setdefault((path.resolve(), sampler), (path, sampler))
    if len(found) < 2:
        value = "the same run" if len(given) > 1 else f"{len(given)} run(s)"
        raise UsageError("compare", value=value, allowed="two or more run directories")
    return list(found.values())


def _names(places: Sequence[tuple[Path, str]]) -> Iterable[str]:
    """The last part of a path where that tells all apart, else the whole; with the sampler if only that is meant."""
    short = [path.resolve().name for path, _ in places]
    paths = dict.fromkeys(path for path, _ in places)
    unique = len({path.resolve().name for path in paths}) == len(paths)
    for (path, sampler), name in zip(places, short, strict=True):
        own = name if unique else str(path)
        yield f"{own}/{sampler}" if sampler else own


def _of_sampler(results: Results, sampler: str) -> Results:
    """Results with the averages of one ensemble alone; all of them without a sampler."""
    kept = (row for row in results.estimates if not sampler or sampled_as(row.sampler) == sampler)
    return results.model_copy(update={"estimates": tuple(kept)})


def _baseline(results: Sequence[Results], places: Sequence[tuple[Path, str]], asked: Path | None) -> int:
    if asked is not None:
        (place, *more) = _places(asked)
        if more or place not in places:
            raise UsageError("--baseline", value=str(asked), allowed=", ".join(str(path) for path, _ in places))
        return places.index(place)
    return next((i for i, each in enumerate(results) if BASELINE in {row.sampler for row in each.estimates}), 0)


def _averages(
    runs: Sequence[Run], rows: Sequence[tuple[int, EstimateRecord]], order: Sequence[str], of: int
) -> list[ComparedAverage]:
    """Averages by observable, run and sampler, with their differences from that of the baseline."""
    styles = list(STYLES)
    found = []
    for name in order:
        group = [(i, row) for i, row in rows if row.observable == name]
        if not group:
            continue
        group.sort(key=lambda each: (each[0], styles.index(s) if (s := each[1].sampler) in styles else len(styles)))
        first = next((each for each in group if each[0] == of and each[1].sampler == BASELINE), None)
        first = first or next((each for each in group if each[0] == of), group[0])
        for each in group:
            i, row = each
            value = None if each is first else _pull(runs, each, first)
            found.append(ComparedAverage(i, row, _agree(runs[i], row), value))
    return found


def _agree(run: Run, row: EstimateRecord) -> bool | None:
    found = run.results.chains.get(row.sampler)
    return None if found is None else found.agree


def _pull(runs: Sequence[Run], one: tuple[int, EstimateRecord], other: tuple[int, EstimateRecord]) -> float | None:
    """(a − b) / √(σ_a² + σ_b²); None where it says nothing."""
    (i, a), (j, b) = one, other
    x, y = a.number, b.number
    if x is None or y is None or _agree(runs[i], a) is False or _agree(runs[j], b) is False:
        return None
    if share_random_numbers(runs[i], a.sampler, runs[j], b.sampler):
        return None
    value = pull(x, y)
    return value if math.isfinite(value) else None


def _differences(runs: Sequence[Run], found: Sequence[ComparedAverage], of: int) -> Iterable[Difference]:
    """Of all pairs from two runs, less what is of the baseline, as the differences from it are."""
    for pair in itertools.combinations(found, 2):
        a, b = reversed(pair) if pair[0].run == of else pair
        if a.run != b.run and a.estimate.observable == b.estimate.observable:
            value = _pull(runs, (a.run, a.estimate), (b.run, b.estimate))
            if value is not None:
                yield Difference(a.estimate.observable, (a, b), value)


def _costs(runs: Sequence[Run], results: Sequence[Results], of: int) -> list[tuple[ErrorCost, ...]]:
    """Costs against the baseline for runs of its theory; of others what they are, without a claim."""
    alike = [i for i, run in enumerate(runs) if not differing_physics([runs[of], run])]
    found = error_costs_beside([results[i] for i in alike], baseline=BASELINE, of=alike.index(of))
    beside = dict(zip(alike, found, strict=True))
    silent = {"against": "", "gain": None, "gain_error": None, "break_even": None}
    return [
        beside[i] if i in beside else tuple(c.model_copy(update=silent) for c in error_costs(each, baseline=BASELINE))
        for i, each in enumerate(results)
    ]
