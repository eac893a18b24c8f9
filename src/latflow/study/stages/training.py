"""The train verb: from a study to a model on disk, through checkpoints that resume bit for bit."""

import dataclasses
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

from latflow.flows.architectures import cast
from latflow.flows.mixture import TrainableFlow
from latflow.store.atomic import make_directory, sha256_file, write_bytes
from latflow.study.build import build_action, build_flow, build_loss, build_optimiser, build_stop, stream
from latflow.study.context import RunContext, identity
from latflow.study.known import known_log_z
from latflow.study.stages.claims import MODEL_SECTIONS
from latflow.study.stages.targets import target_draws
from latflow.training.fit import FitResult, TrainingState, fit
from latflow.training.model_file import load_checkpoint, load_model, save_checkpoint, save_model


def model_directory(context: RunContext) -> Path:
    """Where the model of a run lives."""
    return context.path("model")


def model_is_trained(context: RunContext) -> bool:
    """Whether training has ended and its model was written."""
    return (model_directory(context) / "model.json").exists()


def load_flow(context: RunContext) -> tuple[TrainableFlow, dict[str, Any]]:
    """The trained flow for production, with the header it was stored with and its identity under ``sha256``.

    Weights trained in float32 are cast exactly; production arithmetic is float64 throughout.
    """
    template = build_flow(context.config)
    flow, header = load_model(model_directory(context), template)
    return cast(flow, "float64"), {**header, "sha256": sha256_file(model_directory(context) / "model.json")}


def train(context: RunContext) -> None:
    """Train the flow of the study, or do nothing if its model is there already."""
    if model_is_trained(context):
        context.progress.line("train    up to date")
        return
    context.progress.stage("train", describe(context))
    with context.timed(stage="train"):
        result = _fit(context)
    _write(context, result)
    last = result.history[-1]
    context.progress.line(
        f"train    stopped by {result.stopped_by} after {last['step']} steps, {result.seconds:.0f} s: "
        f"acceptance {last['acceptance']:.3f}, reweighting ESS {last['reweighting_ess']:.3f}"
    )


def describe(context: RunContext) -> str:
    """One phrase on what is trained."""
    flow, training = context.config.flow, context.config.training
    return f"{flow.kind}, {flow.layers} {flow.network} layers, batch {training.batch_size}, {training.precision}"


def _fit(context: RunContext) -> FitResult:
    config = context.config
    directory = model_directory(context) / "checkpoints"
    optimiser = build_optimiser(config)
    template = TrainingState.start(build_flow(config), optimiser)
    checkpoint = load_checkpoint(directory, template)
    state, history, elapsed = template, [], 0.0
    if checkpoint is not None:
        state, history, elapsed = checkpoint.state, checkpoint.header["history"], checkpoint.header["seconds"]
        for skipped in checkpoint.skipped:
            context.progress.line(f"train    checkpoint {skipped} is damaged; going on from step {checkpoint.step}")
        context.progress.line(f"train    resumed at step {checkpoint.step}")
    saver = _Saver(context, directory, history)
    targets = target_draws(context, directory) if config.training.loss == "mixture" else None

    return fit(
        stream(config, "train"),
        state.flow,
        build_action(config),
        loss=build_loss(config, targets=targets),
        optimiser=optimiser,
        stop=build_stop(config),
        evaluate_every=config.training.evaluate_every,
        evaluation_draws=config.training.evaluation_draws,
        state=state,
        elapsed=elapsed,
        history=tuple(history),
        log_z=known_log_z(config),
        on_progress=saver.evaluated,
        on_pause=saver.pause,
    )


@dataclasses.dataclass
class _Saver:
    """Writes checkpoints when they are due or a signal came, always at an evaluation: there the state is good."""

    context: RunContext
    directory: Path
    history: list[dict[str, Any]]
    state: TrainingState | None = None
    saved_at: float = dataclasses.field(default_factory=time.monotonic)

    def evaluated(self, state: TrainingState, record: dict[str, Any]) -> None:
        """Remember the state, show the record, save if due."""
        self.history.append(record)
        self.state = state
        stop = self.context.config.training.stop
        left = (stop.steps - record["step"]) / record["steps_per_second"] if record["steps_per_second"] else None
        if stop.minutes is not None:
            left = min(60 * stop.minutes - record["seconds"], math.inf if left is None else left)
        fields = record if left is None else {**record, "seconds_left": max(0.0, left)}
        self.context.progress.update("train", record["step"], stop.steps, fields)
        if time.monotonic() - self.saved_at > 60 * self.context.config.training.checkpoint_minutes:
            self._save(state)
        self.pause()

    def pause(self) -> None:
        """Between steps: if a signal came, save the last good state and leave."""
        if self.context.interrupts.requested and self.state is not None:
            self._save(self.state)
        self.context.interrupts.check()

    def _save(self, state: TrainingState) -> None:
        header = {"history": self.history, "seconds": self.history[-1]["seconds"]}
        save_checkpoint(self.directory, state, step=self.history[-1]["step"], header=header)
        self.saved_at = time.monotonic()


def _write(context: RunContext, result: FitResult) -> None:
    directory = model_directory(context)
    make_directory(directory)
    lines = "".join(json.dumps(record, sort_keys=True) + "\n" for record in result.history)
    write_bytes(directory / "train.jsonl", lines.encode())
    last = {name: value for name, value in result.history[-1].items() if name not in ("seconds", "steps_per_second")}
    header = {
        "kind": context.config.flow.kind,
        "identity": identity(context.config, *MODEL_SECTIONS),
        "stopped_by": result.stopped_by,
        "training": last,
    }
    save_model(directory, result.flow, header=header)
    # Only now: until the model stands, the checkpoints are what a killed run goes on from.
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
