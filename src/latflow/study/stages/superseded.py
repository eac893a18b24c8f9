"""What belongs to the weights that a training started from when it goes on: put aside, never mixed with what follows.

Everything that the earlier model gave moves to ``superseded/step-000400`` of the run, with the model and a study that
says its limits, so that its draws can still be verified and made again. Chains of other samplers stay where they are.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from latflow.store.atomic import make_directory, sha256_file, write_bytes
from latflow.study.config import StudyConfig
from latflow.study.config.methods import METHODS
from latflow.study.config.stages import StopConfig
from latflow.study.context import RunContext
from latflow.study.unfinished import SUPERSEDED

FOLDER = SUPERSEDED

_RESULTS = {
    # Of the flow and of chains, which are not here: under their usual names they would be taken for those of this part.
    "ensembles/evidence.h5": "evidence-of-the-run.h5",
    "results.json": "results-of-the-run.json",
    "report.html": "report.html",
    "figures": "figures",
}


def place_of(context: RunContext, step: int) -> Path:
    """Where that goes which belongs to the model after so many steps."""
    return context.path(FOLDER, f"step-{step:06d}")


def model_hash(context: RunContext, step: int) -> str | None:
    """SHA-256 of the header of a model that was put aside; None if there is none of that step."""
    path = place_of(context, step) / "model" / "model.json"
    return sha256_file(path) if path.exists() else None


def put_aside(context: RunContext, *, step: int, stop: dict[str, Any]) -> None:
    """Move all that belongs to the model of a run; killed in the midst of it, the same call finishes it.

    Args:
        context: The run, whose study has other limits already.
        step: Steps of the model.
        stop: The limits it was trained by.
    """
    place, model = place_of(context, step), context.path("model")
    make_directory(place / "model")
    write_bytes(place / "study.toml", _study_of(context.config, stop).to_toml().encode())
    samplers = [name for name, method in METHODS.items() if method.trained]
    for kind in ("ensembles", "measurements"):
        for name in samplers:
            _move(context.path(kind, name), place / kind / name)
    for name, new in _RESULTS.items():
        _move(context.path(name), place / new)
    for name in ("weights.safetensors", "train.jsonl"):
        shutil.copyfile(model / name, place / "model" / name)
    context.record(stage=FOLDER, step=step, samplers=samplers)
    # The header last: while it is there, the run has the earlier model, and all this is done again.
    _move(model / "model.json", place / "model" / "model.json")
    context.progress.line(f"train    {_told(context, place, step)}")


def _study_of(config: StudyConfig, stop: dict[str, Any]) -> StudyConfig:
    """The study with the limits of the model that was put aside."""
    training = config.training.model_copy(update={"stop": StopConfig.model_validate(stop)})
    return config.model_copy(update={"training": training})


def _move(source: Path, target: Path) -> None:
    if source.exists() and not target.exists():
        make_directory(target.parent)
        os.replace(source, target)


def _told(context: RunContext, place: Path, step: int) -> str:
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    kept = f"what the flow of step {step} gave is kept in {place.relative_to(context.directory)}, {size / 2**20:.1f} MB"
    chains = [name for name in METHODS if not METHODS[name].trained and context.path("ensembles", name).exists()]
    stay = f"; {', '.join(chains)} {'stays' if len(chains) == 1 else 'stay'}" if chains else ""
    return f"{kept}, and used no more{stay}"
