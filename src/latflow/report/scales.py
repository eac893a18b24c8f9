"""Scales of the gradient flow that were not reached, in words."""

from latflow.report import data
from latflow.report.names import sampler_style
from latflow.results import Results
from latflow.stats.flow_scale import LEVEL

SCALES = {
    "t0": "t²⟨E⟩ of the clover",
    "w0": "t d/dt t²⟨E⟩ of the clover",
    "t0_plaquette": "t²⟨E⟩ of plaquettes",
    "w0_plaquette": "t d/dt t²⟨E⟩ of plaquettes",
}
"""Scales of the gradient flow, and what has to reach the level of each."""

NOT_REACHED = "not reached"


def unreached(results: Results, observable: str) -> str:
    """A sentence on the samplers whose flows ended before a scale; empty if none did."""
    missed = beyond(results, observable)
    if not missed:
        return ""
    end = data.flow_times(results)[-1]
    labels = ", ".join(sampler_style(sampler).label for sampler in missed)
    return f"Not reached: {SCALES[observable]} stays below {LEVEL:g} until t = {end:g}, the end of the flow ({labels})."


def beyond(results: Results, observable: str) -> list[str]:
    """Samplers whose flow did not reach a scale."""
    found = [row.sampler for row in results.of(observable) if row.number is None]
    return found if observable in SCALES and data.flow_times(results).size else []
