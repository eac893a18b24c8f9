"""The measure verb: observables of every stored block, one measurement block for each.

What was measured with other settings is no measurement of the study as it is now: it is thrown away and made again.
"""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from latflow.errors import MissingInputError
from latflow.observables.base import AbstractObservable
from latflow.observables.base import measure as measure_fields
from latflow.store.atomic import sha256_file
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_action
from latflow.study.config import StudyConfig
from latflow.study.config.stages import MEASUREMENT_SECTIONS
from latflow.study.context import RunContext, identity
from latflow.study.stages.redraw import FieldSource
from latflow.study.theories import study_physics

_DISCARDED = "discarded"


def measure(context: RunContext, sampler: str) -> None:
    """Measure the blocks of one sampler's ensemble that were not measured yet.

    Raises:
        MissingInputError: If the sampler has no ensemble.
    """
    source = context.path("ensembles", sampler)
    if not (source / "manifest.json").exists():
        raise MissingInputError(str(source), value="no ensemble", hint="run `latflow sample` first")
    ensemble = Ensemble.open(source)
    action = build_action(context.config)
    observables = study_physics(context.config).observables
    manifest = {
        "kind": "measurement",
        "sampler": sampler,
        "identity": {
            **identity(context.config, "lattice", "action"),
            **what_is_measured(context.config),
            "ensemble": sha256_file(source / "manifest.json"),
        },
    }
    _discard_others(context, sampler, manifest["identity"])
    measurement = Ensemble.open_or_create(context.path("measurements", sampler), manifest)
    if measurement.n_blocks >= ensemble.n_blocks:
        context.progress.line(f"measure  {sampler}: up to date")
        return
    source_fields = FieldSource(context, ensemble)
    context.progress.stage("measure", f"{sampler}, {ensemble.n_records} configurations")
    levels: set[str] = set()
    for index in range(measurement.n_blocks, ensemble.n_blocks):
        with context.timed(stage="measure", sampler=sampler, block=index):
            fields, level = source_fields.read(index)
            levels.add(level)
            entry = ensemble.entries[index]
            columns = _measure_block(observables, fields, len(action.space.shape))
            measurement.append(columns, n=entry.n, attributes={"source": entry.sha256})
        context.progress.update(f"measure {sampler}", index + 1, ensemble.n_blocks, {})
        context.interrupts.check()
    if "close" in levels:
        context.progress.line(f"measure  {sampler}: drawn again on another platform, S and log q as in the ledger")


def what_is_measured(config: StudyConfig) -> dict[str, Any]:
    """The part of a measurement's identity that says what was measured: names, and the settings of what has any."""
    plain = config.model_dump(mode="json")
    names = sorted(observable.name for observable in study_physics(config).observables)
    return {
        "observables": names,
        **{name: plain[name] for name in MEASUREMENT_SECTIONS if plain[name]["kind"] != "none"},
    }


def is_as_asked(measurement: Ensemble, config: StudyConfig) -> bool:
    """Whether a measurement was made with the settings of a study."""
    wanted, found = what_is_measured(config), measurement.manifest["identity"]
    return all(found.get(key) == wanted.get(key) for key in ("observables", *MEASUREMENT_SECTIONS))


def _discard_others(context: RunContext, sampler: str, wanted: Mapping[str, Any]) -> None:
    """Remove a measurement of this ensemble made with other settings; whatever else differs is refused later."""
    path, away = context.path("measurements", sampler), context.path(_DISCARDED)
    shutil.rmtree(away, ignore_errors=True)  # of a process that was killed here
    if not (path / "manifest.json").exists():
        return
    measurement = Ensemble.open(path)
    if is_as_asked(measurement, context.config) or measurement.manifest["identity"]["ensemble"] != wanted["ensemble"]:
        return
    context.progress.line(f"measure  {sampler}: other settings than before, measured again")
    os.replace(path, away)
    shutil.rmtree(away)


def _measure_block(observables: tuple[AbstractObservable, ...], fields: np.ndarray, axes: int) -> dict[str, np.ndarray]:
    """Columns with the leading axes of `fields`: (draws,) for a flow, (records, chains) for chains.

    `axes` is how many of the last axes are one configuration.
    """
    lead, shape = fields.shape[:-axes], fields.shape[-axes:]
    flat = measure_fields(observables, fields.reshape(-1, *shape))
    return {name: column.reshape(*lead, *column.shape[1:]) for name, column in flat.items()}
