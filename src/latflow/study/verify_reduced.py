"""Whether the corrected averages of a run are there and unchanged, and so are the Stein fields that made them."""

import contextlib
from collections.abc import Collection
from pathlib import Path

from latflow.errors import LatflowError, MissingInputError
from latflow.study.checks import MISSING, Check
from latflow.study.stages.carried import require_fields
from latflow.study.stages.reducing import FIELDS, place_of, reduction_of
from latflow.study.wording import read_results

REDUCED = "reduced"


def verify_reduced(path: Path) -> list[Check]:
    """One check of every sampler whose averages were corrected, by what is there and by what the results name.

    Args:
        path: The run directory.
    """
    there = {found.name for found in (path / REDUCED).glob("*") if found.is_dir()}
    return [_verified(path, name) for name in sorted(there | _named(path))]


def missing_averages(inputs: Collection[str], now: Collection[str]) -> set[str]:
    """Names of corrected averages among the inputs of results that are not there now; they have a check of their own.

    Args:
        inputs: What the results were made of.
        now: What is there.
    """
    return {key for key in inputs if key.startswith(f"{REDUCED}/") and key not in now}


def _named(path: Path) -> set[str]:
    """Samplers whose corrected averages the results were made of; damaged results are told of elsewhere."""
    with contextlib.suppress(LatflowError):
        if (path / "results.json").exists() and (provenance := read_results(path / "results.json").provenance):
            return {key.partition("/")[2] for key in provenance.inputs if key.startswith(f"{REDUCED}/")}
    return set()


def _verified(path: Path, sampler: str) -> Check:
    name = f"{REDUCED}/{sampler}: averages{' and fields' if _has_fields(path, sampler) else ''}"
    try:
        _require_whole(path, sampler)
    except MissingInputError as error:
        return Check(name, str(error), "there; `latflow reduce` makes it anew", passed=False, state=MISSING)
    except LatflowError as error:
        return Check(name, str(error), "not damaged; `latflow reduce` makes it anew", passed=False)
    return Check(name, "match", "match", passed=True)


def _has_fields(path: Path, sampler: str) -> bool:
    """Whether averages have Stein fields beside them; those of a flow have none. Damaged ones do not tell."""
    with contextlib.suppress(LatflowError):
        return reduction_of(path, sampler).get(FIELDS, "not said") is not None
    return True


def _require_whole(path: Path, sampler: str) -> None:
    """The averages are whole, and the fields beside them are those that they name."""
    file = place_of(path, sampler)
    if not file.exists():
        raise MissingInputError(str(file), value="not there")
    require_fields(file.parent / FIELDS, reduction_of(path, sampler).get(FIELDS))
