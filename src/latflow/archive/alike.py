"""What runs have in common: theory, random numbers, machine. Where they differ, a comparison says less."""

from collections.abc import Mapping, Sequence
from typing import Any

from latflow.archive.directory import Run
from latflow.display import extents
from latflow.results.error_costs import sampled_as


def differing_physics(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Keys of action and lattice that runs name differently, and the field that values are of.

    A key that a run does not name, because it is older, is not compared.

    Returns:
        The values in words, run by run, by key.
    """
    told = [_physics(run) for run in runs]
    found = {}
    for key in dict.fromkeys(key for each in told for key in each):
        values = [each[key] for each in told if key in each]
        if len(set(values)) > 1:
            found[key] = [each.get(key, "not said") for each in told]
    return found


def warnings_of(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Why runs cannot be compared in all respects, in sentences.

    Args:
        runs: Opened.
        names: How each is called.
    """
    found = []
    differing = differing_physics(runs)
    if differing:
        parts = [f"{key} ({', '.join(_told(values, names))})" for key, values in differing.items()]
        found.append(
            f"the physics differs in {'; '.join(parts)}: values need not agree, and seconds are not compared across it"
        )
    unknown = [name for run, name in zip(runs, names, strict=True) if not _physics(run)]
    if unknown:
        found.append(f"action and lattice are not known of {', '.join(unknown)}")
    machines = [_machine(run) for run in runs]
    if len({machine for machine in machines if machine}) > 1:
        found.append(f"seconds are of different machines: {', '.join(_told(machines, names))}")
    return found


def share_random_numbers(one: Run, sampler: str, other: Run, second: str) -> bool:
    """Whether two averages have the same random numbers: of one sampler, or of analyses of its draws, with one seed.

    The errors of such averages are not independent, even if settings differ. Runs whose seeds are not known count as
    independent if they are two.
    """
    same = sampled_as(sampler) == sampled_as(second)
    if one is other:
        return same
    seeds = [_seed(run) for run in (one, other)]
    return same and seeds[0] is not None and seeds[0] == seeds[1]


def _physics(run: Run) -> dict[str, str]:
    """Keys of the action, the extents, and the field of the results."""
    theory = run.results.theory
    action: Mapping[str, Any] = run.study.get("action") or ({} if theory is None else theory.action)
    found = {f"action.{key}": str(value) for key, value in action.items()}
    if run.shape is not None:
        found["lattice.shape"] = extents(run.shape)
    if run.normalisation is not None and run.normalisation.name:
        found["field"] = f"{run.normalisation.name}, {run.normalisation.rescaling:.6g}"
    return found


def _seed(run: Run) -> int | None:
    found = run.results.provenance
    return run.study.get("seed") if found is None else found.seed


def _machine(run: Run) -> str:
    found = run.results.provenance
    if found is None:
        return ""
    return found.device if found.threads is None else f"{found.device}, {found.threads} threads"


def _told(values: Sequence[str], names: Sequence[str]) -> list[str]:
    return [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]
