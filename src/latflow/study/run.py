"""The run verb: all stages of a study in order, in one locked directory, each resuming where it was stopped."""

from collections.abc import Callable
from pathlib import Path

from latflow.results import Results
from latflow.store.atomic import clean_temporaries, write_bytes
from latflow.store.interrupts import Interrupts
from latflow.store.lock import RunLock
from latflow.study.config import StudyConfig
from latflow.study.config.stages import SAMPLERS
from latflow.study.context import Progress, RunContext
from latflow.study.given_start import require_given
from latflow.study.models import require_start
from latflow.study.stages.analysis import analyse
from latflow.study.stages.chain_ensemble import sample_chains
from latflow.study.stages.claims import claim, trains
from latflow.study.stages.evidence import collect
from latflow.study.stages.flow_ensemble import sample_flow
from latflow.study.stages.measuring import measure
from latflow.study.stages.training import train

STAGES = ("train", "sample", "measure", "analyse", "report")
"""The stages of a study, in order."""


def run_stages(
    config: StudyConfig,
    directory: Path,
    *,
    stages: tuple[str, ...],
    progress: Progress,
    samplers: tuple[str, ...] | None = None,
    fork: bool = False,
    write_report: Callable[[Path], Path] | None = None,
) -> Results | None:
    """Run the named stages of a study; what is up to date is not run again.

    Args:
        config: The study.
        directory: Run directory; created if need be.
        stages: Subset of `STAGES`.
        progress: Display.
        samplers: Samplers to sample and measure; by default those of the study.
        fork: If the directory belongs to another configuration, go on in a new directory beside it.
        write_report: What the report stage calls with the run directory; reports stand above studies, so the caller
            brings it.

    Returns:
        The content of ``results.json`` if it was analysed, else None.

    Raises:
        ConfigError: If the directory belongs to another configuration and `fork` is false, or the training cannot
            start from the model that the study names; nothing is written then.
        CannotCreateError: If another process works in the directory.
        Interrupted: After a signal; everything done so far is saved.
    """
    directory = claim(config, directory, fork=fork)
    samplers = tuple(samplers or config.sampling.samplers)
    if "flow" in samplers and trains(stages, directory):
        require_start(config)
    if "sample" in stages:
        require_given(config, directory)
    with RunLock(directory), Interrupts() as interrupts:
        clean_temporaries(directory)
        write_bytes(directory / "study.toml", config.to_toml().encode())
        context = RunContext(config=config, directory=directory, progress=progress, interrupts=interrupts)
        results = _run(context, stages, samplers)
        if "report" in stages and write_report is not None:
            progress.stage("report", "figures and report.html")
            with context.timed(stage="report"):
                write_report(directory)
        return results


def _run(context: RunContext, stages: tuple[str, ...], samplers: tuple[str, ...]) -> Results | None:
    if "train" in stages and "flow" in samplers:
        train(context)
    if "sample" in stages:
        for sampler in sorted(samplers, key=SAMPLERS.index):
            if sampler == "flow":
                sample_flow(context)
            else:
                sample_chains(context, sampler)
    if "measure" in stages:
        for sampler in samplers:
            measure(context, sampler)
    if "analyse" in stages:
        collect(context)
        return analyse(context)
    return None
