"""Whether the training of a run stands between two sittings: begun, stopped, not at its end. Nothing imports JAX."""

import re
from pathlib import Path

from latflow.errors import LatflowError
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.methods import method_of

_STEP = re.compile(r"step-(\d+)\.json")


def unfinished(directory: Path) -> str:
    """What is to be said of a run whose training has begun and has not ended, in one sentence without a full stop.

    Args:
        directory: The run directory.

    Returns:
        The sentence; empty where the training has ended or none has begun, and where the study cannot be read.
    """
    model, study = directory / "model", directory / "study.toml"
    steps = [
        int(found[1]) for path in (model / "checkpoints").glob("**/step-*.json") if (found := _STEP.match(path.name))
    ]
    if not steps or (model / "model.json").exists() or not study.is_file():
        return ""
    try:
        config = load_study(study)
    except LatflowError:  # told where the study is used
        return ""
    if not any(method_of(name).trained for name in config.sampling.samplers):
        return ""
    return f"the training of the flow is not finished{_where(model, steps, config)}; `latflow run` goes on"


def notice(directory: Path) -> dict[str, str]:
    """What stands at the top of all that is said of a run: that it is ``unfinished``, or ``superseded``, and why.

    Args:
        directory: The run directory.

    Returns:
        At most one sentence without a full stop, by its word.
    """
    if told := unfinished(directory):
        return {"unfinished": told}
    run = directory.absolute().parent
    if run.name != SUPERSEDED or not (run.parent / "study.toml").is_file():
        return {}
    step = directory.name.removeprefix("step-").lstrip("0") or "0"
    gone_on = f"the training went on from step {step}, and this is what the flow gave before"
    return {"superseded": f"{gone_on}; the run is two directories above"}


SUPERSEDED = "superseded"
"""Directory of a run that holds what earlier models of it gave."""


def _where(model: Path, steps: list[int], config: StudyConfig) -> str:
    """Where it stands; in a curriculum steps are those of the present lattice."""
    stages = sorted(path.name for path in (model / "checkpoints").glob("stage-*"))
    if stages:
        return f": it stands on lattice {len(stages)} of its curriculum"
    most = config.training.stop.steps
    return f": it stands at step {max(steps)}{'' if most is None else f' of at most {most}'}"
