"""Making the card of a trained model, and holding a model of the zoo to its card.

Both let the model sample as any study does, in a directory of their own; a card keeps what was found there. Run as a
program, this module puts a trained model into the zoo: ``python -m latflow.study.card_maker RUN NAME``.
"""

import json
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from latflow.errors import CannotCreateError, UsageError
from latflow.stats.weights import independence_acceptance, reweighting_ess
from latflow.store.atomic import make_directory, read_bytes, sha256_file, write_bytes
from latflow.store.ensemble import Ensemble
from latflow.store.records import seal
from latflow.study.card import CARD, SCHEMA, Card, shipped
from latflow.study.checks import Check
from latflow.study.config import StudyConfig
from latflow.study.context import Progress, Silent
from latflow.study.models import model_path, trained_config
from latflow.study.run import run_stages
from latflow.study.stages.provenance import origin
from latflow.training.model_file import read_header

MODEL_FILES = ("weights.safetensors", "train.jsonl", "model.json")
"""Files of a model, in the order in which they must appear: the header makes the others exist."""

DRAWS = 131_072
"""Draws behind a card."""

CHECK_DRAWS = 4096
"""Fresh draws that a model is held to its card by."""

LIMIT = 5.0
"""Allowed difference in combined standard errors."""

_PIECES = 16


def copy_model(source: Path, target: Path) -> None:
    """Copy a trained model, whole or not at all; nothing happens if it is there already.

    Raises:
        CannotCreateError: If `target` holds another model.
    """
    header = target / "model.json"
    if header.exists():
        if sha256_file(header) != sha256_file(source / "model.json"):
            hint = "choose another --run-dir"
            raise CannotCreateError(f"{target}: holds another model", hint=hint)
        return
    make_directory(target)
    for name in MODEL_FILES:
        write_bytes(target / name, read_bytes(source / name))


def sampling_study(model: Path, *, name: str, draws: int, seed: int | None = None) -> StudyConfig:
    """The study that only draws from a trained model.

    Args:
        model: Its directory.
        name: Of the study.
        draws: How many.
        seed: Root of its random numbers; by default that of the training.
    """
    trained = trained_config(model)
    sampling = trained.sampling.model_copy(update={"samplers": ("flow",), "configurations": draws})
    update = {"name": name, "sampling": sampling, "seed": trained.seed if seed is None else seed}
    return trained.model_copy(update=update)


def make_card(source: Path, target: Path, *, title: str, draws: int = DRAWS, progress: Progress) -> Card:
    """Copy a trained model to `target` and write its card there.

    Args:
        source: A run or model directory.
        target: A directory of the zoo; its name is the model's.
        title: What it is, in one line.
        draws: Draws behind the card.
        progress: Display.

    Raises:
        CannotCreateError: If `target` holds another model.
    """
    model = model_path(str(source))
    copy_model(model, target)
    study = sampling_study(model, name=target.name, draws=draws)
    with tempfile.TemporaryDirectory() as folder:
        measured = _measured(model, study, Path(folder), progress)
    header = read_header(model)
    history = [json.loads(line) for line in (model / "train.jsonl").read_text().splitlines()]
    content = {
        "schema": SCHEMA,
        "title": title,
        "model": sha256_file(model / "model.json"),
        "lattice": header["identity"]["lattice"],
        "action": header["identity"]["action"],
        "flow": header["identity"]["flow"],
        "training": {
            "seconds": history[-1]["seconds"],
            "steps": history[-1]["step"],
            "stopped_by": header["stopped_by"],
            "seed": header["identity"]["seed"],
            "settings": header["identity"]["training"],
            "parents": header.get("parents", {}),
        },
        "measured": measured,
        "provenance": origin(),
    }
    write_bytes(target / CARD, seal(content, indent=1) + b"\n")
    return Card(target.name, target, content)


def check_card(card: Card, *, draws: int = CHECK_DRAWS, progress: Progress) -> list[Check]:
    """Hold a model of the zoo to its card: its hash, fresh draws against the card, the card against known values.

    Args:
        card: The card.
        draws: Fresh draws, made with another seed than those of the card.
        progress: Display.
    """
    content = card.content
    digest = sha256_file(card.directory / "model.json")
    checks = [Check("card: hash of the model", digest[:16], content["model"][:16], passed=digest == content["model"])]
    study = sampling_study(card.directory, name=card.name, draws=draws, seed=_other_seed(content))
    with tempfile.TemporaryDirectory() as folder:
        fresh = _measured(card.directory, study, Path(folder), progress)
    then = content["measured"]
    figures = ("acceptance", "reweighting_ess", "log_z")
    checks += [_agreement(f"card: {name}", _pair(fresh, name), _pair(then, name)) for name in figures]
    found = {row["observable"]: row for row in fresh["estimates"]}
    for row in then["estimates"]:
        other = found.get(row["observable"])
        if other is not None:
            checks.append(_agreement(f"card: {row['observable']}", _pair(other, "value"), _pair(row, "value")))
        if row["reference"] is not None:
            known = (row["reference"], row["reference_error"])
            name = f"card: {row['observable']} against {row['reference_source']}"
            checks.append(_agreement(name, _pair(row, "value"), known))
    return checks


def _other_seed(content: Mapping[str, Any]) -> int:
    return (content["training"]["seed"] + 1) % 2**32


def _measured(model: Path, study: StudyConfig, folder: Path, progress: Progress) -> dict[str, Any]:
    """What draws of a model show: figures of its weights and reweighted observables."""
    copy_model(model, folder / "model")
    results = run_stages(study, folder, stages=("sample", "measure", "analyse"), progress=progress)
    weights = Ensemble.open(folder / "ensembles" / "flow", writable=False).column("log_weight")
    flow = results["flow"]
    kept = ("observable", "value", "error", "reference", "reference_error", "reference_source")
    return {
        "n": flow["n"],
        "acceptance": float(independence_acceptance(weights)),
        "acceptance_error": _scatter(weights, independence_acceptance),
        "reweighting_ess": flow["reweighting_ess"],
        "reweighting_ess_error": _scatter(weights, reweighting_ess),
        "pareto_k": flow["pareto_k"],
        "log_z": flow["log_z"],
        "log_z_error": flow["log_z_error"],
        "seconds_per_draw": results["cost"]["flow"]["seconds_per_configuration"],
        "estimates": [
            {key: row[key] for key in kept}
            for row in results["estimates"]
            if row["sampler"] == "reweighted" and type(row["value"]) is float and row["observable"] != "log_z"
        ],
    }


def _scatter(log_weights: np.ndarray, figure: Any) -> float:
    """Standard error of a figure of the weights from its scatter over equal pieces."""
    values = [float(figure(piece)) for piece in np.array_split(log_weights, _PIECES)]
    return float(np.std(values, ddof=1) / math.sqrt(_PIECES))


def _pair(row: Mapping[str, Any], name: str) -> tuple[float, float]:
    return row[name], row["error" if name == "value" else f"{name}_error"]


def _agreement(name: str, one: tuple[float, float], other: tuple[float, float]) -> Check:
    """Difference of two values in their combined standard errors."""
    value = abs(one[0] - other[0]) / math.hypot(one[1], other[1])
    return Check(f"{name}, in standard errors", value, LIMIT, passed=value <= LIMIT)


def main(arguments: list[str]) -> None:
    """Put a trained model into the zoo.

    Args:
        arguments: The run, the name in the zoo, what it is in one line, and optionally the number of draws.

    Raises:
        UsageError: If it is called otherwise.
    """
    if len(arguments) not in (3, 4):
        raise UsageError("card_maker", allowed="RUN NAME TITLE [DRAWS]")
    jax.config.update("jax_enable_x64", val=True)
    run, name, title = arguments[:3]
    draws = int(arguments[3]) if len(arguments) == 4 else DRAWS
    make_card(Path(run), shipped() / name, title=title, draws=draws, progress=Silent())


if __name__ == "__main__":
    main(sys.argv[1:])
