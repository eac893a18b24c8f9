"""The checks of a run that need no jax, made once, before anything slow begins.

The command line asks for an `Order` before it imports jax; `latflow.study.run` does the work of an order.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from latflow.errors import CannotCreateError, MissingInputError, UsageError
from latflow.study.card import model_path
from latflow.study.config import StudyConfig
from latflow.study.config.doubling import notes_on_flow
from latflow.study.config.methods import method_of
from latflow.study.config.reading import did_you_mean
from latflow.study.given_start import require_given
from latflow.study.limits import settled
from latflow.study.stages.claims import claim, trains
from latflow.study.unfinished import unfinished


@dataclasses.dataclass(frozen=True)
class Order:
    """Stages of a study in a directory that may hold them.

    Attributes:
        config: The study.
        directory: The run directory.
        stages: What is to be done.
        samplers: The samplers for which it is done.
        needs_model: Whether the stages train a flow that one of the samplers needs.
        notes: What is not done as it was asked for, and what should be known before, in words.
    """

    config: StudyConfig
    directory: Path
    stages: tuple[str, ...]
    samplers: tuple[str, ...]
    needs_model: bool
    notes: tuple[str, ...] = ()


def ordered(
    config: StudyConfig, directory: Path, *, stages: tuple[str, ...], samplers: Sequence[str] = (), fork: bool = False
) -> Order:
    """Check what was asked for, and claim the directory.

    Args:
        config: The study.
        directory: The run directory.
        stages: Stages to run.
        samplers: Samplers of the study to work for; all if empty.
        fork: If the directory belongs to another configuration, go on in a new one beside it.

    Raises:
        UsageError: If a sampler is named that the study does not have, or training is all and nothing is trained.
        ConfigError: If the directory belongs to another configuration and `fork` is false.
        CannotCreateError: If the run directory cannot be one.
        MissingInputError, DataError: If a file that the study names is not there or cannot be used, or there is
            nothing to analyse.
    """
    order = examined(config, directory, stages=stages, samplers=samplers, fork=fork)
    place = claim(order.config, directory, fork=fork)
    needs_model = order.needs_model if place == directory else _trains(order.samplers, stages, place)
    return dataclasses.replace(order, directory=place, needs_model=needs_model)


def examined(
    config: StudyConfig, directory: Path, *, stages: tuple[str, ...], samplers: Sequence[str] = (), fork: bool = False
) -> Order:
    """Check what was asked for, as `ordered`, but write nothing."""
    known = config.sampling.samplers
    _refuse_samplers(samplers, known)
    wanted = tuple(samplers or known)
    of_flows = any(method_of(name).trained for name in wanted)
    if stages == ("train",) and not of_flows:
        value, hint = f"no flow among the samplers {', '.join(wanted)}", "name the study's flow"
        raise UsageError("train", value=value, hint=hint)
    refuse_directory(directory)
    found = settled(config, directory, trains=of_flows and bool({"train", "sample"} & set(stages)))
    config = found.config
    place = claim(config, directory, fork=fork, carry=False)
    if "analyse" in stages and "measure" not in stages and not (place / "measurements").is_dir():
        hint = unfinished(place) or "run `latflow run` first"
        raise MissingInputError(str(place), value="nothing was measured", hint=hint)
    needs_model = found.goes_on or _trains(wanted, stages, directory)
    if needs_model and config.training.start_from is not None:
        model_path(config.training.start_from)
    if "sample" in stages and config.sampling.start_from is not None:
        require_given(config, directory)
    notes = (*found.notes, *(notes_on_flow(config) if needs_model else ()))
    return Order(config, place, stages, wanted, needs_model, notes)


def _trains(samplers: Sequence[str], stages: tuple[str, ...], directory: Path) -> bool:
    return any(method_of(name).trained for name in samplers) and trains(stages, directory)


def _refuse_samplers(asked: Sequence[str], known: Sequence[str]) -> None:
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
