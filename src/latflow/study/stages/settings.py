"""Settings of every sampler of a run, as tuned by its warm-up; the keys of the study do not hold these."""

from typing import Any

from latflow.stats.weights import reweighting_ess
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import method_of
from latflow.study.context import RunContext
from latflow.study.stages.files import settings_of
from latflow.study.stages.integration import in_words


def sampler_settings(context: RunContext, sampler: str) -> dict[str, Any]:
    """Settings of one sampler.

    Returns:
        The keys of the sampler's table. Of chains those that warm-up has changed are replaced: for HMC ``step_size``
        and ``trajectory_length``, which is n_steps × step_size; for others that are tuned ``width`` of the proposals.
        Beside them ``start``, or the file that all chains began in, and ``acceptance``, the mean over all blocks. Of
        draws ``acceptance``, of the accept/reject chain, and ``reweighting_ess``. Of files the folder, how many
        replicas and configurations, their numbers and gaps.
    """
    config, method = context.config, method_of(sampler)
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    if method.stage == "files":
        return settings_of(context, ensemble)
    found = {} if method.table is None else getattr(config, sampler).model_dump(mode="json")
    if method.stage == "scramblings":
        return {
            **found,
            **in_words(ensemble.manifest),
            "reweighting_ess": float(reweighting_ess(ensemble.column("log_weight"))),
        }
    if method.stage == "draws":
        ess = float(reweighting_ess(ensemble.column("log_weight")))
        acceptance = float(ensemble.column("accepted").mean())
        return {**found, **in_words(ensemble.manifest), "acceptance": acceptance, "reweighting_ess": ess}
    found = {"start": "mixed", **found}
    if config.sampling.start_from is not None:
        found["start"] = config.sampling.start_from
    scale = ensemble.manifest["scale"]
    if scale is not None:
        found |= method.tuned(found, scale)
    return {**found, "acceptance": float(ensemble.column("acceptance").mean())}
