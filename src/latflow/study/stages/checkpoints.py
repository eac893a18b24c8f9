"""Checkpoints of a training in a run: at evaluations, and every minute between them.

A checkpoint at an evaluation holds the state, which is good, and all records up to it. Between evaluations the state
alone is kept beside it, in ``between``: a training that goes on makes no step twice and, if its numbers stop being
finite, still returns to the evaluation. The last checkpoint of a finished training stays: from there it goes on when
its limits are raised. `limits` say which limits were in force from which step on.
"""

import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any

from latflow.errors import Interrupted
from latflow.store.records import ChecksumError
from latflow.study.context import RunContext
from latflow.study.limits import changed_limits, limits_of
from latflow.study.stages.provenance import origin, require_generator
from latflow.training.fit import FitProgress
from latflow.training.limits import first_met
from latflow.training.model_file import Checkpoint, load_checkpoint, save_checkpoint
from latflow.training.schedules import Optimiser
from latflow.training.steps import TrainingState

BETWEEN = "between"
"""Directory, beside the checkpoints, of a state between two evaluations."""

_SECONDS_BETWEEN_UPDATES = 2.0

Limits = list[dict[str, Any]]
"""Entries ``{"from": step, "stop": limits}`` in order; limits that an older version did not record are null."""


@dataclasses.dataclass(frozen=True)
class Begun:
    """Where a training stands.

    Attributes:
        progress: From where it goes on.
        limits: Those in force so far, the present ones last.
    """

    progress: FitProgress
    limits: Limits


def begun(context: RunContext, directory: Path, template: TrainingState) -> Begun:
    """The training as its checkpoints tell, or its beginning if there are none.

    Raises:
        DataError: If checkpoints are damaged, or were made with another generator of random numbers.
    """
    checkpoint = load_checkpoint(directory, template)
    if checkpoint is None:
        return Begun(FitProgress(template), [{"from": 0, "stop": limits_of(context.config)}])
    header = checkpoint.header
    require_generator(header.get("origin"), what=str(directory))
    for skipped in checkpoint.skipped:
        context.progress.line(f"train    checkpoint {skipped} is damaged; going on from step {checkpoint.step}")
    between = _between(context, directory, template, checkpoint)
    ahead = None if between is None else between.state
    elapsed = (checkpoint if between is None else between).header["seconds"]
    progress = FitProgress(checkpoint.state, elapsed=elapsed, history=tuple(header["history"]), ahead=ahead)
    step = checkpoint.step if between is None else between.step
    context.progress.line(f"train    resumed at step {step}")
    return Begun(progress, in_force(header.get("limits"), limits_of(context.config), step))


def in_force(before: Limits | None, now: dict[str, Any], step: int) -> Limits:
    """The limits with those that hold from `step` on; equal ones are not repeated.

    Args:
        before: As recorded; None by a version that did not.
        now: Those of the study.
        step: Where the training goes on.
    """
    kept = [{"from": 0, "stop": None}] if before is None else [entry for entry in before if entry["from"] <= step]
    return kept if kept and kept[-1]["stop"] == now else [*kept, {"from": step, "stop": now}]


def say_what_changes(context: RunContext, found: Begun, optimiser: Optimiser) -> None:
    """Tell that limits have changed, and what the learning rate does where it depends on their number of steps."""
    if len(found.limits) < 2 or not found.progress.history:
        return
    old, new = (entry["stop"] for entry in found.limits[-2:])
    step, last = found.limits[-1]["from"], found.progress.history[-1]
    state = found.progress.ahead or found.progress.state
    if old is None or int(state.step) != step:
        return  # told when they changed
    line = context.progress.line
    line(f"train    at step {step} the limits change: {'; '.join(changed_limits(old, new))}")
    met = first_met(new, [{**last, "step": step}])
    if met is not None:
        line(f"train    training.stop.{met} = {new[met]:g} is met already: the training ends where it stands")
    elif context.config.training.schedule != "constant" and old["steps"] != new["steps"]:
        rate = float(optimiser.learning_rate(state.step) * state.learning_rate_scale)
        steps = f"the schedule was written for {old['steps']} steps; it goes on as for {new['steps']} steps"
        line(f"train    {steps}: the learning rate {_change(last['learning_rate'], rate)}")


def _change(before: float, now: float) -> str:
    """What a rate does, as far as the digits shown tell."""
    was, becomes = f"{before:.2g}", f"{now:.2g}"
    if was == becomes:
        return f"stays at {was}"
    return f"{'rises' if now > before else 'falls'} from {was} to {becomes}"


def keep_the_last(directory: Path) -> None:
    """Of a finished training keep the newest checkpoint, and what it reads, such as draws of the target."""
    for headers in (directory, *sorted(directory.glob("stage-*"))):
        shutil.rmtree(headers / BETWEEN, ignore_errors=True)
        for path in sorted(headers.glob("step-*.json"))[:-1]:
            path.unlink()
            path.with_suffix(".safetensors").unlink(missing_ok=True)


def _between(
    context: RunContext, directory: Path, template: TrainingState, checkpoint: Checkpoint
) -> Checkpoint | None:
    """The state that was kept after this checkpoint; one after another is out of date, a damaged one is passed over."""
    try:
        found = load_checkpoint(directory / BETWEEN, template)
    except ChecksumError:
        context.progress.line(f"train    the state after step {checkpoint.step} is damaged; going on from that step")
        return None
    return found if found is not None and found.header["after"] == checkpoint.step else None


@dataclasses.dataclass
class Saver:
    """Shows a training and writes its checkpoints when they are due or a signal came.

    Args:
        context: The run.
        directory: Of the checkpoints.
        history: Records so far.
        limits: Those in force.
    """

    context: RunContext
    directory: Path
    history: list[dict[str, Any]]
    limits: Limits
    _good: TrainingState | None = None
    _ahead: tuple[TrainingState, float] | None = None
    _saved: int | None = None
    _saved_at: float = dataclasses.field(default_factory=time.monotonic)
    _shown_at: float = dataclasses.field(default_factory=time.monotonic)

    @classmethod
    def of(cls, context: RunContext, directory: Path, found: Begun) -> "Saver":
        """For a training that begins or goes on."""
        progress = found.progress
        good = progress.state if progress.history else None
        ahead = None if progress.ahead is None else (progress.ahead, progress.elapsed)
        return cls(context, directory, list(progress.history), found.limits, good, ahead)

    def evaluated(self, state: TrainingState, record: dict[str, Any]) -> None:
        """Keep the state, show the record, save if due."""
        self.history.append(record)
        self._good, self._ahead = state, None
        self._show(record["step"], record["seconds"])
        self._save_if_due()
        self.pause()

    def stepped(self, state: TrainingState, seconds: float) -> None:
        """The same between evaluations; figures shown are those of the last one."""
        self._ahead = (state, seconds)
        if time.monotonic() - self._shown_at > _SECONDS_BETWEEN_UPDATES:
            self._show(int(state.step), seconds)
        self._save_if_due()

    def pause(self) -> None:
        """Between steps: if a signal came, save and leave.

        Raises:
            Interrupted: If one has.
        """
        interrupts = self.context.interrupts
        if interrupts.requested:
            self.save()
        if interrupts.requested and self._good is None:
            raise Interrupted("stopped before the first step was made", hint="the same command begins again")
        interrupts.check()

    def save(self) -> None:
        """Write what is not on the disk: the state of the last evaluation, and the one after it if there is one."""
        if self._good is None:
            return
        last = self.history[-1]
        if self._saved != last["step"]:
            header = {"history": self.history, "seconds": last["seconds"], "limits": self.limits, "origin": origin()}
            save_checkpoint(self.directory, self._good, step=last["step"], header=header)
            self._saved = last["step"]
        if self._ahead is not None:
            state, seconds = self._ahead
            header = {"after": last["step"], "seconds": seconds}
            save_checkpoint(self.directory / BETWEEN, state, step=int(state.step), header=header, keep=1)
        self._saved_at = time.monotonic()

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved_at > 60 * self.context.config.training.checkpoint_minutes:
            self.save()

    def _show(self, step: int, seconds: float) -> None:
        record, stop = self.history[-1], self.context.config.training.stop
        pace = next((r["steps_per_second"] for r in reversed(self.history) if r["steps_per_second"]), None)
        left = [] if pace is None else [(stop.steps - step) / pace]
        left += [] if stop.minutes is None else [60 * stop.minutes - seconds]
        fields = {**record, "seconds_left": max(0.0, min(left))} if left and min(left) < math.inf else record
        self.context.progress.update("train", step, stop.steps, fields)
        self._shown_at = time.monotonic()
