"""The scaling command: dry run, and run with a table of exponents."""

import sys
from pathlib import Path

from latflow.cli.boundary import last_words
from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json, table_lines
from latflow.cli.stages import refuse_directory
from latflow.study.config.methods import METHODS
from latflow.study.config.scaling import ScalingConfig
from latflow.study.preflight import Order
from latflow.study.stages.claims import trains


def dry_run(config: ScalingConfig, directory: Path, *, machine: bool) -> None:
    """Print the resolved scaling study and the plan of every run; write nothing.

    Raises:
        CannotCreateError, MissingInputError, DataError, UnavailableError: What `run` would be refused for.
    """
    refuse_directory(directory)
    prepare_jax()
    from latflow.study.plan import plan

    _require_possible(config, directory)
    plans = {name: plan(study) for name, study in config.runs()}
    if machine:
        emit_json({"study": config.model_dump(mode="json"), "run_dir": str(directory), "plans": plans})
        return
    emit(config.to_toml())
    rows = [["run", "samplers", "parameters", "training at most", "disk"]]
    for name, study in config.runs():
        needs = plans[name]
        train = needs["seconds"]["train"]
        rows.append(
            [
                str(directory / name),
                ", ".join(study.sampling.samplers),
                f"{needs['parameters']:,}",
                "unknown" if train is None else f"{train:.0f} s",
                f"{needs['disk_bytes'] / 2**20:.0f} MiB",
            ]
        )
    emit("\n".join(f"# {line}" for line in table_lines(rows)))


def run(config: ScalingConfig, directory: Path, *, machine: bool) -> None:
    """Run a scaling study and print its exponents.

    Raises:
        CannotCreateError: If the directory cannot be one.
        MissingInputError, DataError: If the trainings cannot start from the model that the study names.
        UnavailableError: If one of them needs more memory than the machine has left.
    """
    refuse_directory(directory)
    prepare_jax()
    from latflow.cli.progress import progress_on
    from latflow.report import write_report
    from latflow.report.scaling import scaling_lines, write_scaling_report
    from latflow.study.scaling import run_scaling

    _require_possible(config, directory)
    with progress_on(sys.stderr) as progress:
        words = last_words(progress.close, machine=machine)
        found = run_scaling(config, directory, progress=progress, write_report=write_report, overdue=words)
    page = write_scaling_report(directory)
    if machine:
        emit_json(found.plain())
        return
    emit("\n".join(scaling_lines(found)))
    emit(f"report: {page}")


def _require_possible(config: ScalingConfig, directory: Path) -> None:
    """Refuse a model that the flow of some size cannot start from, and too little memory; nothing is written then."""
    from latflow.study.models import require_start
    from latflow.study.plan import require_room_for

    for name, study in config.runs():
        if (directory / name / "results.json").exists():
            continue
        samplers = study.sampling.samplers
        untrained = any(METHODS[each].trained for each in samplers) and trains(("train",), directory / name)
        if untrained:
            require_start(study)
        stages = ("train", "sample", "measure")
        require_room_for(Order(study, directory / name, stages, tuple(samplers), needs_model=untrained))
