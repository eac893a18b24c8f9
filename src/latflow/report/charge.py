"""The topological charge by the clover at the end of the gradient flow, and its distance from integers."""

import numpy as np

from latflow.report import data
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import plain
from latflow.stats.flowed import CLOVER_CHARGE, FLOW

MADE_OF_IT = (CLOVER_CHARGE, f"{CLOVER_CHARGE}_squared", "topological_susceptibility")
"""Observables without meaning where the charge has not settled near integers."""

_CHARGE, _LAST = 2, -1


def charge_series(run: Run, sampler: str) -> np.ndarray | None:
    """The charge at the end of the flow along the chains, shape (chains, n); None where there is none."""
    column = data.series(run, sampler, FLOW)
    charges = None if column is None else column[_LAST, _CHARGE]
    return charges if charges is not None and np.any(charges) else None


def distances(run: Run) -> str:
    """Mean distance of the charge from the nearest integer, by sampler; empty without charges."""
    found = {s: charges for s in SAMPLERS if (charges := charge_series(run, s)) is not None}
    return "; ".join(f"{sampler_style(s).label} {plain(_off(q), 2)}" for s, q in found.items())


def settled(run: Run, observable: str) -> str:
    """A sentence on whether the charge behind an observable is near integers; empty for others."""
    times = data.flow_times(run.results)
    off = distances(run) if observable in MADE_OF_IT and times.size else ""
    if not off:
        return ""
    return (
        f"Q at flow time t = {times[-1]:g}, not rounded; mean distance from the nearest integer: {off}. "
        "It is small where Q has settled, 0.25 where it prefers none."
    )


def _off(q: np.ndarray) -> float:
    return float(np.mean(np.abs(q - np.rint(q))))
