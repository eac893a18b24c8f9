"""Limits of a training that differ from those a run was begun with: it goes on, ends, or stays as it is.

The log of the training says which limits are met. Nothing here imports JAX, so a run that cannot go on is refused at
once.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latflow.errors import ConfigError
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.stages import default_warmup
from latflow.study.stages.claims import differing_keys
from latflow.training.limits import LIMITS, first_met


@dataclasses.dataclass(frozen=True)
class Settled:
    """A study as it runs in a directory that may hold a run of it.

    Attributes:
        config: The study; what cannot change any more is as it was.
        notes: What was not done as asked for, in words.
        goes_on: Whether a finished training goes on.
    """

    config: StudyConfig
    notes: tuple[str, ...] = ()
    goes_on: bool = False


def limits_of(config: StudyConfig) -> dict[str, Any]:
    """The table ``[training.stop]`` as plain data."""
    return config.training.stop.model_dump(mode="json")


def settled(config: StudyConfig, directory: Path, *, trains: bool) -> Settled:
    """Settle the warm-up and the limits of the training with those of the run that `directory` holds.

    Args:
        config: The study as it was given.
        directory: The run directory.
        trains: Whether anything that is asked for trains a flow.

    Raises:
        ConfigError: If the limits ask for more of a training whose optimiser was not kept.
    """
    if not (directory / "study.toml").exists():
        return Settled(config)
    stored = load_study(directory / "study.toml")
    config, notes = _warmed_alike(config, stored)
    if limits_of(config) == limits_of(stored) or differing_keys(stored, config):
        return Settled(config, notes)
    as_before = _with_training(config, stop=stored.training.stop)
    if not trains:
        return Settled(as_before, (*notes, "the limits of the training stay as they are: nothing is trained here"))
    if not (directory / "model" / "model.json").exists():
        return Settled(config, notes)
    history = own_history(training_records(directory / "model"))
    met = first_met(limits_of(config), history)
    if met is not None:
        what = f"training.stop.{met} = {limits_of(config)[met]:g} is met already, at step {history[-1]['step']}"
        return Settled(as_before, (*notes, f"{what}: the training and its limits stay as they are"))
    if history and not is_kept(directory / "model"):
        changes = "; ".join(changed_limits(limits_of(stored), limits_of(config)))
        what = f"{directory}: {changes}; this run was made by a version that kept no state of the optimiser"
        raise ConfigError([f"{what}; train on from its model in another directory: --run-dir NEW --from {directory}"])
    return Settled(config, notes, goes_on=bool(history))


def changed_limits(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[str]:
    """``training.stop.steps: 60 → 5000`` for every limit that differs; those that were not recorded are left out."""
    names = () if old is None else (name for name in LIMITS if old.get(name) != new.get(name))
    return [f"training.stop.{name}: {_word((old or {}).get(name))} → {_word(new.get(name))}" for name in names]


def is_kept(model: Path) -> bool:
    """Whether the state in which a training ended is there, beside its model."""
    return any((model / "checkpoints").glob("**/step-*.json"))


def training_records(model: Path) -> list[dict[str, Any]]:
    """The whole lines of ``train.jsonl``; none if there is no log that can be read."""
    try:
        lines = (model / "train.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except (OSError, ValueError):  # found, and told, where the model is loaded
        return []


def own_history(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records of the last training of a curriculum, counted from its own beginning.

    In the log steps and seconds count from the beginning of the first, and each begins at the step where the one before
    ended.
    """
    starts = [i for i in range(1, len(records)) if records[i]["step"] == records[i - 1]["step"]]
    if not starts:
        return [dict(record) for record in records]
    before = records[starts[-1] - 1]
    return [
        {**record, "step": record["step"] - before["step"], "seconds": record["seconds"] - before["seconds"]}
        for record in records[starts[-1] :]
    ]


def _warmed_alike(config: StudyConfig, stored: StudyConfig) -> tuple[StudyConfig, tuple[str, ...]]:
    """A warm-up that follows from the number of steps stays what it was when the run began."""
    was, now = stored.training.warmup_steps, config.training.warmup_steps
    if was == now or now != default_warmup(config.training.stop.steps):
        return config, ()
    return _with_training(config, warmup_steps=was), (f"training.warmup_steps stays {was}, as this run began",)


def _with_training(config: StudyConfig, **changes: Any) -> StudyConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def _word(limit: float | None) -> str:
    return "none" if limit is None else f"{limit:g}"
