"""The stage between measuring and analysing: Stein fields correct the averages of the chains that the study names.

What was found is kept in ``reduced/SAMPLER/``: the trained velocities with their card, and ``averages.json`` with the
corrected averages of the field of the study. Velocities of a flow are not copied: its name and hash are kept. The
analysis puts corrected averages in the place of the plain ones, which stay beside.
"""

import math
from collections.abc import Collection, Mapping, Sized
from pathlib import Path
from typing import Any

import jax
import numpy as np

from latflow.actions.base import AbstractAction
from latflow.errors import MissingInputError
from latflow.results import EstimateRecord
from latflow.store.atomic import make_directory, read_bytes, sha256_file, write_bytes
from latflow.store.ensemble import Ensemble
from latflow.store.records import ChecksumError, FormatError, require_schema, seal, unseal
from latflow.study.config import StudyConfig
from latflow.study.config.methods import GIVEN, METHODS
from latflow.study.config.stages import ReduceConfig
from latflow.study.context import RunContext
from latflow.study.latent import latent_fields
from latflow.study.methods import method_key
from latflow.study.reduction import Reduced, reduce_chains
from latflow.study.reduction_wording import tests_told, withheld_told
from latflow.study.stages.carried import are_whole, given_hashes, is_same, made_from, seconds_of_given
from latflow.study.stages.files import parts_of_files
from latflow.study.stein_files import fields_place, load_fields, save_fields
from latflow.study.theories import in_study_field, is_wanted, study_physics
from latflow.theories.any_action import stein_settings_of
from latflow.training.model_file import HEADER
from latflow.variates.base import AbstractSteinFields
from latflow.variates.catalogue import family
from latflow.variates.training import SteinTraining

FILE = "averages.json"
FIELDS = "fields"
"""Key of the SHA-256 of the card of the Stein fields, and the folder where they are."""

FIELDS_SECONDS = "fields_training_seconds"
"""Key of the seconds of all trainings of the Stein fields, or of their flow; `training_seconds` are of this run."""

SCHEMA = 1
REVISION = 4
"""Raised whenever the same chains give other corrected averages, or other ones are withheld."""

_STREAM = 0x57E1
_FIGURES = ("value", "error", "tau_int", "tau_int_error")


def reduce_averages(context: RunContext, sampler: str) -> None:
    """Correct the averages of one sampler, if that was not done with the same chains and settings.

    Raises:
        MissingInputError: If the sampler was not measured, or the Stein fields are not there.
        DataError: If there are too few chains or records.
    """
    wanted, place = _identity(context, sampler), place_of(context.directory, sampler)
    kept = _kept(context, place)
    if kept and is_same(kept["identity"], wanted):
        context.progress.line(f"reduce   {sampler}: up to date")
        _tell(context, kept)
        return
    context.progress.stage("reduce", f"{sampler}: Stein fields")
    with context.timed(stage="reduce", sampler=sampler):
        found = _reduced(context, sampler)
        make_directory(place.parent)
        record = {
            "schema": SCHEMA,
            "identity": wanted,
            FIELDS: _saved(context, sampler, found),
            **found.facts(),
            FIELDS_SECONDS: _training_seconds(context, found),
            **_averages(context, found),
        }
        write_bytes(place, seal(_portable(record), indent=1) + b"\n")
    context.progress.line(
        f"reduce   {sampler}: {_counts(context.config, found.plain, found.corrections)} averages have smaller errors"
    )
    _tell(context, record)


def _saved(context: RunContext, sampler: str, found: Reduced) -> str | None:
    """SHA-256 of the card of the fields, which are kept beside the averages; None of those of a flow."""
    asked, directory = context.config.reduce, place_of(context.directory, sampler).parent / FIELDS
    if asked.flow:
        return None
    if asked.fields and fields_place(asked.fields).resolve() == directory.resolve():
        return sha256_file(directory / HEADER)  # of this run itself: they stay as they are
    action = context.config.action.model_dump(mode="json")
    made = made_from(asked.fields, {"sampler": sampler, "action": action, "facts": found.facts()})
    return save_fields(directory, found.fields, space=study_physics(context.config).action.space, made=made)


def _training_seconds(context: RunContext, found: Reduced) -> float | None:
    """Of the fields, wherever that was; of fields of a flow, of its trainings; None where nothing tells them."""
    asked = context.config.reduce
    return seconds_of_given(asked, found.fields) if asked.fields or asked.flow else found.training_seconds


def _kept(context: RunContext, place: Path) -> dict[str, Any]:
    """What was found before; empty if there is nothing or a file is damaged or gone, which is then made anew."""
    try:
        record = _read(place) if place.exists() else {}
    except (FormatError, ChecksumError):
        context.progress.line(f"reduce   {place}: damaged, made anew")
        return {}
    if record and not are_whole(place.parent / FIELDS, record.get(FIELDS)):
        context.progress.line(f"reduce   {place.parent / FIELDS}: damaged or not there, made anew")
        return {}
    return record


def _counts(config: StudyConfig, plain: Mapping[str, Sized], corrected: Collection[str]) -> str:
    """How many averages of one and of several numbers, of those that the study shows, are corrected."""
    told = []
    for kind, is_kind in (("scalar", lambda parts: len(parts) == 1), ("vector", lambda parts: len(parts) > 1)):
        names = [name for name, parts in plain.items() if is_kind(parts) and is_wanted(config, name)]
        if names:
            told.append(f"{sum(name in corrected for name in names)} of {len(names)} {kind}")
    return " and ".join(told)


def _tell(context: RunContext, record: Mapping[str, Any]) -> None:
    """Null tests, the bias that they would see, and what of the study's averages is not corrected."""
    shown = {name: reason for name, reason in record["withheld"].items() if is_wanted(context.config, name)}
    for line in (*tests_told(record), *withheld_told(shown)):
        context.progress.line(f"         {line}")


def reduced_inputs(directory: Path) -> dict[str, str | None]:
    """SHA-256 of what identifies the corrected averages of a run, by the names that results give their inputs."""
    found = {name: place_of(directory, name) for name in METHODS}
    return {f"reduced/{name}": sha256_file(path) for name, path in found.items() if path.exists()}


def with_reduction(context: RunContext, rows: tuple[EstimateRecord, ...]) -> tuple[EstimateRecord, ...]:
    """The rows of results with corrected averages in place of the plain ones, which stand beside them.

    Args:
        context: The run.
        rows: Of the analysis without corrections.
    """
    kept = {name: reduction_of(context.directory, name) for name in context.config.reduce.samplers}
    found = {name: record["averages"] for name, record in kept.items() if record and _is_new(context, name, record)}
    return tuple(_corrected(row, found.get(row.sampler, {}).get(row.observable)) for row in rows)


def reduction_of(directory: Path, sampler: str) -> dict[str, Any]:
    """What is kept of the reduction of a sampler's chains; empty without one.

    Args:
        directory: The run directory.
        sampler: Whose.
    """
    place = place_of(directory, sampler)
    return _read(place) if place.exists() else {}


def _is_new(context: RunContext, sampler: str, record: Mapping[str, Any]) -> bool:
    """Whether corrected averages are those of the chains that are there now."""
    if is_same(record["identity"], _identity(context, sampler)):
        return True
    context.progress.line(f"analyse  {sampler}: corrected averages are out of date and left out: latflow reduce")
    return False


def place_of(directory: Path, sampler: str) -> Path:
    """The file with the corrected averages of a sampler's chains.

    Args:
        directory: The run directory.
        sampler: Whose.
    """
    return directory / "reduced" / sampler / FILE


def _read(path: Path) -> dict[str, Any]:
    try:
        record = unseal(read_bytes(path).removesuffix(b"\n"), what=str(path), indent=1)
    except (FormatError, ChecksumError) as error:
        hint = f"`latflow reduce {path.parent.parent.parent}` makes it anew"
        raise type(error)(error.what, value=error.value, allowed=error.allowed, hint=hint) from error
    require_schema(record, newest=SCHEMA, what=str(path))
    return record


def _identity(context: RunContext, sampler: str) -> dict[str, Any]:
    """What the corrected averages are made of."""
    for kind in ("ensembles", "measurements"):
        if not (context.path(kind, sampler) / "manifest.json").exists():
            hint = "run `latflow run` first"
            raise MissingInputError(str(context.path(kind, sampler)), value="not there", hint=hint)
    asked = context.config.reduce
    return {
        "revision": REVISION,
        "seed": context.config.seed,
        "reduce": asked.model_dump(mode="json", exclude=_unsaid(asked)),
        **given_hashes(asked),
        "stein_fields": context.config.action.stein_fields,
        "ensemble": Ensemble.open(context.path("ensembles", sampler)).digest,
        "measurement": Ensemble.open(context.path("measurements", sampler)).digest,
    }


def _unsaid(asked: ReduceConfig) -> set[str]:
    """Keys that came later, where they say what was done before there were any."""
    return {"products"} if asked.products == "total" else set()


def _reduced(context: RunContext, sampler: str) -> Reduced:
    config, physics = context.config, study_physics(context.config)
    measurement = Ensemble.open(context.path("measurements", sampler))
    names = measurement.manifest["identity"]["observables"]
    columns = {name: np.swapaxes(measurement.column(name), 0, 1) for name in names}
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    if sampler in GIVEN:
        x, columns = parts_of_files(context, ensemble, columns)
    else:
        x = np.swapaxes(ensemble.column("fields"), 0, 1)
    key, asked = jax.random.fold_in(method_key(config, METHODS[sampler]), _STREAM), config.reduce
    training = SteinTraining(steps=asked.steps, batch_size=asked.batch_size, learning_rate=asked.learning_rate)

    def shown(step: int, loss: float) -> None:
        context.progress.update(f"reduce {sampler}", step, training.steps, {"loss": loss})
        context.interrupts.check()

    start = _start(config, key, physics.action, n=x.shape[0] * x.shape[1])
    given = asked.fields or asked.flow
    return reduce_chains(key, physics, start, x, columns, training=None if given else training, on_step=shown)


def _start(config: StudyConfig, key: Any, action: AbstractAction, *, n: int) -> AbstractSteinFields:
    """Trained velocities, those of a flow for n configurations, or untrained ones of the family of the theory."""
    if config.reduce.flow:
        return latent_fields(config.reduce.flow, action, n=n)
    if config.reduce.fields:
        return load_fields(Path(config.reduce.fields), action.space)
    products = {} if config.reduce.products == "total" else {"products": config.reduce.products}
    return family(config.action.stein_fields).create(key, action.space, {**stein_settings_of(action), **products})


def _averages(context: RunContext, found: Reduced) -> dict[str, Any]:
    """Corrected averages of the field of the study, by name."""
    made = in_study_field(context.config, found.corrections)
    return {
        "averages": {
            name: {
                **{figure: [getattr(each, figure) for each in parts] for figure in _FIGURES},
                "n": min(each.n for each in parts),
                "variance_ratio": found.variance_ratio[name],
            }
            for name, parts in made.items()
        }
    }


def _corrected(row: EstimateRecord, found: Mapping[str, Any] | None) -> EstimateRecord:
    """A row with the corrected average, component by component where only some are better."""
    if found is None:
        return row
    figures = {name: _like(row, found[name]) for name in (*_FIGURES, "variance_ratio")}
    return row.model_copy(
        update={**figures, "n": found["n"], "slow_mode": None, "plain_value": row.value, "plain_error": row.error}
    )


def _like(row: EstimateRecord, values: list[float | None]) -> Any:
    return tuple(values) if row.is_array else values[0]


def _portable(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, Mapping):
        return {name: _portable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
