"""Why an estimate has no value, or no error to be believed, in one sentence."""

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.results import Results
from latflow.stats.estimates import UNDERESTIMATED, UNRESOLVED

_RATIO = "creutz_ratio"


_MEANING = {
    UNDERESTIMATED: "an error written (≥…) is only a lower bound, and the value may be off by more",
    UNRESOLVED: "there is no number",
}


def not_reliable(results: Results) -> str:
    """Which averages are not to be believed with their errors, what that means and why; empty if all are."""
    found: dict[str, list[str]] = {}
    for row in results.estimates:
        if row.state in _MEANING and row.sampler not in found.setdefault(row.state, []):
            found[row.state].append(row.sampler)
    told = [
        f"{', '.join(sampler_style(s).label for s in sorted(samplers, key=lambda s: order_of(s, SAMPLERS)))}: {state}, "
        f"{_MEANING[state]}"
        for state, samplers in found.items()
    ]
    judged = None if results.flow is None else results.flow.reliability
    reasons = judged.reasons if judged is not None and told else ()
    return "; ".join(told) + (f". Why: {'; '.join(reasons)}" if reasons else "") + ("." if told else "")


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
