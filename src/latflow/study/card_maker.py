"""Making the card of a trained model, and checking a model of the zoo against its card.

Both sample the model as any study does, in a run directory of their own; a card records the results. Run as a
program, this module puts a trained model into the zoo: ``python -m latflow.study.card_maker RUN NAME``.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from latflow.ambient import fix_settings, fix_threads
from latflow.errors import CannotCreateError, LatflowError, MissingInputError
from latflow.stats.weights import independence_acceptance, reweighting_ess
from latflow.store.atomic import make_directory, read_bytes, remove_file, sha256_file, write_bytes
from latflow.store.ensemble import Ensemble
from latflow.store.records import seal
from latflow.study.card import CARD, SCHEMA, Card, model_path, required_name, shipped
from latflow.study.checks import Check
from latflow.study.config import StudyConfig
from latflow.study.context import Progress
from latflow.study.models import lineage, load_whole, trained_config, training_log
from latflow.study.run import run_stages
from latflow.study.stages.provenance import origin
from latflow.study.verify import verify
from latflow.training.model_file import read_header

MODEL_FILES = ("weights.safetensors", "train.jsonl", "model.json")
"""Files of a model, in the order in which they must appear: the header makes the others exist."""

DRAWS = 131_072
"""Draws behind a card."""

CHECK_DRAWS = 4096
"""Fresh draws with which a model is checked against its card."""

LIMIT = 5.0
"""Allowed difference in combined standard errors."""

_PIECES = 16


def copy_model(source: Path, target: Path) -> None:
    """Copy a trained model, whole or not at all; nothing happens if it is there already.

    Raises:
        CannotCreateError: If `target` holds another model.
    """
    _refuse_another(source, target)
    if (target / "model.json").exists():
        return
    make_directory(target)
    for name in MODEL_FILES:
        write_bytes(target / name, read_bytes(source / name))


def _refuse_another(source: Path, target: Path) -> None:
    header = target / "model.json"
    if header.exists() and sha256_file(header) != sha256_file(source / "model.json"):
        raise CannotCreateError(f"{target}: holds another model", hint="name another directory")


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


def make_card(
    source: Path,
    target: Path,
    *,
    title: str,
    draws: int = DRAWS,
    ancestors: Sequence[Path] = (),
    work: Path | None = None,
    replace: bool = False,
    progress: Progress,
) -> Card:
    """Measure a trained model, then copy it to `target` and write its card there.

    An entry appears with its card, which is written last; while one is replaced there is none.

    Args:
        source: A run or model directory.
        target: A directory of the zoo; its name is the model's.
        title: What it is, in one line.
        draws: Draws behind the card.
        ancestors: Run or model directories of the trainings before it, oldest first, for models whose header does not
            tell them.
        work: Where to draw; what is there already from an earlier call is not drawn again. By default a directory that
            vanishes.
        replace: Put it in the place of the model that is there.
        progress: Display.

    Raises:
        CannotCreateError: If `target` holds another model and `replace` is false.
    """
    model = model_path(str(source))
    if not replace:
        _refuse_another(model, target)
    study = sampling_study(model, name=target.name, draws=draws)
    with _directory(work) as folder:
        measured = _measured(model, study, folder, progress)
    content = {
        "schema": SCHEMA,
        "title": title,
        "model": sha256_file(model / "model.json"),
        **{section: read_header(model)["identity"][section] for section in ("lattice", "action", "flow")},
        "training": _training(model, ancestors),
        "measured": measured,
        "provenance": origin(),
    }
    if replace and target.exists():
        for name in (CARD, *reversed(MODEL_FILES)):
            remove_file(target / name)
    copy_model(model, target)
    write_bytes(target / CARD, seal(content, indent=1) + b"\n")
    return Card(target.name, target, content)


def _training(model: Path, ancestors: Sequence[Path]) -> dict[str, Any]:
    """How a model was trained, where and from what."""
    header, history = read_header(model), training_log(model)
    told = header.get("ancestors", [])
    return {
        "seconds": history[-1]["seconds"],
        "steps": history[-1]["step"],
        "stopped_by": header["stopped_by"],
        "seed": header["identity"]["seed"],
        "settings": header["identity"]["training"],
        "machine": header.get("origin"),
        "start": header.get("start"),
        "parents": header.get("parents", {}),
        "ancestors": told or [lineage(model_path(str(path)))[-1] for path in ancestors],
    }


@contextmanager
def _directory(named: Path | None) -> Iterator[Path]:
    """The named directory, or one that vanishes afterwards."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def check_card(card: Card, *, draws: int = CHECK_DRAWS, progress: Progress) -> list[Check]:
    """Check a model of the zoo against its card.

    Its hash; log q, S and decisions of fresh draws computed again; their figures and observables against the card's;
    the card against known values.

    Args:
        card: The card.
        draws: Fresh draws, made with another seed than those of the card.
        progress: Display.
    """
    content = card.content
    digest = sha256_file(card.directory / "model.json")
    checks = [Check("card: hash of the model", digest[:16], content["model"][:16], passed=digest == content["model"])]
    try:
        load_whole(card.directory)
    except LatflowError as error:
        return [*checks, Check("card: files of the model", str(error), "as in model.json", passed=False)]
    study = sampling_study(card.directory, name=card.name, draws=draws, seed=_other_seed(content))
    with _directory(None) as folder:
        fresh = _measured(card.directory, study, folder, progress)
        # Verify the run of the fresh draws: log q by the inverse, S, every decision, every hash.
        checks += verify(folder)
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
    """Figures of the weights of draws and reweighted observables."""
    copy_model(model, folder / "model")
    results = run_stages(study, folder, stages=("sample", "measure", "analyse"), progress=progress)
    weights = Ensemble.open(folder / "ensembles" / "flow", writable=False).column("log_weight")
    if results is None or results.flow is None:
        raise MissingInputError(str(folder), value="no draws of a flow")
    flow, kept = results.flow, ("observable", "value", "error", "reference", "reference_error", "reference_source")
    return {
        "n": flow.n,
        "seed": study.seed,
        "block_size": study.sampling.block_size,
        "acceptance": float(independence_acceptance(weights)),
        "acceptance_error": _scatter(weights, independence_acceptance),
        "reweighting_ess": flow.reweighting_ess,
        "reweighting_ess_error": _scatter(weights, reweighting_ess),
        "pareto_k": flow.pareto_k,
        "log_z": flow.log_z,
        "log_z_error": flow.log_z_error,
        "seconds_per_draw": results.cost["flow"].seconds_per_configuration,
        "estimates": [
            row.model_dump(mode="json", include=set(kept))
            for row in results.estimates
            if row.sampler == "reweighted"
            and row.number is not None
            # log Z stands above; its row is kept for the exact value beside it
            and (row.observable != "log_z" or row.reference is not None)
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


class _Lines:
    """A progress display that writes a line once in a while, for work of many minutes."""

    def __init__(self, seconds: float = 30.0) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def stage(self, name: str, detail: str) -> None:
        """A stage begins."""
        self.line(f"{name}: {detail}")

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        """Write a line if the last one is old."""
        if time.monotonic() - self._last > self._seconds:
            self.line(f"{name}: {done:g} of {total:g}")

    def line(self, text: str) -> None:
        """Write a line to standard error."""
        self._last = time.monotonic()
        sys.stderr.write(f"{text}\n")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m latflow.study.card_maker", description="Put a trained model into the zoo, with its card."
    )
    parser.add_argument("run", type=Path, help="a run or model directory")
    parser.add_argument("name", help="its name in the zoo")
    parser.add_argument("title", help="what it is, in one line")
    parser.add_argument("draws", type=int, nargs="?", default=DRAWS, help="draws behind the card, %(default)s")
    parser.add_argument("--zoo", type=Path, default=shipped(), help="directory of the zoo, by default the package's")
    parser.add_argument(
        "--ancestors",
        type=Path,
        nargs="+",
        default=[],
        help="trainings before it, oldest first, if its header has none",
    )
    parser.add_argument("--work", type=Path, help="where to draw; an interrupted call goes on from what is there")
    parser.add_argument("--replace", action="store_true", help="in the place of the model of that name")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Put a trained model into the zoo; see ``python -m latflow.study.card_maker --help``.

    Args:
        words: The command line.

    Raises:
        SystemExit: With the refusal, if there is one.
    """
    given = _arguments(words)
    fix_threads()
    fix_settings()
    try:
        make_card(
            given.run,
            given.zoo / required_name(given.name),
            title=given.title,
            draws=given.draws,
            ancestors=given.ancestors,
            work=given.work,
            replace=given.replace,
            progress=_Lines(),
        )
    except LatflowError as error:
        raise SystemExit("\n".join(error.lines())) from error


if __name__ == "__main__":
    main()
