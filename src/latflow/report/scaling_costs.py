"""The tables of a scaling study of what configurations cost: seconds of independent ones, and when a flow overtakes."""

from collections.abc import Mapping

from latflow.report.numbers import ABSENT, count, duration, is_number
from latflow.report.scaling_looks import Table, look_of, samplers_of
from latflow.results.scaling import ScalingEntry, ScalingResults, TrainingRecord


def cost_table(found: ScalingResults) -> Table:
    """Time per independent configuration of every sampler at every size, and of the trainings."""
    head = ["sampler", *(f"L = {extent}" for extent in found.extents)]
    rows = []
    for sampler in samplers_of(found):
        entries = {e.extent: e for e in found.samplers if e.sampler == sampler}
        rows.append([look_of(found, sampler)[0], *(_cost(entries.get(extent)) for extent in found.extents)])
        training = [entries[extent].training if extent in entries else None for extent in found.extents]
        if any(training):
            rows.append([f"{sampler}: training", *(_training(entry) for entry in training)])
    return Table("Time per independent configuration, and of training", head, rows)


def _cost(entry: ScalingEntry | None) -> str:
    if entry is None:
        return ABSENT
    seconds = entry.seconds_per_independent
    return "not estimated" if seconds is None else duration(seconds)


def _training(entry: TrainingRecord | None) -> str:
    return ABSENT if entry is None else f"{duration(entry.seconds)}, {entry.steps} steps"


def overtaking_table(found: ScalingResults) -> Table:
    """Independent configurations from which on a flow, its training counted, is cheaper than a classical sampler."""
    sizes = {(p.flow, p.sampler, p.extent): p.independent_configurations for p in found.overtaking}
    pairs = dict.fromkeys((flow, sampler) for flow, sampler, _ in sizes)
    rows = [
        [f"{flow} against {look_of(found, sampler)[0]}", *(_size(sizes, flow, sampler, L) for L in found.extents)]
        for flow, sampler in pairs
    ]
    head = ["independent configurations", *(f"L = {extent}" for extent in found.extents)]
    return Table("Ensemble from which on the flow, its training counted, is the cheaper one", head, rows)


def _size(sizes: Mapping[tuple[str, str, int], float | None], flow: str, sampler: str, extent: int) -> str:
    if (flow, sampler, extent) not in sizes:
        return ABSENT
    size = sizes[flow, sampler, extent]
    return count(size) if is_number(size) else "never"
