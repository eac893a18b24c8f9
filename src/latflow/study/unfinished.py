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


def _where(model: Path, steps: list[int], config: StudyConfig) -> str:
    """Where it stands; in a curriculum steps are those of the present lattice."""
    stages = sorted(path.name for path in (model / "checkpoints").glob("stage-*"))
    if stages:
        return f": it stands on lattice {len(stages)} of its curriculum"
    most = config.training.stop.steps
    return f": it stands at step {max(steps)}{'' if most is None else f' of at most {most}'}"
