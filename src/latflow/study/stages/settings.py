"""How every chain sampler of a run was set, with what its warm-up tuned: the study's keys alone do not say it."""

from typing import Any

from latflow.store.ensemble import Ensemble
from latflow.study.context import RunContext


def sampler_settings(context: RunContext, sampler: str) -> dict[str, Any]:
    """Settings of one chain sampler.

    Returns:
        The keys of the sampler's table, those that warm-up has changed replaced: for HMC ``step_size`` and
        ``trajectory_length``, which is n_steps × step_size; for others that are tuned ``width`` of the proposals.
        Beside them ``start``, or the file that all chains began in, and ``acceptance``, the mean over all blocks.
    """
    config = context.config
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    found: dict[str, Any] = {"start": "mixed", **getattr(config, sampler).model_dump(mode="json")}
    if config.sampling.start_from is not None:
        found["start"] = config.sampling.start_from
    scale = ensemble.manifest["scale"]
    if sampler == "hmc":
        found |= {"step_size": scale, "trajectory_length": found["n_steps"] * scale}
    elif scale is not None:
        found["width"] = scale
    return {**found, "acceptance": float(ensemble.column("acceptance").mean())}
