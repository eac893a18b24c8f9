"""The run verb: all stages of a study in order, in one locked directory, each resuming where it was stopped."""

from collections.abc import Callable
from pathlib import Path

from latflow.errors import Interrupted
from latflow.results import Results
from latflow.store.atomic import clean_temporaries, write_bytes
from latflow.store.interrupts import Interrupts
from latflow.store.lock import RunLock
from latflow.study.compiling import CompilerWatch
from latflow.study.config import StudyConfig
from latflow.study.config.methods import METHODS
from latflow.study.context import Progress, RunContext
from latflow.study.models import require_start
from latflow.study.plan import require_room_for
from latflow.study.preflight import Order, ordered
from latflow.study.rehearsal import rehearse
from latflow.study.stages.analysis import analyse
from latflow.study.stages.chains import sample_chains
from latflow.study.stages.draws import sample_draws
from latflow.study.stages.evidence import collect
from latflow.study.stages.files import gather
from latflow.study.stages.measuring import measure
from latflow.study.stages.reducing import reduce_averages
from latflow.study.stages.scramblings import sample_scramblings
from latflow.study.stages.training import train
from latflow.study.theories import study_physics

STAGES = ("train", "sample", "measure", "reduce", "analyse", "report")
"""The stages of a study, in order; measuring is followed by the reduction of the samplers that the study names."""

SAMPLE = {"chains": sample_chains, "draws": sample_draws, "scramblings": sample_scramblings, "files": gather}
"""How an ensemble is made, by the stage of its method."""


def run_stages(
    config: StudyConfig,
    directory: Path,
    *,
    stages: tuple[str, ...],
    progress: Progress,
    samplers: tuple[str, ...] | None = None,
    fork: bool = False,
    write_report: Callable[[Path], Path] | None = None,
    overdue: Callable[[Interrupted], object] | None = None,
) -> Results | None:
    """Run the named stages of a study; what is up to date is not run again.

    Args:
        config: The study.
        directory: Run directory; created if need be.
        stages: Subset of `STAGES`.
        progress: Display.
        samplers: Samplers to sample and measure; by default those of the study.
        fork: If the directory belongs to another configuration, go on in a new directory beside it.
        write_report: As for `run_order`.
        overdue: As for `run_order`.

    Returns:
        The content of ``results.json`` if it was analysed, else None.

    Raises:
        LatflowError: What `latflow.study.preflight.ordered` refuses, and what `run_order` raises.
    """
    order = ordered(config, directory, stages=stages, samplers=samplers or (), fork=fork)
    return run_order(order, progress=progress, write_report=write_report, overdue=overdue)


def run_order(
    order: Order,
    *,
    progress: Progress,
    write_report: Callable[[Path], Path] | None = None,
    overdue: Callable[[Interrupted], object] | None = None,
) -> Results | None:
    """Run the stages of an order.

    Args:
        order: Stages in a claimed directory, from `latflow.study.preflight.ordered`.
        progress: Display.
        write_report: What the report stage calls with the run directory; studies do not import reports, so the caller
            passes it.
        overdue: Called with the message when a signal has waited too long for the current unit of work, and the
            process is about to end; by default it waits as long as it takes.

    Returns:
        The content of ``results.json`` if it was analysed, else None.

    Raises:
        MissingInputError, DataError, ConfigError: If the training cannot start from the model that the study names, or
            a plug-in does not give what it should; nothing is written then.
        UnavailableError: If it needs more memory than the machine has left; nothing is written then.
        CannotCreateError: If another process works in the directory.
        Interrupted: After a signal; everything done so far is saved.
    """
    config, directory = order.config, order.directory
    study_physics(config)  # an observable that is not defined for these fields is refused before anything is done
    if order.needs_model:
        require_start(config)
    rehearse(config, stages=order.stages, samplers=order.samplers)
    require_room_for(order)
    with RunLock(directory) as lock, Interrupts(overdue=overdue and released(lock, overdue)) as interrupts:
        clean_temporaries(directory)
        write_bytes(directory / "study.toml", config.to_toml().encode())
        context = RunContext(config=config, directory=directory, progress=progress, interrupts=interrupts)
        for note in order.notes:
            progress.line(note)
        with CompilerWatch(progress):
            results = _run(context, order)
        if "report" in order.stages and write_report is not None:
            progress.stage("report", "figures and report.html")
            with context.timed(stage="report"):
                write_report(directory)
        return results


def released(lock: RunLock, overdue: Callable[[Interrupted], object]) -> Callable[[Interrupted], None]:
    """What is done before a process ends in the middle of its work: the directory is free for the next one."""

    def leave(message: Interrupted) -> None:
        lock.release()
        overdue(message)

    return leave


def _run(context: RunContext, order: Order) -> Results | None:
    stages = order.stages
    if "train" in stages and any(METHODS[name].trained for name in order.samplers):
        train(context)
    if "sample" in stages:
        for name in (name for name in METHODS if name in order.samplers):
            SAMPLE[METHODS[name].stage](context, name)
    if "measure" in stages:
        for name in order.samplers:
            measure(context, name)
    if {"measure", "reduce"} & set(stages):
        for name in (name for name in context.config.reduce.samplers if name in order.samplers):
            reduce_averages(context, name)
    if "analyse" in stages:
        collect(context)
        return analyse(context)
    return None
