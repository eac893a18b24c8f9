"""The train verb: from a study to a model on disk, through checkpoints that resume bit for bit."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax

from latflow.bijections.ode.runge_kutta import RK8
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow, FlowModel
from latflow.flows.continuous import is_continuous, production_steps
from latflow.flows.mixture import TrainableFlow
from latflow.flows.model import production, read_integration
from latflow.store.atomic import make_directory, sha256_file, write_bytes
from latflow.study.build import (
    build_action,
    build_assessment,
    build_flow,
    build_loss,
    build_optimiser,
    build_stop,
    flow_shapes,
    stream,
    study_flow,
)
from latflow.study.card import model_path
from latflow.study.config import StudyConfig
from latflow.study.config.stages import WITH_TARGETS
from latflow.study.context import RunContext, model_identity
from latflow.study.limits import is_kept, limits_of, own_history, training_records
from latflow.study.models import adapted, course, lineage, load_foreign_flow, other_theory, specify
from latflow.study.stages.checkpoints import Limits, Saver, begun, keep_the_last, say_what_changes
from latflow.study.stages.provenance import origin
from latflow.study.stages.superseded import model_hash, put_aside
from latflow.study.stages.targets import target_draws
from latflow.study.theories import house_log_z
from latflow.training.evaluation import Evaluation
from latflow.training.fit import FitHooks, FitResult, resume
from latflow.training.limits import first_met
from latflow.training.model_file import ModelMismatchError, load_model, read_header, save_model
from latflow.training.ranges import probes
from latflow.training.steps import TrainingState


def model_directory(context: RunContext) -> Path:
    """The directory of the model of a run."""
    return context.path("model")


def checkpoint_directory(context: RunContext) -> Path:
    """Where the checkpoints of a training are, and that of its end when it is finished."""
    return model_directory(context) / "checkpoints"


def model_is_trained(context: RunContext) -> bool:
    """Whether training has ended and its model was written."""
    return (model_directory(context) / "model.json").exists()


def load_flow(context: RunContext) -> tuple[TrainableFlow, dict[str, Any]]:
    """The trained flow for production, with the header it was stored with and its identity under ``sha256``.

    Weights trained in float32 are cast exactly; production arithmetic is float64 throughout.
    """
    directory, config = model_directory(context), context.config
    model, header = load_model(directory, flow_shapes(config))
    _require_range(header, config, directory)
    _require_theory(config, directory)
    flow = study_flow(cast(model, "float64"), config)
    return production_flow(flow, header), {**header, "sha256": sha256_file(model_directory(context) / "model.json")}


def _require_range(header: dict[str, Any], config: StudyConfig, directory: Path) -> None:
    """Refuse the model of another range of couplings: its weights have the same shapes and give other flows."""
    found, wanted = header.get("coupling_range"), config.coupling_range()
    if found != (None if wanted is None else list(wanted)):
        raise ModelMismatchError(
            f"{directory}: a model of another range of couplings",
            value=f"flow.coupling_range = {found}",
            allowed=f"flow.coupling_range = {None if wanted is None else list(wanted)}",
            hint="use the configuration it was trained with",
        )


def _require_theory(config: StudyConfig, directory: Path) -> None:
    """Refuse the model of another theory: weights of the same shapes would be taken for those of this study."""
    differences = other_theory(directory, config)
    if differences:
        raise ModelMismatchError(
            f"{directory}: a model of another theory",
            value="; ".join(differences),
            hint="draw from it where it belongs: latflow sample --model MODEL",
        )


def range_facts(config: StudyConfig) -> dict[str, Any]:
    """Facts of a conditional model for manifests; empty for an ordinary one."""
    ends = config.coupling_range()
    return {} if ends is None else {"coupling_range": list(ends)}


def sampling_facts(config: StudyConfig) -> dict[str, Any]:
    """The same of draws at the parameters of the study, and whether that lies inside."""
    facts = range_facts(config)
    return facts and {**facts, "inside_coupling_range": not config.outside_range()}


def warn_outside_range(context: RunContext) -> None:
    """Warn where a conditional model is used at a value it was not trained for: exact, but with poor weights."""
    ends = context.config.coupling_range()
    if ends is None or not context.config.outside_range():
        return
    name = context.config.conditional_parameter()
    value = context.config.action.values()[name]
    nearer = ends[0] if value < ends[0] else ends[1]
    context.progress.line(
        f"warning  action.{name} = {value:g} is outside the range [{ends[0]:g}, {ends[1]:g}] that the model was "
        f"trained on; draws come from its flow at {nearer:g}"
    )


def production_flow(flow: TrainableFlow, header: dict[str, Any]) -> TrainableFlow:
    """The flow in float64, integrated as finely as the header of its model says."""
    return production(flow, read_integration(header))


def _integration(context: RunContext, model: FlowModel) -> dict[str, Any]:
    """How finely production draws integrate the flow, and the error of log q that remains; empty if nothing is.

    A range needs what its ends and its middle need.
    """
    if not is_continuous(model):
        return {}
    exact = cast(model, "float64")
    flows = [exact.at(value) for value in probes(exact)] if isinstance(exact, ConditionalFlow) else [exact]
    steps, error = map(max, zip(*(production_steps(stream(context.config, "accuracy"), f) for f in flows), strict=True))
    context.progress.line(f"train    accurate draws use {steps} steps of order 8: error of log q {error:.1e}")
    return {"integration": {"scheme": RK8.name, "steps": steps, "log_prob_error": error}}


def _specification(config: StudyConfig, integration: dict[str, Any]) -> dict[str, Any]:
    """From what the model is built again without the study; empty if the space of the theory has no description."""
    found = specify(config, read_integration(integration))
    return {} if found is None else {"specification": found.plain()}


def train(context: RunContext) -> None:
    """Train the flow of the study, or go on where its limits were raised; do nothing if its model is there already."""
    if model_is_trained(context):
        stop = _limits_to_leave(context)
        if stop is None:
            context.progress.line("train    up to date")
            return
        step = training_records(model_directory(context))[-1]["step"]
        put_aside(context, step=step, stop=stop)
    context.progress.stage("train", describe(context))
    with context.timed(stage="train"):
        result, limits = _fit(context)
    _write(context, result, limits)
    last = result.history[-1]
    for line in _before_and_after(context.config, result):
        context.progress.line(f"train    {line}")
    if result.stopped_by == "minutes":
        context.progress.line(
            "train    ended by its time limit: elsewhere it ends at another step; a limit of steps holds everywhere"
        )
    context.progress.line(
        f"train    stopped by {result.stopped_by} after {last['step']} steps, {result.seconds:.0f} s: "
        f"acceptance {last['acceptance']:.3f}, reweighting ESS {last['reweighting_ess']:.3f}"
    )


def is_up_to_date(context: RunContext) -> bool:
    """Whether there is a model, and the limits of the study ask for no more training of it."""
    return model_is_trained(context) and _limits_to_leave(context) is None


def _limits_to_leave(context: RunContext) -> dict[str, Any] | None:
    """The limits of the model of a run where the study has others that let its training go on; else None.

    A model that was brought from elsewhere is used as it is.
    """
    directory, config = model_directory(context), context.config
    header = read_header(directory)
    recorded = header.get("limits")
    if not recorded or not is_kept(directory) or recorded[-1]["stop"] == limits_of(config):
        return None
    if _without_limits(header["identity"]) != _without_limits(model_identity(config)):
        return None
    met = first_met(limits_of(config), own_history(training_records(directory)))
    return recorded[-1]["stop"] if met is None else None


def _without_limits(identity: dict[str, Any]) -> dict[str, Any]:
    """All that a model depends on beside the limits of its training."""
    training = {name: value for name, value in identity["training"].items() if name not in _LIMITS}
    return {**identity, "training": training}


_LIMITS = ("stop", "checkpoint_minutes")


def _before_and_after(config: StudyConfig, result: FitResult) -> list[str]:
    """Table of the quality, under this study's action, of the model at the start of the training and of its result."""
    source = config.training.start_from
    if source is None:
        return []
    rows = [("as it came", result.history[0]), ("after training", result.history[-1])]
    head = f"{source}, {config.training.evaluation_draws} draws"
    width = max(len(head), *(len(name) for name, _ in rows))
    lines = [f"{head:<{width}}  {'steps':>7}  {'seconds':>7}  {'acceptance':>10}  {'reweighting ESS':>15}"]
    return lines + [
        f"{name:<{width}}  {record['step']:>7}  {record['seconds']:>7.0f}  {record['acceptance']:>10.3f}"
        f"  {record['reweighting_ess']:>15.3f}"
        for name, record in rows
    ]


def describe(context: RunContext) -> str:
    """One phrase on what is trained."""
    flow, training = context.config.flow, context.config.training
    lattices = [max(config.lattice.shape) for config in course(context.config)]
    steps = f", L = {' → '.join(map(str, lattices))}" if len(lattices) > 1 else ""
    return f"{flow.kind}, batch {training.batch_size}, {training.precision}{steps}"


def _fit(context: RunContext) -> tuple[FitResult, Limits]:
    """The trainings of the curriculum one after another, each from the flow of the one before, then that of the study.

    The result of the last one holds the steps and seconds of all; records of earlier ones name their lattice. The
    limits are those of the last.
    """
    trainings = course(context.config)
    results: list[FitResult] = []
    limits: Limits = []
    for i, config in enumerate(trainings):
        flow = adapted(results[-1].flow, config, config) if results else _first_flow(context, config)
        result, limits = _fit_one(dataclasses.replace(context, config=config), i, flow, len(trainings))
        results.append(result)
    records: list[dict[str, Any]] = []
    seconds = 0.0
    for config, result in zip(trainings, results, strict=True):
        before = records[-1]["step"] if records else 0
        extra = {"lattice": list(config.lattice.shape)} if len(trainings) > 1 else {}
        records += [
            {**record, "step": record["step"] + before, "seconds": record["seconds"] + seconds, **extra}
            for record in result.history
        ]
        seconds += result.seconds
    return dataclasses.replace(results[-1], history=tuple(records), seconds=seconds), limits


def _first_flow(context: RunContext, config: StudyConfig) -> FlowModel:
    source = context.config.training.start_from
    if source is None:
        return build_flow(config)
    flow, trained = load_foreign_flow(source)
    covered = _covered(context.config)
    left_out = f"; the curriculum's L = {', '.join(map(str, covered))} left out: covered" if covered else ""
    context.progress.line(f"train    from {source}, trained on {list(trained.lattice.shape)}{left_out}")
    return adapted(flow, trained, config)


def _covered(config: StudyConfig) -> list[int]:
    """Lattices of the curriculum that are left out because the model at the start was trained on larger ones."""
    *kept, _ = course(config)
    trained = {max(stage.lattice.shape) for stage in kept}
    return [extent for extent in config.training.curriculum.extents if extent not in trained]


def _fit_one(context: RunContext, index: int, flow: FlowModel, n_stages: int) -> tuple[FitResult, Limits]:
    config = context.config
    last = index == n_stages - 1
    directory = checkpoint_directory(context)
    directory = directory if n_stages == 1 else directory / f"stage-{index:02d}"
    optimiser = build_optimiser(config)
    found = begun(context, directory, TrainingState.start(flow, optimiser))
    say_what_changes(context, found, optimiser)
    saver = Saver.of(context, directory, found)
    targets = target_draws(context, directory) if config.training.loss in WITH_TARGETS else None
    key = stream(config, "train") if last else jax.random.fold_in(stream(config, "curriculum"), index)
    result = resume(
        key,
        found.progress,
        build_action(config),
        loss=build_loss(config, targets=targets),
        optimiser=optimiser,
        stop=build_stop(config),
        evaluation=Evaluation(
            every=config.training.evaluate_every,
            draws=config.training.evaluation_draws,
            log_z=house_log_z(config),
            assess=build_assessment(config),
        ),
        hooks=FitHooks(on_progress=saver.evaluated, on_pause=saver.pause, on_steps=saver.stepped),
    )
    # From here a restart goes on to the next lattice, and a finished training to higher limits.
    saver.save()
    return result, saver.limits


def _start(context: RunContext, result: FitResult) -> dict[str, Any]:
    """The model that the training started from, the trainings before it, and its quality here before the first step."""
    source = context.config.training.start_from
    if source is None:
        return {}
    ancestors = lineage(model_path(source))
    figures = ("acceptance", "reweighting_ess", "kl")
    first = {name: result.history[0][name] for name in figures}
    return {
        "parents": {"start_from": ancestors[-1]["sha256"]},
        "ancestors": ancestors,
        "start": {"model": source, "draws": context.config.training.evaluation_draws, **first},
    }


def _limits(context: RunContext, limits: Limits, result: FitResult) -> Limits:
    """Limits that were in force one after another, with the hash of the model in which the ones before ended.

    They count the steps of the study's own lattice, the log those of a curriculum too.
    """
    offset = result.history[-1]["step"] - int(result.state.step)
    hashes = [model_hash(context, offset + entry["from"]) for entry in limits]
    return [entry if sha is None else {**entry, "after": sha} for entry, sha in zip(limits, hashes, strict=True)]


def _write(context: RunContext, result: FitResult, limits: Limits) -> None:
    directory = model_directory(context)
    make_directory(directory)
    lines = "".join(json.dumps(record, sort_keys=True) + "\n" for record in result.history)
    write_bytes(directory / "train.jsonl", lines.encode())
    last = {name: value for name, value in result.history[-1].items() if name not in ("seconds", "steps_per_second")}
    integration = _integration(context, result.flow)
    header = {
        "kind": context.config.flow.kind,
        "identity": model_identity(context.config),
        "stopped_by": result.stopped_by,
        "training": last,
        "limits": _limits(context, limits, result),
        **range_facts(context.config),
        "origin": origin(),
        **_start(context, result),
        **integration,
        **_specification(context.config, integration),
    }
    save_model(directory, result.flow, header=header)
    # Only now: until the model stands, the checkpoints are what a killed run goes on from.
    keep_the_last(checkpoint_directory(context))
