"""The measure verb: observables of every stored block, one measurement block for each.

A column is measured again when its observable has another revision, or settings in the study, than it was measured
with. Columns that are still right are kept, so an observable that is added to a finished run costs that one only.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from latflow.errors import CannotCreateError, MissingInputError
from latflow.observables.base import AbstractObservable
from latflow.observables.base import measure as measure_fields
from latflow.store.atomic import sha256_file
from latflow.store.ensemble import Ensemble
from latflow.study.config import StudyConfig
from latflow.study.config.stages import MEASUREMENT_SECTIONS
from latflow.study.context import RunContext, identity, theory_differences
from latflow.study.stages import labels
from latflow.study.stages.redraw import FieldSource
from latflow.study.theories import measured_observables, study_physics
from latflow.theories.further import packages

_EARLIER = "earlier"
"""Directory of measurements that were made with other settings, until what is still right in them is taken over."""


def measure(context: RunContext, sampler: str) -> None:
    """Measure the blocks of one sampler's ensemble that were not measured yet.

    Raises:
        MissingInputError: If the sampler has no ensemble.
    """
    source = context.path("ensembles", sampler)
    if not (source / "manifest.json").exists():
        raise MissingInputError(str(source), value="no ensemble", hint="run `latflow sample` first")
    ensemble = Ensemble.open(source)
    manifest = {
        "kind": "measurement",
        "labelled": True,
        "sampler": sampler,
        "identity": {
            **identity(context.config, "lattice", "action"),
            **what_is_measured(context.config),
            "ensemble": sha256_file(source / "manifest.json"),
        },
    }
    _put_aside(context, sampler, manifest["identity"])
    measurement = Ensemble.open_or_create(context.path("measurements", sampler), manifest)
    if measurement.n_blocks >= ensemble.n_blocks:
        context.progress.line(f"measure  {sampler}: up to date")
        return
    _measure_blocks(context, sampler, ensemble, measurement)
    shutil.rmtree(context.path(_EARLIER, sampler), ignore_errors=True)
    with contextlib.suppress(OSError):  # that of another sampler may be needed still
        context.path(_EARLIER).rmdir()


def _measure_blocks(context: RunContext, sampler: str, ensemble: Ensemble, measurement: Ensemble) -> None:
    physics = study_physics(context.config)
    observables = measured_observables(context.config, physics)
    earlier = _Earlier(context, sampler, ensemble)
    missing = tuple(observable for observable in observables if observable.name not in earlier.names)
    source, of_chains = FieldSource(context, ensemble), "block_size" not in ensemble.manifest["identity"]
    context.progress.stage("measure", f"{sampler}, {ensemble.n_records} configurations{_words(earlier, missing)}")
    levels: set[str] = set()
    for index in range(measurement.n_blocks, ensemble.n_blocks):
        with context.timed(stage="measure", sampler=sampler, block=index, kept=bool(earlier.names)):
            kept = earlier.columns(index)
            wanted = missing if kept else observables
            columns = dict(kept)
            if wanted:
                fields, level = source.read(index)
                levels.add(level)
                columns |= _measure_block(wanted, fields, len(physics.action.space.shape))
            entry = ensemble.entries[index]
            ordered = {observable.name: columns[observable.name] for observable in observables}
            told = labels.of_measurement(ordered, chains=of_chains, words=physics.words())
            measurement.append(ordered, n=entry.n, attributes={"source": entry.sha256}, labels=told)
        context.progress.update(f"measure {sampler}", index + 1, ensemble.n_blocks, {})
        context.interrupts.check()
    if "close" in levels:
        context.progress.line(f"measure  {sampler}: drawn again on another platform, S and log q as in the ledger")


def _words(earlier: "_Earlier", missing: tuple[AbstractObservable, ...]) -> str:
    if not earlier.names:
        return ""
    return f": {', '.join(o.name for o in missing) or 'nothing'} anew, {len(earlier.names)} columns kept"


class _Earlier:
    """Columns of a measurement with other settings that are still right.

    Args:
        context: The run.
        sampler: Whose measurement.
        ensemble: What was measured.
    """

    def __init__(self, context: RunContext, sampler: str, ensemble: Ensemble) -> None:
        path = context.path(_EARLIER, sampler)
        self._ensemble = ensemble
        self._measurement = Ensemble.open(path) if (path / "manifest.json").exists() else None
        found = {} if self._measurement is None else self._measurement.manifest["identity"]
        wanted = what_is_measured(context.config)
        observables = {o.name: o for o in measured_observables(context.config, study_physics(context.config))}
        self.names = [name for name, o in observables.items() if _is_right(o, found, wanted)]

    def columns(self, index: int) -> dict[str, np.ndarray]:
        """Those of one block; none where the block was not measured."""
        measurement = self._measurement
        if measurement is None or not self.names or index >= measurement.n_blocks:
            return {}
        block = measurement.read(index, tuple(self.names))
        if block.attributes["source"] != self._ensemble.entries[index].sha256:
            return {}
        return dict(block.arrays)


def _is_right(observable: AbstractObservable, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a column was measured as it would be now."""
    name, section = observable.name, observable.section
    return (
        name in found.get("observables", ())
        and found.get("revisions", {}).get(name, 1) == observable.revision
        and found.get("packages", {}).get(name) == wanted.get("packages", {}).get(name)
        and (not section or found.get(section) == wanted.get(section))
    )


def what_is_measured(config: StudyConfig) -> dict[str, Any]:
    """The part of a measurement's identity that says what was measured: names, revisions and settings."""
    plain = config.plain()
    observables = measured_observables(config, study_physics(config))
    revisions = {o.name: o.revision for o in observables if o.revision > 1}
    foreign = packages()
    brought = {o.name: foreign[o.name] for o in observables if o.name in foreign}
    return {
        "observables": sorted(observable.name for observable in observables),
        **({"revisions": revisions} if revisions else {}),
        **({"packages": brought} if brought else {}),
        **{name: plain[name] for name in MEASUREMENT_SECTIONS if plain[name]["kind"] != "none"},
    }


def is_as_asked(measurement: Ensemble, config: StudyConfig) -> bool:
    """Whether a measurement was made with the settings of a study and the observables of this version."""
    wanted, found = what_is_measured(config), measurement.manifest["identity"]
    return all(
        found.get(key) == wanted.get(key) for key in ("observables", "revisions", "packages", *MEASUREMENT_SECTIONS)
    )


def require_of_study(context: RunContext, sampler: str) -> None:
    """Refuse an ensemble of another theory than the study's: the study was changed after the run.

    Raises:
        CannotCreateError: If a key of lattice or action that both name differs, or the seed.
    """
    path = context.path("ensembles", sampler)
    made, own = Ensemble.open(path, writable=False).manifest["identity"], identity(context.config, "lattice", "action")
    pairs = theory_differences(own, made)
    if made.get("seed", own["seed"]) != own["seed"]:
        pairs.append(("seed", own["seed"], made["seed"]))
    differing = [f"{key} = {its}, the study says {mine}" for key, mine, its in pairs]
    if differing:
        hint = "study.toml was changed after the run: put it back; another study needs another directory"
        raise CannotCreateError(str(path), value=f"made with {'; '.join(differing)}", hint=hint)


def _put_aside(context: RunContext, sampler: str, wanted: Mapping[str, Any]) -> None:
    """Move a measurement of this ensemble made with other settings away; whatever else differs is refused later."""
    path, earlier = context.path("measurements", sampler), context.path(_EARLIER, sampler)
    if not (path / "manifest.json").exists():
        return
    measurement = Ensemble.open(path)
    if is_as_asked(measurement, context.config) or measurement.manifest["identity"]["ensemble"] != wanted["ensemble"]:
        return
    context.progress.line(f"measure  {sampler}: other observables or settings than before")
    shutil.rmtree(earlier, ignore_errors=True)
    earlier.parent.mkdir(exist_ok=True)
    os.replace(path, earlier)


def _measure_block(observables: tuple[AbstractObservable, ...], fields: np.ndarray, axes: int) -> dict[str, np.ndarray]:
    """Columns with the leading axes of `fields`: (draws,) for a flow, (records, chains) for chains.

    `axes` is how many of the last axes are one configuration.
    """
    lead, shape = fields.shape[:-axes], fields.shape[-axes:]
    flat = measure_fields(observables, fields.reshape(-1, *shape))
    return {name: column.reshape(*lead, *column.shape[1:]) for name, column in flat.items()}
