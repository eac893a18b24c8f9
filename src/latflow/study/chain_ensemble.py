"""Sampling with HMC and local updates: many chains, tuned once, watched while they run.

Warm-up tunes the kernel from over-dispersed starts and is stored; then the kernel is frozen and blocks follow. Each
block starts from the last configurations of the one before and recomputes whatever the kernel caches.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow.errors import ConfigError
from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.hmc import HMC
from latflow.samplers.local import LocalMetropolis
from latflow.stats.weights import independence_acceptance
from latflow.store.atomic import write_bytes
from latflow.store.blocks import decode_block, encode_block
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_kernel, stream
from latflow.study.context import RunContext, identity
from latflow.study.provenance import origin
from latflow.study.watch import Watch

Kernel = HMC | LocalMetropolis

TUNED = {"hmc": "step_size", "local": "width"}
"""The one parameter of each kernel that warm-up tunes."""

KEY_PARTS = {"start": 0, "warm_up": 1, "production": 2, "watch": 3}
"""Children of a sampler's stream."""


def sample_chains(context: RunContext, sampler: str) -> None:
    """Bring the ensemble of a classical sampler ("hmc" or "local") to the size the study asks for."""
    config = context.config
    settings = getattr(config, sampler)
    n_records = max(1, config.sampling.block_size // settings.chains)
    n_blocks = math.ceil(config.sampling.configurations / (n_records * settings.chains))
    path = context.path("ensembles", sampler)
    if not (path / "manifest.json").exists():
        _warm_up(context, sampler)
    kernel, start, start_hash = _load_start(context, sampler)
    ensemble = Ensemble.open_or_create(path, _manifest(context, sampler, n_records, start_hash))
    if ensemble.n_blocks >= n_blocks:
        context.progress.line(f"sample   {sampler}: up to date, {ensemble.n_records} configurations")
        return
    tuned = TUNED[sampler]
    context.progress.stage(
        "sample",
        f"{sampler}, {settings.chains} chains, {n_blocks * n_records} records each, "
        f"{tuned.replace('_', ' ')} {float(getattr(kernel, tuned)):.4f}",
    )
    x = _last_configurations(ensemble, start)
    watch = Watch.resume(ensemble) if sampler == "hmc" else None
    for block in range(ensemble.n_blocks, n_blocks):
        with context.timed(stage="sample", sampler=sampler, block=block, n=n_records * settings.chains):
            x = _one_block(context, sampler, kernel, ensemble, x, block, n_records, watch)
        context.interrupts.check()


def _one_block(
    context: RunContext,
    sampler: str,
    kernel: Kernel,
    ensemble: Ensemble,
    x: Float[Array, "chains *shape"],
    block: int,
    n_records: int,
    watch: Watch | None,
) -> Float[Array, "chains *shape"]:
    thin = getattr(context.config, sampler).thin
    root = stream(context.config, sampler)
    key = jax.random.fold_in(root, KEY_PARTS["production"])
    first = block * n_records * thin
    x, records = advance(kernel, key, x, first=first, n_records=n_records, thin=thin)
    columns = {
        "fields": np.asarray(records.x),
        "accepted": np.asarray(records.transition.accepted),
        "acceptance": np.asarray(records.transition.acceptance),
        "log_ratio": np.asarray(records.transition.log_ratio),
    }
    attributes: dict[str, Any] = {"first": first}
    if watch is not None:
        watch_key = jax.random.fold_in(jax.random.fold_in(root, KEY_PARTS["watch"]), block)
        attributes["reversibility_rms"] = watch.check(kernel, watch_key, columns, thin=thin)
    ensemble.append(columns, n=n_records * x.shape[0], attributes=attributes)
    total = math.ceil(context.config.sampling.configurations / (n_records * x.shape[0]))
    fields = {"acceptance": float(columns["acceptance"].mean())}
    context.progress.update(f"sample {sampler}", block + 1, total, fields)
    return x


def _warm_up(context: RunContext, sampler: str) -> None:
    """Tune the kernel and store where the chains stand, before the manifest that refers to it."""
    settings = getattr(context.config, sampler)
    target = target_acceptance(context, sampler)
    context.progress.stage("sample", f"{sampler}, warm-up of {settings.warmup} steps to acceptance {target:.2f}")
    root = stream(context.config, sampler)
    kernel = build_kernel(context.config, sampler)
    x = starts(jax.random.fold_in(root, KEY_PARTS["start"]), kernel.action.space, chains=settings.chains)
    with context.timed(stage="warm_up", sampler=sampler):
        kernel, x, acceptance = warm_up(
            kernel,
            jax.random.fold_in(root, KEY_PARTS["warm_up"]),
            x,
            n_steps=settings.warmup,
            target_acceptance=target,
        )
        attributes = {
            "sampler": sampler,
            TUNED[sampler]: float(getattr(kernel, TUNED[sampler])),
            "target_acceptance": float(target),
            "acceptance": float(acceptance),
        }
        path = context.path("ensembles", sampler)
        path.mkdir(parents=True, exist_ok=True)
        write_bytes(path / "start.h5", encode_block({"fields": np.asarray(x)}, attributes))


def target_acceptance(context: RunContext, sampler: str) -> float:
    """The acceptance warm-up tunes to; the word "flow" means that of the flow's own Metropolis chain."""
    target = getattr(context.config, sampler).target_acceptance
    if target != "flow":
        return float(target)
    path = context.path("ensembles", "flow")
    if not (path / "manifest.json").exists():
        raise ConfigError(
            [f'{sampler}.target_acceptance: "flow"; allowed: a number, or "flow" with the flow sampled first']
        )
    flow = Ensemble.open(path)
    # Only what existed when the flow ensemble was first complete matters; its first block is enough to match to 1 %.
    return round(independence_acceptance(flow.read(0, ("log_weight",)).arrays["log_weight"]), 3)


def _load_start(context: RunContext, sampler: str) -> tuple[Kernel, Float[Array, "chains *shape"], str]:
    path = context.path("ensembles", sampler, "start.h5")
    block = decode_block(path)
    kernel = build_kernel(context.config, sampler)
    tuned = TUNED[sampler]
    value = jnp.asarray(block.attributes[tuned])
    kernel = eqx.tree_at(lambda k: getattr(k, tuned), kernel, value)
    return kernel, jnp.asarray(block.arrays["fields"]), block.sha256


def _last_configurations(ensemble: Ensemble, start: Float[Array, "chains *shape"]) -> Float[Array, "chains *shape"]:
    if ensemble.n_blocks == 0:
        return start
    return jnp.asarray(ensemble.read(ensemble.n_blocks - 1, ("fields",)).arrays["fields"][-1])


def _manifest(context: RunContext, sampler: str, n_records: int, start_hash: str) -> dict[str, Any]:
    return {
        "kind": "ensemble",
        "sampler": sampler,
        "records_per_block": n_records,
        "identity": identity(context.config, "lattice", "action", sampler),
        "parents": {"start": start_hash},
        "origin": origin(),
    }
