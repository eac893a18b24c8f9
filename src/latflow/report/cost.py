"""The table of costs as plain data: what sampling took, and what an independent configuration takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latflow.report.names import SAMPLERS, observable_words, order_of, sampler_style
from latflow.report.numbers import ABSENT, count, duration, plain


@dataclass(frozen=True)
class CostRow:
    """One line: whose cost, time in all, configurations, the τ_int counted, whose that is, per independent one."""

    label: str
    time: str
    configurations: str = ABSENT
    tau_int: str = ABSENT
    slowest: str = ABSENT
    per_independent: str = ABSENT
    compilation_included: bool = False


def cost_rows(results: Mapping[str, Any]) -> list[CostRow]:
    """Every sampler in the order of the house; training first."""
    cost = results.get("cost") or {}
    trained = (results.get("flow") or {}).get("training_seconds")
    rows = [] if trained is None else [CostRow("training the flow", duration(trained))]
    for sampler in sorted((s for s in cost if isinstance(cost[s], Mapping)), key=lambda s: order_of(s, SAMPLERS)):
        entry = cost[sampler]
        slowest = entry.get("tau_int_of")
        rows.append(
            CostRow(
                label=sampler_style(sampler).label,
                time=duration(entry.get("seconds")),
                configurations=count(entry.get("configurations")),
                tau_int=plain(entry.get("tau_int"), 2),
                slowest=observable_words(slowest).symbol if slowest else ABSENT,
                per_independent=duration(entry.get("seconds_per_independent"), 2),
                compilation_included=bool(entry.get("compilation_included")),
            )
        )
    return rows
