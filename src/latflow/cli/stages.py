"""Running stages of a study: finding it, checks before anything is imported, and printing of the results."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latflow.cli.boundary import last_words
from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json
from latflow.errors import ConfigError
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.methods import METHODS
from latflow.study.preflight import examined, ordered
from latflow.study.preflight import refuse_directory as refuse_directory

if TYPE_CHECKING:
    from latflow.results import Results


@dataclasses.dataclass(frozen=True)
class Place:
    """A study file and its run directory.

    Args:
        study: The study file.
        directory: The run directory it belongs to, if it was named by that.
    """

    study: Path
    directory: Path | None


def find_place(named: Path) -> Place:
    """The study that the user named: a file, or a run directory, which keeps its own."""
    stored = named / "study.toml"
    return Place(stored, named) if stored.is_file() else Place(named, None)


def load_place(place: Place, overrides: Mapping[str, str]) -> StudyConfig:
    """The study of a place.

    Raises:
        ConfigError: If the run was made with packages that are not here, naming them alone; else as `load_study`.
    """
    try:
        return load_study(place.study, overrides)
    except ConfigError:
        if place.directory is None:
            raise
        from latflow.study.absent import absent

        missing = absent(place.directory)
        if missing.parts:
            raise ConfigError([f"{place.directory}: {missing}"]) from None
        raise


def report_alone(named: Path) -> bool:
    """Write the report of a run whose packages are not all installed, from its results; false for any other path."""
    if not ((named / "results.json").is_file() and (named / "study.toml").is_file()):
        return False
    from latflow.study.absent import absent

    missing = absent(named)
    if not missing.parts:
        return False
    from latflow.report import write_report

    emit(f"{missing}; reported as it was analysed")
    emit(f"report: {write_report(named)}")
    return True


def dry_run(
    config: StudyConfig,
    directory: Path,
    *,
    stages: tuple[str, ...],
    samplers: tuple[str, ...],
    machine: bool,
    fork: bool = False,
) -> None:
    """Print the resolved study and the plan of what it would need; write nothing.

    Raises:
        LatflowError: What `run` would be refused for.
    """
    order = examined(config, directory, stages=stages, samplers=samplers, fork=fork)
    config, directory = order.config, order.directory
    prepare_jax()
    from latflow.study.free_memory import memory_lines
    from latflow.study.models import course, require_start
    from latflow.study.plan import plan, require_room_for
    from latflow.study.rehearsal import rehearse

    if order.needs_model:
        require_start(config)
    rehearse(config, stages=stages, samplers=order.samplers)
    require_room_for(order)
    needs = plan(config)
    if order.needs_model and config.training.curriculum.extents:
        needs["lattices_trained_on"] = " → ".join(str(max(stage.lattice.shape)) for stage in course(config))
    if machine:
        emit_json({"study": config.model_dump(mode="json"), "run_dir": str(directory), "plan": needs})
        return
    # the study as a run keeps it, without the tables that none of its samplers reads
    emit(config.to_toml(samplers=config.sampling.samplers))
    trained = any(METHODS[name].trained for name in config.sampling.samplers)
    wanted = needs if trained else _without_training(needs)
    first = [f"run directory: {directory}", *order.notes, *memory_lines(needs)]
    emit("\n".join(f"# {line}" for line in [*first, *_plan_lines(wanted)]))


def run(
    config: StudyConfig,
    directory: Path,
    *,
    stages: tuple[str, ...],
    samplers: tuple[str, ...],
    fork: bool,
    machine: bool,
) -> None:
    """Run stages and print what they found.

    Raises:
        LatflowError: What `latflow.study.preflight.ordered` refuses, and what the stages raise.
    """
    order = ordered(config, directory, stages=stages, samplers=samplers, fork=fork)
    prepare_jax()
    from latflow.cli.progress import progress_on
    from latflow.study.run import run_order

    reports: list[Path] = []

    def write(run_directory: Path) -> Path:
        from latflow.report import write_report

        reports.append(write_report(run_directory))
        return reports[-1]

    with progress_on(sys.stderr) as progress:
        words = last_words(progress.close, machine=machine)
        results = run_order(order, progress=progress, write_report=write, overdue=words)
    _show(results, reports, order.directory, machine=machine)


def _show(results: "Results | None", reports: list[Path], directory: Path, *, machine: bool) -> None:
    from latflow.study.unfinished import notice

    told = notice(directory)
    if machine:
        emit_json({**({} if results is None else results.plain()), **told})
        return
    for word, text in told.items():
        emit(f"{word}: {text}")
    if results is not None and results.estimates:
        from latflow.report import summary_lines

        emit("\n".join(summary_lines(results)))
    emit(f"report: {reports[-1]}" if reports else f"run directory: {directory}")


def _without_training(needs: dict[str, Any]) -> dict[str, Any]:
    """The figures of a plan that do not concern a flow."""
    of_flows = {"parameters", "training", "train", "sample_flow"}
    kept = {name: value for name, value in needs.items() if name not in of_flows}
    return {name: _without_training(value) if type(value) is dict else value for name, value in kept.items()}


_TOLD = ("memory_needed_bytes", "memory_free_bytes")
"""Figures of a plan that are told in a sentence."""


def _plan_lines(needs: dict[str, Any], *, prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in ((name, value) for name, value in needs.items() if name not in _TOLD):
        words = f"{prefix}{name.replace('_', ' ')}"
        if type(value) is dict:
            lines += _plan_lines(value, prefix=f"{words}, ")
        else:
            lines.append(f"{words}: {_amount(name, words, value)}")
    return lines


def _amount(name: str, words: str, value: Any) -> str:
    """A figure of the plan with its unit, taken from the word that names it."""
    if type(value) not in (int, float):
        return "unknown" if value is None else str(value)
    if "bytes" in words:
        return f"{value / 2**20:.1f} MiB"
    return f"{value:.0f} s" if words.startswith("seconds") or name.endswith("seconds") else f"{value:,}"
