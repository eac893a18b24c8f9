"""Sampling with weighted samplers: independent draws in blocks of fixed size, and an exact accept/reject chain.

Every proposal is kept with its weight and the further columns of its sampler, log q and S for a flow. One ensemble
serves both the Metropolis chain and reweighting.
"""

import math
from typing import Any

import numpy as np

from latflow.samplers.draws import weighted_block
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import method_of
from latflow.study.context import RunContext, identity
from latflow.study.stages import labels
from latflow.study.stages.integration import require_accuracy
from latflow.study.stages.provenance import moved, origin, require_generator
from latflow.study.stages.redraw import DIGEST, fields_digest
from latflow.study.stages.sources import Source, draw_keys, source
from latflow.study.stages.training import is_up_to_date, train, warn_outside_range


def sample_draws(context: RunContext, name: str) -> None:
    """Bring the ensemble of a method of draws to the size the study asks for; trains first if it needs a model."""
    config = context.config
    if method_of(name).trained and not is_up_to_date(context):
        train(context)
    found = source(context, name)
    require_accuracy(context, name, found.facts)
    if method_of(name).trained:
        warn_outside_range(context)
    context.interrupts.check()
    n = config.sampling.block_size
    ensemble = Ensemble.open_or_create(context.path("ensembles", name), _manifest(context, name, found))
    n_blocks = math.ceil(config.sampling.configurations / n)
    if ensemble.n_blocks >= n_blocks:
        context.progress.line(f"sample   {name}: up to date, {ensemble.n_records} draws")
        return
    context.progress.stage("sample", f"{name}, {n_blocks * n} draws in blocks of {n}")
    begun = ensemble.manifest["origin"]
    require_generator(begun, what=str(ensemble.path))
    elsewhere, keys = moved(begun), draw_keys(config, name)
    acceptance = [float(block.arrays["accepted"].mean()) for block in ensemble.blocks(("accepted",))]
    for block in range(ensemble.n_blocks, n_blocks):
        with context.timed(stage="sample", sampler=name, block=block, n=n) as watch:
            columns = weighted_block(found.sampler, *keys, first=block * n, n=n, **_chain_state(ensemble))
            attributes: dict[str, Any] = {"first": block * n, **elsewhere}
            if config.sampling.ledger_only:
                attributes[DIGEST] = fields_digest(columns.pop("fields"))
            told = labels.of_ensemble(columns, chains=False, n_dim=len(config.lattice.shape))
            with watch.storing():
                ensemble.append(columns, n=n, attributes=attributes, labels=told)
        acceptance.append(float(columns["accepted"].mean()))
        context.progress.update(f"sample {name}", block + 1, n_blocks, {"acceptance": float(np.mean(acceptance))})
        context.interrupts.check()


def _chain_state(ensemble: Ensemble) -> dict[str, Any]:
    """State of the accept/reject chain, read from the last block."""
    if ensemble.n_blocks == 0:
        return {"log_weight": -math.inf, "index": -1}
    index = int(ensemble.read(ensemble.n_blocks - 1, ("index",)).arrays["index"][-1])
    if index < 0:
        return {"log_weight": -math.inf, "index": -1}
    block, row = divmod(index, ensemble.manifest["identity"]["block_size"])
    return {"log_weight": float(ensemble.read(block, ("log_weight",)).arrays["log_weight"][row]), "index": index}


def _manifest(context: RunContext, name: str, found: Source) -> dict[str, Any]:
    sampling = context.config.sampling
    return {
        "kind": "ensemble",
        "labelled": True,
        "sampler": name,
        "identity": {
            **identity(context.config, "lattice", "action"),
            "block_size": sampling.block_size,
            **found.identity,
            **({"fields": "drawn again"} if sampling.ledger_only else {}),
        },
        **found.facts,
        "origin": origin(),
    }
