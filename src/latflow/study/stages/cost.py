"""What sampling cost: wall-clock seconds, and those of an independent configuration.

The largest τ_int among the estimates of a sampler counts. Its first block includes compilation, which every ensemble
pays once, whatever its size; it is left out wherever there is another block.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from latflow.results import EstimateRecord, SamplerCost


def costs(metrics: Iterable[Mapping[str, Any]], estimates: Sequence[EstimateRecord]) -> dict[str, SamplerCost]:
    """Cost by sampler.

    Args:
        metrics: Records of finished work; those of stage ``sample`` name sampler, block, configurations n and seconds.
        estimates: Rows of the results.

    Returns:
        ``seconds`` and ``configurations`` in all; ``seconds_per_configuration``, the median over blocks after the
        first, without writing files, which takes as long whoever has sampled; ``compilation_included``, true where the
        first is all there is; ``tau_int``, the largest of a scalar estimate that exists, in configurations of a chain,
        and ``tau_int_of``, which that is, null without any; ``seconds_per_independent``, the product of the former
        with 2 τ_int.
    """
    seconds: dict[str, dict[int, Mapping[str, Any]]] = {}
    for record in metrics:
        if record.get("stage") == "sample":
            seconds.setdefault(record["sampler"], {})[record["block"]] = record
        for sampler in record.get("samplers", ()) if record.get("stage") == "superseded" else ():
            seconds.pop(sampler, None)  # draws of an earlier model, which are used no more
    return {sampler: _cost(blocks, *_slowest(sampler, estimates)) for sampler, blocks in seconds.items()}


def _cost(blocks: Mapping[int, Mapping[str, Any]], slowest: str | None, tau: float | None) -> SamplerCost:
    first, *others = (blocks[number] for number in sorted(blocks))
    each = float(
        np.median([(record["seconds"] - record.get("storing", 0.0)) / record["n"] for record in others or [first]])
    )
    return SamplerCost(
        seconds=round(sum(record["seconds"] for record in blocks.values()), 3),
        configurations=sum(record["n"] for record in blocks.values()),
        seconds_per_configuration=each,
        compilation_included=not others,
        tau_int=tau,
        tau_int_of=slowest,
        seconds_per_independent=None if tau is None else each * 2 * tau,
    )


def _slowest(sampler: str, estimates: Sequence[EstimateRecord]) -> tuple[str | None, float | None]:
    """The observable of the largest τ_int, and that; of equal ones the first."""
    found = {
        row.observable: row.tau_int
        for row in estimates
        if row.sampler == sampler and row.number is not None and isinstance(row.tau_int, float)
    }
    return max(found.items(), key=lambda item: item[1], default=(None, None))
