"""What a dash among the estimates of gauge theories means, in one sentence."""

from collections.abc import Mapping
from typing import Any

from latflow.report.names import OBSERVABLES, SAMPLERS, observable_words, order_of, sampler_style

_RATIO = "creutz_ratio"


def without_logarithm(results: Mapping[str, Any]) -> str:
    """Why Creutz ratios have no value, ratio by ratio with its samplers; empty if all have one."""
    missing: dict[str, list[str]] = {}
    for entry in results.get("estimates") or []:
        if entry["observable"].startswith(_RATIO) and entry.get("value") is None:
            missing.setdefault(entry["observable"], []).append(entry["sampler"])
    if not missing:
        return ""
    named = "; ".join(
        f"{observable_words(name).symbol} of "
        + ", ".join(sampler_style(s).label for s in sorted(missing[name], key=lambda s: order_of(s, SAMPLERS)))
        for name in sorted(missing, key=lambda name: order_of(name, OBSERVABLES))
    )
    return f"– in {named}: a Wilson loop in it is zero within its error and came out negative, so it has no logarithm."
