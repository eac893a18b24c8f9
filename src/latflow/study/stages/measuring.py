"""The measure verb: observables of every stored block, one measurement block for each."""

import numpy as np

from latflow.errors import MissingInputError
from latflow.observables.base import AbstractObservable
from latflow.observables.base import measure as measure_fields
from latflow.store.atomic import sha256_file
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_action
from latflow.study.context import RunContext, identity
from latflow.study.stages.redraw import FieldSource
from latflow.study.theories import physics


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
    observables = physics(action).observables
    manifest = {
        "kind": "measurement",
        "sampler": sampler,
        "identity": {
            **identity(context.config, "lattice", "action"),
            "observables": sorted(observable.name for observable in observables),
            "ensemble": sha256_file(source / "manifest.json"),
        },
    }
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


def _measure_block(observables: tuple[AbstractObservable, ...], fields: np.ndarray, axes: int) -> dict[str, np.ndarray]:
    """Columns with the leading axes of `fields`: (draws,) for a flow, (records, chains) for chains.

    `axes` is how many of the last axes are one configuration.
    """
    lead, shape = fields.shape[:-axes], fields.shape[-axes:]
    flat = measure_fields(observables, fields.reshape(-1, *shape))
    return {name: column.reshape(*lead, *column.shape[1:]) for name, column in flat.items()}
