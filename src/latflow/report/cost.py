"""The table of costs as plain data: what sampling took, and what an independent configuration takes."""

from dataclasses import dataclass

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.report.numbers import ABSENT, count, duration, plain
from latflow.results import Results


@dataclass(frozen=True)
class CostRow:
    """One line: sampler, total time, configurations, the τ_int counted and its observable, time per independent one."""

    label: str
    time: str
    configurations: str = ABSENT
    tau_int: str = ABSENT
    slowest: str = ABSENT
    per_independent: str = ABSENT
    compilation_included: bool = False


def cost_rows(results: Results) -> list[CostRow]:
    """Every sampler in the order of tables; training first."""
    trained = None if results.flow is None else results.flow.training_seconds
    rows = [] if trained is None else [CostRow("training the flow", duration(trained))]
    for sampler in sorted(results.cost, key=lambda s: order_of(s, SAMPLERS)):
        entry = results.cost[sampler]
        rows.append(
            CostRow(
                label=sampler_style(sampler).label,
                time=duration(entry.seconds),
                configurations=count(entry.configurations),
                tau_int=plain(entry.tau_int, 2),
                slowest=results.words(entry.tau_int_of).symbol if entry.tau_int_of else ABSENT,
                per_independent=duration(entry.seconds_per_independent, 2),
                compilation_included=entry.compilation_included,
            )
        )
    return rows
