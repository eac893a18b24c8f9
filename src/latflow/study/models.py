"""Trained models: what they are, loaded without a study or as the start of another training."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import ValidationError

from latflow.errors import ConfigError, UnavailableError
from latflow.flows.architectures import cast
from latflow.flows.conditional import FlowModel
from latflow.flows.link_tables import DoublingTable
from latflow.flows.model import (
    Integration,
    ParameterRange,
    Specification,
    build,
    describe_space,
    installed_kind,
    production,
    read_integration,
    read_specification,
    started,
)
from latflow.flows.tables import ContinuousTable
from latflow.flows.transfer import extents_of, transferred, widened, with_finest_levels
from latflow.store.atomic import read_bytes, sha256_file
from latflow.store.records import FormatError
from latflow.study.build import build_action, build_flow, build_lattice, class_range, flow_shapes, over_range
from latflow.study.card import model_path
from latflow.study.config import StudyConfig
from latflow.study.context import PACKAGE
from latflow.study.stages.claims import differing_keys
from latflow.training.model_file import ModelMismatchError, load_model, read_header

# Keys of a flow that are no part of its weights.
_FREE = ("steps", "start_beta", "coupling_range", "coupling_order", "parameter")

RANGE = ("coupling_range", "coupling_order", "parameter")
"""Keys of a flow that a specification states in the normalisation of the action class instead."""

_THEORY = ("lattice", "action", "flow")

# A header says nothing of samplers, and those that a study has by default refuse some lattices of flows.
_ONLY_A_FLOW = {"name": "model", "sampling": {"samplers": ["flow"]}}


def trained_config(path: Path) -> StudyConfig:
    """The study a model was trained by, as far as its header tells: lattice, action, flow, training and seed.

    Raises:
        DataError: If the header is damaged, foreign or of a format this version does not read.
    """
    return _identified(read_header(path), path)


def _identified(header: Mapping[str, Any], path: Path) -> StudyConfig:
    """The same from a header that was read."""
    match header:
        case {"identity": {"flow": {"kind": kind}}}:
            installed_kind(kind, what=str(path))
        case _:
            pass
    try:
        told = {**_ONLY_A_FLOW, **header["identity"]}
        return StudyConfig.model_validate({key: value for key, value in told.items() if key != PACKAGE})
    except (KeyError, TypeError, ValidationError, ConfigError) as error:
        raise FormatError(f"{path}: no description of its training", hint="made by another version") from error


def specify(config: StudyConfig, integration: Integration | None) -> Specification | None:
    """The specification of the model that a study trains.

    Args:
        config: The study.
        integration: How finely draws integrate a continuous flow; None for other flows.

    Returns:
        The specification, equal for all values of the parameter of a conditional flow. None if the space of the theory
        has no description, see `latflow.flows.model.describe_space`.
    """
    space = describe_space(build_action(config).space)
    if space is None:
        return None
    ends, name = class_range(config), config.conditional_parameter()
    house = config.action.in_house(len(config.lattice.shape))
    over = None
    if ends is not None:
        order: int = getattr(config.flow, "coupling_order")  # noqa: B009
        over = ParameterRange(parameter=name, lower=ends[0], upper=ends[1], order=order)
    return Specification(
        flow={key: value for key, value in config.flow.plain().items() if key not in RANGE},
        space=space,
        precision=config.training.precision,
        over=over,
        theory=config.action.kind,
        parameters={key: float(value) for key, value in house.items() if over is None or key != name},
        integration=integration,
    )


def specification(path: Path) -> Specification:
    """The specification of a model; that of an older one follows from the study in its header.

    Args:
        path: A model directory.

    Raises:
        MissingInputError: If there is no model.
        DataError: If the header is damaged or foreign, or tells of a kind of flow that is not installed.
    """
    header = read_header(path)
    if "specification" in header:
        return read_specification(header["specification"], what=str(path))
    found = specify(_identified(header, path), read_integration(header))
    if found is None:
        raise FormatError(f"{path}: no specification", hint="the space of its theory has no description")
    return found


def load_production(path: Path) -> FlowModel:
    """A model for drawing: float64, integrated as finely as its header says.

    Args:
        path: A model directory.

    Returns:
        The flow, or for a conditional model the flows of all values of its parameter.

    Raises:
        MissingInputError: If there is no model.
        DataError: If it is damaged or foreign, or of a kind of flow that is not installed.
        UnavailableError: If float64 is switched off.
    """
    if jnp.result_type(float) != jnp.float64:
        hint = 'jax.config.update("jax_enable_x64", True) before the first array is made'
        raise UnavailableError(f"{path}: draws of a model need float64", value="switched off", hint=hint)
    found = specification(path)
    model, _ = load_model(path, build(found, what=str(path)))
    return production(model, found.integration)


def lineage(path: Path) -> list[dict[str, Any]]:
    """Every training that led to a model, its own last: hash of its model, lattice, action, steps and seconds.

    Args:
        path: A model directory. What its training started from is told by its header, so the models before it need
            not be there.

    Raises:
        MissingInputError: If the model or its training log is missing.
        DataError: If either is damaged.
    """
    header, last = read_header(path), training_log(path)[-1]
    own = {
        "sha256": sha256_file(path / "model.json"),
        "lattice": header["identity"]["lattice"]["shape"],
        "action": header["identity"]["action"],
        "steps": last["step"],
        "seconds": last["seconds"],
    }
    return [*header.get("ancestors", []), own]


def training_log(path: Path) -> list[dict[str, Any]]:
    """The records of ``train.jsonl`` of a model directory.

    Raises:
        MissingInputError: If there is none.
        FormatError: If it is damaged.
    """
    try:
        records = [json.loads(line) for line in read_bytes(path / "train.jsonl").splitlines()]
        if records and all(type(record["step"]) is int and record["seconds"] >= 0 for record in records):
            return records
    except (ValueError, KeyError, TypeError):
        pass
    raise FormatError(f"{path / 'train.jsonl'}: no log of a training", hint="the file is damaged")


def load_whole(path: Path) -> tuple[FlowModel, StudyConfig, dict[str, Any]]:
    """A model that is whole and fits its own header, the study it was trained by, and the header.

    Its log is read as well: what is drawn or trained from a model tells what the model cost.

    Args:
        path: A model directory.

    Raises:
        MissingInputError: If a file of it is missing.
        DataError: If one is damaged, foreign, or of another model than the header.
    """
    config = trained_config(path)
    flow, header = load_model(path, flow_shapes(config))
    training_log(path)
    return flow, config, header


def other_theory(path: Path, config: StudyConfig) -> list[str]:
    """What a model was trained for and the study that uses it is not: keys of lattice, action and flow.

    A conditional model belongs to every coupling of its range. A model made by hand, whose header tells no study,
    contradicts none.

    Raises:
        DataError: If the header is damaged or foreign.
    """
    if "identity" not in read_header(path):
        return []
    served = () if config.coupling_range() is None else (f"action.{config.conditional_parameter()}",)
    lines = differing_keys(trained_config(path), config)
    keys = ((line, line.split(":")[0]) for line in lines)
    return [line for line, key in keys if key.split(".")[0] in _THEORY and key not in served]


def load_foreign_flow(name: str) -> tuple[FlowModel, StudyConfig]:
    """A trained flow in the precision of its training, and the study it was trained by.

    Args:
        name: As in `latflow.study.card.model_path`.

    Raises:
        MissingInputError: If there is no model.
        DataError: If it is damaged.
    """
    flow, config, _ = load_whole(model_path(name))
    return flow, config


def adapted(flow: FlowModel, trained: StudyConfig, config: StudyConfig) -> FlowModel:
    """A flow of one study as the start of a training of another one.

    Args:
        flow: The flow.
        trained: The study that trained it.
        config: The study that shall go on.

    Raises:
        ModelMismatchError: If the flows of the two studies have different weights, or fields of other groups; names
            every differing key.
        TransferError: If the flow cannot be carried to the other lattice.
    """
    _require_same_fields(trained, config)
    _require_same_flow(trained, config)
    lattice = build_lattice(config)
    moved: Any = flow
    if isinstance(config.flow, DoublingTable):
        fresh: Any = build_flow(config)
        moved = with_finest_levels(fresh, over_range(flow, config))
    elif extents_of(flow.space) != lattice.shape:
        moved = transferred(flow, lattice)
    if config.flow.fixed_start:
        moved = started(moved, config.flow, config.action.in_house(len(lattice.shape)))
    if isinstance(config.flow, ContinuousTable):
        moved = widened(moved, config.flow.radius)
    return with_steps(cast(over_range(moved, config), config.training.precision), config)


def require_start(config: StudyConfig) -> None:
    """Refuse a study whose training could not start from the model it names.

    Raises:
        MissingInputError: If there is no model, or a file of it is missing.
        DataError: If it is damaged.
        ModelMismatchError: If the flows of the two studies have different weights; names every differing key.
        TransferError: If the flow cannot be carried to the lattice on which the training begins.
    """
    if config.training.start_from is None:
        return
    flow, trained = load_foreign_flow(config.training.start_from)
    adapted(flow, trained, course(config)[0])


def course(config: StudyConfig) -> tuple[StudyConfig, ...]:
    """The studies whose trainings follow one another, the study itself last.

    Of its curriculum the lattices are left out that the model it starts from covers: those that are in no direction
    larger than the one it was trained on.

    Raises:
        MissingInputError: If there is no such model.
        DataError: If its header is damaged.
    """
    *before, last = config.course()
    if config.training.start_from is None:
        return (*before, last)
    start = trained_config(model_path(config.training.start_from)).lattice.shape
    return (*(stage for stage in before if max(stage.lattice.shape) > min(start)), last)


def _require_same_fields(trained: StudyConfig, config: StudyConfig) -> None:
    """Weights are of one group, and of scalars or links, though shapes may agree: a model of another is refused."""
    old, new = (getattr(each.action, "group", f"{each.action.fields} fields") for each in (trained, config))
    if old != new:
        raise ModelMismatchError("training.start_from", value=f"a model of {old}", allowed=f"one of {new}")


def _require_same_flow(trained: StudyConfig, config: StudyConfig) -> None:
    old, new = trained.flow.model_dump(), config.flow.model_dump()
    keys = sorted((set(old) | set(new)) - set(_FREE))
    # Kernels may grow: what a smaller radius cannot reach starts at zero.
    grown = old.get("radius", 0) < new.get("radius", 0) and old["kind"] == new["kind"]
    same = {"radius"} if grown else set()
    differing = [key for key in keys if old.get(key) != new.get(key) and key not in same]
    # The keys of another kind of flow are other keys; that they differ says nothing.
    differing = ["kind"] if "kind" in differing else differing
    differences = [f"flow.{key}: {old.get(key)} → {new.get(key)}" for key in differing]
    if differences:
        raise ModelMismatchError(
            "training.start_from: another flow", value="; ".join(differences), hint="use the flow it was trained with"
        )


def with_steps(flow: FlowModel, config: StudyConfig) -> FlowModel:
    """The same weights in the structure of an untrained flow of `config`: its integration steps are the study's.

    Raises:
        ModelMismatchError: If their number or shapes are other ones.
    """
    weights = jax.tree.leaves(eqx.filter(flow, eqx.is_array))
    arrays, static = eqx.partition(build_flow(config), eqx.is_array)
    found, wanted = ([leaf.shape for leaf in jax.tree.leaves(leaves)] for leaves in (weights, arrays))
    if found != wanted:
        differing = next(pair for pair in itertools.zip_longest(found, wanted) if pair[0] != pair[1])
        allowed = "weights of the shapes that the flow of the study has"
        raise ModelMismatchError("training.start_from", value=f"shape {differing[0]} → {differing[1]}", allowed=allowed)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), weights), static)
