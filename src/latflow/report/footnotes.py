"""Why an estimate of a gauge theory has no value, in one sentence."""

from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.results import Results

_RATIO = "creutz_ratio"


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
