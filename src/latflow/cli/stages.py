"""Running stages of a study: where it is, what is refused before anything is imported, what is printed after."""

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json
from latflow.errors import CannotCreateError, MissingInputError, UsageError
from latflow.study.config import StudyConfig
from latflow.study.config.reading import did_you_mean
from latflow.study.stages.claims import claim, trains

if TYPE_CHECKING:
    from latflow.results import Results


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a study lies.

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


def dry_run(
    config: StudyConfig, directory: Path, *, stages: tuple[str, ...], samplers: tuple[str, ...], machine: bool
) -> None:
    """Print the resolved study and the plan of what it would need; write nothing.

    Raises:
        UsageError, CannotCreateError, MissingInputError, DataError: What `run` would be refused for.
    """
    _refuse_samplers(samplers, config.sampling.samplers)
    _refuse_training(samplers or config.sampling.samplers, stages=stages)
    refuse_directory(directory)
    if "sample" in stages and config.sampling.start_from is not None:
        _require_given(config, directory)
    needs_start = "flow" in (samplers or config.sampling.samplers) and trains(stages, directory)
    if needs_start:
        _require_start(config, directory, stages=stages)
    prepare_jax()
    from latflow.study.models import course, require_start
    from latflow.study.plan import plan

    if needs_start:
        require_start(config)
    needs = plan(config)
    if needs_start and config.training.curriculum.extents:
        needs["lattices_trained_on"] = " → ".join(str(max(stage.lattice.shape)) for stage in course(config))
    if machine:
        emit_json({"study": config.model_dump(mode="json"), "run_dir": str(directory), "plan": needs})
        return
    # the study as a run keeps it, without the tables that none of its samplers reads
    emit(config.to_toml(samplers=config.sampling.samplers))
    wanted = needs if "flow" in config.sampling.samplers else _without_training(needs)
    emit("\n".join(f"# {line}" for line in [f"run directory: {directory}", *_plan_lines(wanted)]))


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
        UsageError: If a sampler is named that the study does not have.
        CannotCreateError: If the run directory cannot be one.
        MissingInputError: If there is nothing to report on.
    """
    _refuse_samplers(samplers, config.sampling.samplers)
    _refuse_training(samplers or config.sampling.samplers, stages=stages)
    refuse_directory(directory)
    if "flow" in (samplers or config.sampling.samplers):
        _require_start(config, directory, stages=stages)
    if "sample" in stages and config.sampling.start_from is not None:
        _require_given(config, directory)
    directory = claim(config, directory, fork=fork)
    if "analyse" in stages and "measure" not in stages and not (directory / "measurements").is_dir():
        raise MissingInputError(str(directory), value="nothing was measured", hint="run `latflow run` first")
    prepare_jax()
    from latflow.cli.progress import progress_on
    from latflow.study.run import run_stages

    reports: list[Path] = []

    def write(run_directory: Path) -> Path:
        from latflow.report import write_report

        reports.append(write_report(run_directory))
        return reports[-1]

    with progress_on(sys.stderr) as progress:
        results = run_stages(
            config,
            directory,
            stages=stages,
            progress=progress,
            samplers=samplers or None,
            fork=fork,
            write_report=write,
        )
    _show(results, reports, directory, machine=machine)


def _refuse_training(samplers: Sequence[str], *, stages: tuple[str, ...]) -> None:
    """Training alone, of a study without a flow, would do nothing."""
    if stages == ("train",) and "flow" not in samplers:
        raise UsageError(
            "train", value=f"no flow among the samplers {', '.join(samplers)}", hint="name the study's flow"
        )


def _require_start(config: StudyConfig, directory: Path, *, stages: tuple[str, ...]) -> None:
    """Refuse a training from a model that is not there, before its name is left in a directory."""
    from latflow.study.card import model_path

    start = config.training.start_from
    if start is not None and trains(stages, directory):
        model_path(start)


def _require_given(config: StudyConfig, directory: Path) -> None:
    from latflow.study.given_start import require_given

    require_given(config, directory)


def _show(results: "Results | None", reports: list[Path], directory: Path, *, machine: bool) -> None:
    if machine:
        emit_json({} if results is None else results.plain())
        return
    if results is not None and results.estimates:
        from latflow.report import summary_lines

        emit("\n".join(summary_lines(results)))
    emit(f"report: {reports[-1]}" if reports else f"run directory: {directory}")


def _refuse_samplers(asked: tuple[str, ...], known: tuple[str, ...]) -> None:
    for word in asked:
        if word not in known:
            hint = did_you_mean(word, known) or "they are the study's sampling.samplers"
            raise UsageError("--samplers", value=repr(word), allowed=", ".join(known), hint=hint)


def refuse_directory(directory: Path) -> None:
    """Refuse a place where no directory can be made.

    Raises:
        CannotCreateError: Naming what stands in the way.
    """
    for path in (directory, *directory.parents):
        if path.exists():
            if not path.is_dir():
                raise CannotCreateError(str(directory), value=f"{path} is a file", hint="name another --run-dir")
            if not os.access(path, os.W_OK | os.X_OK):
                raise CannotCreateError(str(directory), value=f"{path} is not writable", hint="name another --run-dir")
            return


def _without_training(needs: dict[str, Any]) -> dict[str, Any]:
    """The figures of a plan that speak of no flow."""
    of_flows = {"parameters", "training", "train", "sample_flow"}
    kept = {name: value for name, value in needs.items() if name not in of_flows}
    return {name: _without_training(value) if type(value) is dict else value for name, value in kept.items()}


def _plan_lines(needs: dict[str, Any], *, prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in needs.items():
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
