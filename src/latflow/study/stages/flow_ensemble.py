"""Sampling the flow: independent draws in fixed-size blocks, threaded by an exact accept/reject chain.

Every proposal is kept with log q, S and log w, so one ensemble serves the Metropolis chain and reweighting alike.
"""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from latflow._typing import PRNGKey
from latflow.errors import PhysicsStop
from latflow.flows.weighted import FlowSampler, draw_block
from latflow.samplers.independence import accept_sequence
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_action, stream
from latflow.study.context import RunContext, identity
from latflow.study.stages.provenance import origin
from latflow.study.stages.redraw import DIGEST, fields_digest
from latflow.study.stages.training import load_flow, model_is_trained, sampling_facts, train, warn_outside_range


@jax.jit
def log_uniforms(key: PRNGKey, indices: Int[Array, " n"]) -> Float[Array, " n"]:
    """Logarithms of the accept/reject uniforms; that of draw i is a function of (key, i) only."""
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
    # 1 − u is in (0, 1]: the logarithm is never −inf, so a proposal of weight zero is never taken.
    return jax.vmap(lambda k: jax.numpy.log1p(-jax.random.uniform(k)))(keys)


def flow_block(
    sampler: FlowSampler,
    draw_key: PRNGKey,
    accept_key: PRNGKey,
    *,
    first: int,
    n: int,
    log_weight: float,
    index: int,
) -> dict[str, np.ndarray]:
    """One block of proposals and what the accept/reject chain did with them.

    Args:
        sampler: Flow and action.
        draw_key: Root of the draws.
        accept_key: Root of the accept/reject uniforms.
        first: Index of the first draw.
        n: Number of draws; part of the ensemble's identity.
        log_weight: log w of the configuration the chain stands at; −inf before the first draw.
        index: Its draw index; −1 before the first draw.

    Returns:
        Columns `fields`, `log_prob`, `action`, `log_weight`, `accepted`, `index` with `n` rows.

    Raises:
        PhysicsStop: If a weight is infinite: the density of the flow vanished where it drew.
    """
    x, log_prob, action = draw_block(sampler, draw_key, first=first, n=n)
    log_weights = -action - log_prob
    uniforms = log_uniforms(accept_key, jax.numpy.arange(first, first + n))
    indices, accepted = accept_sequence(log_weights, uniforms, log_weight=log_weight, index=index, first=first)
    if bool(np.any(np.isposinf(np.asarray(log_weights)))):
        raise PhysicsStop("log weight", value="+inf", hint=f"the flow's density vanished in draws {first}…{first + n}")
    columns = {
        "fields": x,
        "log_prob": log_prob,
        "action": action,
        "log_weight": log_weights,
        "accepted": accepted,
        "index": indices,
    }
    return {name: np.asarray(column) for name, column in columns.items()}


def sample_flow(context: RunContext) -> None:
    """Bring the flow ensemble of a run to the size the study asks for; trains first if there is no model."""
    if not model_is_trained(context):
        train(context)
    flow, header = load_flow(context)
    warn_outside_range(context)
    config = context.config
    n = config.sampling.block_size
    ensemble = Ensemble.open_or_create(context.path("ensembles", "flow"), _manifest(context, header, n))
    n_blocks = math.ceil(config.sampling.configurations / n)
    if ensemble.n_blocks >= n_blocks:
        context.progress.line(f"sample   flow: up to date, {ensemble.n_records} draws")
        return
    context.progress.stage("sample", f"flow, {n_blocks * n} draws in blocks of {n}")
    sampler = FlowSampler(flow, build_action(config))
    keys = stream(config, "draw"), stream(config, "accept")
    acceptance = [float(block.arrays["accepted"].mean()) for block in ensemble.blocks(("accepted",))]
    for block in range(ensemble.n_blocks, n_blocks):
        with context.timed(stage="sample", sampler="flow", block=block, n=n):
            columns = flow_block(sampler, *keys, first=block * n, n=n, **_chain_state(ensemble))
            attributes: dict[str, Any] = {"first": block * n}
            if config.sampling.ledger_only:
                attributes[DIGEST] = fields_digest(columns.pop("fields"))
            ensemble.append(columns, n=n, attributes=attributes)
        acceptance.append(float(columns["accepted"].mean()))
        context.progress.update("sample flow", block + 1, n_blocks, {"acceptance": float(np.mean(acceptance))})
        context.interrupts.check()


def _chain_state(ensemble: Ensemble) -> dict[str, Any]:
    """Where the accept/reject chain stands, read from the last block: there is no other memory."""
    if ensemble.n_blocks == 0:
        return {"log_weight": -math.inf, "index": -1}
    index = int(ensemble.read(ensemble.n_blocks - 1, ("index",)).arrays["index"][-1])
    if index < 0:
        return {"log_weight": -math.inf, "index": -1}
    block, row = divmod(index, ensemble.manifest["identity"]["block_size"])
    return {"log_weight": float(ensemble.read(block, ("log_weight",)).arrays["log_weight"][row]), "index": index}


def _manifest(context: RunContext, header: dict[str, Any], block_size: int) -> dict[str, Any]:
    return {
        "kind": "ensemble",
        "sampler": "flow",
        "identity": {
            **identity(context.config, "lattice", "action"),
            "block_size": block_size,
            "model": header["sha256"],
            **({"fields": "drawn again"} if context.config.sampling.ledger_only else {}),
        },
        **sampling_facts(context.config),
        "origin": origin(),
    }
