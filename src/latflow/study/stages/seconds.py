"""Seconds that belong to the errors of a run beside those of sampling, from its log: nothing is timed again.

What was not recorded, as in runs of earlier versions, stays absent: it is not known, and not zero.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from latflow.errors import LatflowError
from latflow.results import SamplerCost
from latflow.study.config.methods import METHODS
from latflow.study.context import RunContext
from latflow.study.models import lineage
from latflow.study.stages.reducing import FIELDS_SECONDS, reduction_of
from latflow.study.stages.training import model_directory


def with_all_seconds(
    context: RunContext,
    found: Mapping[str, SamplerCost],
    *,
    variates: Mapping[str, float | None],
    reduced: Iterable[str],
    scramblings: Mapping[str, int],
) -> dict[str, SamplerCost]:
    """Costs of sampling with the seconds of measuring, warm-up, training and correction.

    Args:
        context: The run.
        found: Costs of sampling.
        variates: Seconds of variates, by the sampler whose draws they correct.
        reduced: Samplers whose averages Stein fields have corrected.
        scramblings: Their number, by sampler of quasi-random draws.
    """
    log, kept = context.metrics(), set(reduced)
    return {
        name: each.model_copy(
            update={
                **measuring_seconds(log, name),
                "setup_seconds": _setup(context, log, name),
                "training_seconds": _training(context, name),
                **(
                    {"correction_seconds": variates[name], "correction_training_seconds": 0.0}
                    if name in variates
                    else {}
                ),
                **(_of_stein_fields(context, name) if name in kept else {}),
                "scramblings": scramblings.get(name),
            }
        )
        for name, each in found.items()
    }


def measuring_seconds(log: Iterable[Mapping[str, Any]], sampler: str) -> dict[str, float]:
    """Seconds of measuring in all, and by configuration, the median over blocks after the first, which compiles.

    Writing files is in the former alone. A measurement that kept columns of an earlier one took the seconds of both.

    Args:
        log: Records of finished work.
        sampler: Whose configurations.
    """
    seconds: dict[int, float] = {}
    computing: dict[int, float] = {}
    sizes: dict[int, int] = {}
    for record in log:
        if record.get("stage") == "superseded" and sampler in record.get("samplers", ()):
            seconds, computing, sizes = {}, {}, {}  # draws of an earlier model, which are used no more
        if record.get("sampler") != sampler:
            continue
        if record.get("stage") == "sample":
            sizes[record["block"]] = record["n"]
        if record.get("stage") == "measure":
            block, kept = record["block"], 1.0 if record.get("kept") else 0.0
            seconds[block] = kept * seconds.get(block, 0.0) + record["seconds"]
            computing[block] = kept * computing.get(block, 0.0) + record["seconds"] - record.get("storing", 0.0)
    each = [computing[block] / sizes[block] for block in sorted(seconds) if block in sizes]
    if not each or len(each) < len(sizes):
        return {}
    return {
        "measuring_seconds": round(sum(seconds.values()), 3),
        "measuring_seconds_per_configuration": float(np.median(each[1:] or each)),
    }


def _setup(context: RunContext, log: Iterable[Mapping[str, Any]], sampler: str) -> float | None:
    """Seconds of warm-up, or of the choice of an integration; zero where there is neither."""
    method, sampling = METHODS[sampler], context.config.sampling
    if method.stage != "chains" and (not method.trained or sampling.integration == "fine"):
        return 0.0
    stage = "warm_up" if method.stage == "chains" else "integration"
    of_all = [r["seconds"] for r in log if (r.get("stage"), r.get("sampler")) == (stage, sampler)]
    return of_all[-1] if of_all else None


def _training(context: RunContext, sampler: str) -> float | None:
    """Seconds of the trainings that led to the flow; zero for a method without one."""
    if not METHODS[sampler].trained:
        return 0.0
    try:
        return float(sum(each["seconds"] for each in lineage(model_directory(context))))
    except (LatflowError, KeyError):
        return None


def _of_stein_fields(context: RunContext, sampler: str) -> dict[str, float | None]:
    """Seconds of evaluating and training them, wherever that was; None where nothing tells of it."""
    kept = reduction_of(context.directory, sampler)
    asked = context.config.reduce
    trained = None if asked.fields or asked.flow else kept.get("training_seconds")
    trained = kept.get(FIELDS_SECONDS, trained)  # averages of earlier versions lack the key
    return {"correction_seconds": kept.get("evaluation_seconds"), "correction_training_seconds": trained}
