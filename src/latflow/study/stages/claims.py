"""Which directory a study may run in: its own, or a fork beside it.

Nothing here imports jax, so a study in the wrong directory is refused at once.
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from latflow.errors import CannotCreateError, ConfigError
from latflow.store.atomic import is_temporary
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.stages import MEASURED_ONLY
from latflow.study.context import model_identity
from latflow.tables import AbstractSection
from latflow.training.limits import LIMITS

_BEFORE_STUDY = {"model", "run.lock"}
"""What a directory may hold before a study is written to it: a model to draw from, the lock of a killed process."""

FREE_KEYS = (
    "sampling.configurations",
    "sampling.samplers",
    "quasi.points_per_scrambling",
    "training.checkpoint_minutes",
    *(f"training.stop.{name}" for name in LIMITS),
)
"""Keys that may change between two starts in one directory: they add to a run without contradicting it.

What becomes of other limits of the training says `latflow.study.limits`. The tables of `MEASURED_ONLY` may change too:
ensembles stay as they are and are measured again.
"""


def claim(config: StudyConfig, directory: Path, *, fork: bool, carry: bool = True) -> Path:
    """The directory this study may run in: `directory`, or a fork of it.

    Args:
        config: The study.
        directory: Where it is to run.
        fork: If `directory` holds another configuration, go on beside it.
        carry: Copy the model into a fork where the change does not touch it; else nothing is written.

    Raises:
        ConfigError: If `directory` holds another configuration and `fork` is false; names every differing key.
    """
    stored = directory / "study.toml"
    if not stored.exists():
        _refuse_foreign(directory)
        return directory
    differences = differing_keys(load_study(stored), config)
    if not differences:
        return directory
    if not fork:
        hint = "use --fork to go on beside it, or --run-dir for another place"
        raise ConfigError([f"{directory}: belongs to another study; {line}; {hint}" for line in differences])
    forked = directory.with_name(f"{directory.name}-{config.digest()[:8]}")
    if carry:
        _carry_over(config, directory, forked)
    return forked


def _refuse_foreign(directory: Path) -> None:
    """Refuse to scatter a run among other files."""
    foreign = sorted({path.name for path in directory.iterdir()} - _BEFORE_STUDY) if directory.is_dir() else []
    foreign = [name for name in foreign if not is_temporary(name)]
    if foreign:
        value = f"holds other files: {', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}"
        raise CannotCreateError(str(directory), value=value, hint="name an empty or a new --run-dir")


def trains(stages: Collection[str], directory: Path) -> bool:
    """Whether these stages train the flow of a run: sampling does, too, if there is no model."""
    return bool({"train", "sample"} & set(stages)) and not (directory / "model" / "model.json").exists()


def differing_keys(old: AbstractSection, new: AbstractSection) -> list[str]:
    """``key: old value → new value`` for every key that may not change within one run."""
    before, after = _flat(old), _flat(new)
    keys = sorted(set(before) | set(after))
    lines = [f"{key}: {before.get(key)} → {after.get(key)}" for key in keys if before.get(key) != after.get(key)]
    named = [(line.partition(":")[0], line) for line in lines]
    return [line for key, line in named if key not in FREE_KEYS and key.partition(".")[0] not in MEASURED_ONLY]


def _flat(config: AbstractSection) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if type(value) is dict:
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            flat[prefix] = value

    walk("", config.model_dump(mode="json", context={"every_table": True}))
    return flat


def _carry_over(config: StudyConfig, source: Path, target: Path) -> None:
    """Copy the model into a fork when the change does not touch it."""
    same = model_identity(load_study(source / "study.toml")) == model_identity(config)
    if same and (source / "model" / "model.json").exists() and not target.exists():
        target.mkdir(parents=True)
        shutil.copytree(source / "model", target / "model")
