"""The table of costs as plain data: what sampling took, and what an independent configuration takes."""

from dataclasses import dataclass
from typing import NamedTuple

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.report.numbers import ABSENT, count, duration, plain
from latflow.results import Results, SamplerCost


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
    rows = [CostRow(label, duration(seconds)) for label, seconds in _trainings(results).items()]
    for sampler in sorted(results.cost, key=lambda s: order_of(s, SAMPLERS)):
        entry, paid = results.cost[sampler], independent_cost(results, sampler)
        rows.append(
            CostRow(
                label=sampler_style(sampler).label,
                time=duration(entry.seconds),
                configurations=count(entry.configurations),
                tau_int=plain(paid.tau_int, 2),
                slowest=results.words(paid.observable).symbol if paid.observable else ABSENT,
                per_independent=duration(paid.seconds, 2),
                compilation_included=entry.compilation_included,
            )
        )
    return rows


def _trainings(results: Results) -> dict[str, float]:
    """Seconds of the training, and with all that it began from where that is more."""
    own = None if results.flow is None else results.flow.training_seconds
    found = {} if own is None else {"training the flow": own}
    whole = max((entry.training_seconds or 0.0 for entry in results.cost.values()), default=0.0)
    return found if whole <= (own or 0.0) + 1e-3 else {**found, "training, with the flows it began from": whole}


class IndependentCost(NamedTuple):
    """What an independent configuration of one sampler costs.

    Attributes:
        sampler: Its name.
        observable: Whose τ_int counts; empty where none is known.
        tau_int: In configurations.
        seconds: 2 τ_int × seconds per configuration; None where it is not known.
        compilation_included: As the first block is all there is.
    """

    sampler: str
    observable: str
    tau_int: float | None
    seconds: float | None
    compilation_included: bool


def independent_cost(results: Results, sampler: str) -> IndependentCost:
    """The cost by the τ_int of one observable for all samplers; by that of its own slowest where none is common."""
    entry = results.cost.get(sampler, SamplerCost())
    common = common_observable(results)
    tau = _times(results, sampler).get(common)
    if tau is None or entry.seconds_per_configuration is None:
        named, seconds = entry.tau_int_of or "", entry.seconds_per_independent
        return IndependentCost(sampler, named, entry.tau_int, seconds, entry.compilation_included)
    each = 2 * tau * entry.seconds_per_configuration
    return IndependentCost(sampler, common, tau, each, entry.compilation_included)


def common_observable(results: Results) -> str:
    """Of the observables of which every sampler with a cost has a τ_int, the one that is slowest in any of them."""
    times = [found for sampler in results.cost if (found := _times(results, sampler))]
    shared = set.intersection(*map(set, times)) if times else set()
    return max(sorted(shared), key=lambda name: max(found[name] for found in times), default="")


def _times(results: Results, sampler: str) -> dict[str, float]:
    """τ_int of the scalar estimates of a sampler."""
    return {
        row.observable: row.tau_int
        for row in results.estimates
        if row.sampler == sampler and row.number is not None and isinstance(row.tau_int, float)
    }
