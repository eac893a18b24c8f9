"""Why an estimate has no value, or no error to be believed, in one sentence."""

from collections import Counter

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.results import Results
from latflow.stats.estimates import UNDERESTIMATED, UNRESOLVED

_RATIO = "creutz_ratio"
_MOST = 4
"""Names in a list of a sentence."""


_MEANING = {
    UNDERESTIMATED: "an error written (≥…) is only a lower bound, and the value may be off by more",
    UNRESOLVED: "there is no number",
}


def not_reliable(results: Results) -> str:
    """Which averages are not to be believed with their errors, what that means and why; empty if all are."""
    found: dict[str, dict[str, set[str]]] = {}
    for row in results.estimates:
        if row.state in _MEANING:
            found.setdefault(row.state, {}).setdefault(row.sampler, set()).add(row.observable)
    told = [f"{', '.join(_labels(results, names))}: {state}, {_MEANING[state]}" for state, names in found.items()]
    judged = None if results.flow is None else results.flow.reliability
    reasons = judged.reasons if judged is not None and told else ()
    told_of_flow = f". Why: {'; '.join(reasons)}" if reasons else ""
    return "; ".join(told) + told_of_flow + _of_scramblings(results) + ("." if told else "")


def _labels(results: Results, names: dict[str, set[str]]) -> list[str]:
    """Samplers of whose averages something is said, and of which, where it is not of all."""
    labels = []
    for sampler in sorted(names, key=lambda name: order_of(name, SAMPLERS)):
        every = {row.observable for row in results.estimates if row.sampler == sampler and row.state is not None}
        label = sampler_style(sampler).label
        labels.append(label if names[sampler] == every else f"{label} ({listed(results, names[sampler])})")
    return labels


def listed(results: Results, observables: set[str]) -> str:
    """The titles of some observables, of many the first four."""
    titles = [results.words(name).title for name in results.in_order(observables)]
    return ", ".join(titles[:_MOST]) + (f" and {len(titles) - _MOST} more" if len(titles) > _MOST else "")


def _of_scramblings(results: Results) -> str:
    """Why averages of quasi-random draws are not to be believed, beside what is said of the flow; empty if they are."""
    known = () if results.flow is None or results.flow.reliability is None else results.flow.reliability.reasons
    found = {name: [r for r in judged.reasons if r not in known] for name, judged in results.reliability.items()}
    return "".join(f". {sampler_style(name).label}: {'; '.join(why)}" for name, why in found.items() if why)


def legend(results: Results) -> str:
    """What the columns of a flow mean, those that are there; empty without one."""
    found = {row.sampler for row in results.estimates}
    return "; ".join(f"{sampler_style(name).label}: {words}" for name, words in _LEGEND.items() if name in found)


_LEGEND = {
    "flow": "the accept/reject chain through draws of the flow",
    "reweighted": "the same draws, each with its weight",
    "quasi": "the flow at scrambled Sobol points, each with its weight; errors from the scatter of scramblings",
    "reverse": "log Z from draws of the target, sent backwards through the flow",
}


def slow_tails(results: Results) -> str:
    """Whose errors include the tail of a slow quantity of the same chains; empty if none do."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in results.estimates:
        if row.slow_mode is not None:
            found.setdefault((row.sampler, row.slow_mode), []).append(row.observable)
    told = [
        f"{sampler_style(sampler).label}: errors and τ_int of {', '.join(results.in_order(set(names)))} include "
        f"the tail of {mode.replace('_', ' ')}, which moves more slowly"
        for (sampler, mode), names in found.items()
    ]
    return "; ".join(told) + ("." if told else "")


def reduced(results: Results) -> str:
    """Of which chains Stein fields have corrected how many scalar averages; empty without any."""
    found = Counter(
        row.sampler for row in results.estimates if isinstance(row.variance_ratio, float) and row.tau_int is not None
    )
    told = [f"{sampler_style(name).label}, corrected by Stein fields: {n} scalar averages" for name, n in found.items()]
    return "; ".join(told) + (", with the plain ones under “smaller errors”." if told else "")


def without_logarithm(results: Results) -> str:
    """Why Creutz ratios have no value, ratio by ratio with its samplers; empty if all have one."""
    missing: dict[str, list[str]] = {}
    for row in results.estimates:
        if row.observable.startswith(_RATIO) and row.value is None:
            missing.setdefault(row.observable, []).append(row.sampler)
    if not missing:
        return ""
    named = "; ".join(
        f"{results.words(name).symbol} of "
        + ", ".join(sampler_style(s).label for s in sorted(missing[name], key=lambda s: order_of(s, SAMPLERS)))
        for name in results.in_order(missing)
    )
    return f"– in {named}: a Wilson loop in it is zero within its error and came out negative, so it has no logarithm."
