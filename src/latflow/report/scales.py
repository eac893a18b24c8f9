"""Scales of the gradient flow that were not reached, in words."""

from collections.abc import Mapping
from typing import Any

from latflow.report import data
from latflow.report.names import sampler_style
from latflow.report.numbers import is_number
from latflow.stats.flow_scale import LEVEL

SCALES = {
    "t0": "t²⟨E⟩ of the clover",
    "w0": "t d/dt t²⟨E⟩ of the clover",
    "t0_plaquette": "t²⟨E⟩ of plaquettes",
    "w0_plaquette": "t d/dt t²⟨E⟩ of plaquettes",
}
"""Scales of the gradient flow, and what has to reach the level of each."""

NOT_REACHED = "not reached"


def unreached(results: Mapping[str, Any], observable: str) -> str:
    """A sentence on the samplers whose flows ended before a scale; empty if none did."""
    missed = beyond(results, observable)
    if not missed:
        return ""
    end = data.flow_times(results)[-1]
    labels = ", ".join(sampler_style(sampler).label for sampler in missed)
    return f"Not reached: {SCALES[observable]} stays below {LEVEL:g} until t = {end:g}, the end of the flow ({labels})."


def beyond(results: Mapping[str, Any], observable: str) -> list[str]:
    """Samplers whose flow did not reach a scale."""
    entries = results.get("estimates") or []
    found = [e["sampler"] for e in entries if e["observable"] == observable and not is_number(e.get("value"))]
    return found if observable in SCALES and data.flow_times(results).size else []
