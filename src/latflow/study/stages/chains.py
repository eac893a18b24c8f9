"""Sampling with Markov kernels: many chains, tuned once, watched while they run.

Warm-up tunes the kernel from over-dispersed starts and is stored; then the kernel is frozen and blocks follow. Each
block starts from the last configurations of the one before, links carried back into their group, and recomputes
whatever the kernel caches.
"""

import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from latflow._typing import PRNGKey, Scalar
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.samplers.base import AbstractKernel, AbstractTunableKernel
from latflow.samplers.chains import advance, starts, thermalise, warm_up
from latflow.samplers.watch import watched
from latflow.stats.weights import independence_acceptance
from latflow.store.atomic import make_directory, sha256_file, write_bytes
from latflow.store.blocks import decode_block, encode_block
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_action
from latflow.study.config.methods import METHODS, method_of
from latflow.study.context import RunContext, identity
from latflow.study.given_start import given_links
from latflow.study.methods import build_kernel, method_key
from latflow.study.stages import labels
from latflow.study.stages.provenance import moved, origin, require_generator
from latflow.study.theories import study_physics

LEAST_MATCHED = 0.6
"""Acceptance below which HMC does not follow that of a flow: chains that judge a poor flow must be good ones."""

KEY_PARTS = {"start": 0, "warm_up": 1, "production": 2, "watch": 3}
"""Children of a sampler's stream."""


def sample_chains(context: RunContext, sampler: str) -> None:
    """Bring the ensemble of a method of chains to the size the study asks for."""
    config = context.config
    settings = getattr(config, sampler)
    n_records = max(1, config.sampling.block_size // settings.chains)
    n_blocks = math.ceil(config.sampling.configurations / (n_records * settings.chains))
    if not _start_path(context, sampler).exists():
        _warm_up(context, sampler)
        context.interrupts.check()
    kernel, start = load_start(context, sampler)
    ensemble = Ensemble.open_or_create(
        context.path("ensembles", sampler), _manifest(context, sampler, n_records, kernel)
    )
    begun = ensemble.manifest["origin"]
    if ensemble.n_blocks >= n_blocks:
        context.progress.line(f"sample   {sampler}: up to date, {ensemble.n_records} configurations")
        return
    context.progress.stage(
        "sample",
        f"{sampler}, {settings.chains} chains, {n_blocks * n_records} records each{_scale_words(kernel)}",
    )
    require_generator(begun, what=str(ensemble.path))
    elsewhere = moved(begun)
    x, acceptance = _last_configurations(ensemble, start), _acceptances(ensemble)
    for block in range(ensemble.n_blocks, n_blocks):
        with context.timed(stage="sample", sampler=sampler, block=block, n=n_records * settings.chains) as watch:
            x, columns, attributes = one_block(context, sampler, kernel, x, first=block * n_records, n=n_records)
            told = labels.of_ensemble(columns, chains=True, n_dim=len(context.config.lattice.shape))
            with watch.storing():
                ensemble.append(
                    columns, n=n_records * settings.chains, attributes={**attributes, **elsewhere}, labels=told
                )
        acceptance.append(float(columns["acceptance"].mean()))
        context.progress.update(f"sample {sampler}", block + 1, n_blocks, {"acceptance": float(np.mean(acceptance))})
        context.interrupts.check()


def _scale_words(kernel: AbstractKernel) -> str:
    scale = _scale(kernel)
    return "" if scale is None else f", scale {scale:.4f}"


def _scale(kernel: AbstractKernel) -> float | None:
    """What warm-up has tuned; None where there is nothing to tune."""
    return float(kernel.scale) if isinstance(kernel, AbstractTunableKernel) else None


def one_block(
    context: RunContext,
    sampler: str,
    kernel: AbstractKernel,
    x: Inexact[Array, "chains *shape"],
    *,
    first: int,
    n: int,
) -> tuple[Inexact[Array, "chains *shape"], dict[str, np.ndarray], dict[str, Any]]:
    """Records `first` to `first + n - 1` of every chain: last configurations, columns and attributes of the block."""
    thin = getattr(context.config, sampler).thin
    root = method_key(context.config, method_of(sampler))
    key = jax.random.fold_in(root, KEY_PARTS["production"])
    action = build_action(context.config)
    back = study_physics(context.config).back
    x, records = advance(kernel, key, x if back is None else back(x), first=first, n_records=n, thin=thin)
    columns = {
        "fields": np.asarray(records.x),
        "accepted": np.asarray(records.transition.accepted),
        "acceptance": np.asarray(records.transition.acceptance),
        "log_ratio": np.asarray(records.transition.log_ratio),
    }
    attributes: dict[str, Any] = {"first": first}
    if back is not None:
        attributes["defect"] = float(_largest_defect(action.space, x))
    watch_key = jax.random.fold_in(root, KEY_PARTS["watch"])
    attributes |= watched(kernel, watch_key, records, first=first, thin=thin)
    return x, columns, attributes


@eqx.filter_jit
def _largest_defect(space: AbstractFieldSpace, x: Inexact[Array, "chains *shape"]) -> Scalar:
    return jnp.max(jax.vmap(space.defect)(x))


def _warm_up(context: RunContext, sampler: str) -> None:
    """Thermalise, tune what can be tuned, and store where the chains stand, before the ensemble that refers to it."""
    root = method_key(context.config, method_of(sampler))
    kernel = build_kernel(context.config, sampler)
    with context.timed(stage="warm_up", sampler=sampler):
        x, found = _warmed(context, sampler, kernel, root)
        attributes = {
            "sampler": sampler,
            "identity": identity(context.config, "lattice", "action", sampler),
            **found,
        }
        path = _start_path(context, sampler)
        make_directory(path.parent)
        write_bytes(path, encode_block({"fields": np.asarray(x)}, attributes))


def _warmed(
    context: RunContext, sampler: str, kernel: AbstractKernel, root: PRNGKey
) -> tuple[Inexact[Array, "chains *shape"], dict[str, float]]:
    """Where the chains stand after warm-up, and what was found."""
    settings = getattr(context.config, sampler)
    x = _first(context, sampler, root)
    key = jax.random.fold_in(root, KEY_PARTS["warm_up"])
    if not isinstance(kernel, AbstractTunableKernel):
        context.progress.stage("sample", f"{sampler}, warm-up of {settings.warmup} steps")
        x, acceptance = thermalise(kernel, key, x, n_steps=settings.warmup)
        return x, {"acceptance": acceptance}
    target = target_acceptance(context, sampler)
    context.progress.stage("sample", f"{sampler}, warm-up of {settings.warmup} steps to acceptance {target:.2f}")
    tuned, x, acceptance = warm_up(kernel, key, x, n_steps=settings.warmup, target_acceptance=target)
    return x, {"scale": float(tuned.scale), "target_acceptance": float(target), "acceptance": float(acceptance)}


def _first(context: RunContext, sampler: str, root: PRNGKey) -> Inexact[Array, "chains *shape"]:
    """Where the chains begin: in the configuration that the study names, or hot and cold."""
    settings, given = getattr(context.config, sampler), given_links(context.config)
    if given is not None:
        return jnp.broadcast_to(jnp.asarray(given), (settings.chains, *given.shape))
    key, physics = jax.random.fold_in(root, KEY_PARTS["start"]), study_physics(context.config)
    kind: Any = getattr(settings, "start", "mixed")
    found = starts(key, physics.action.space, settings.chains, kind=kind)
    return physics.sectors.dispersed(found) if kind == "mixed" else found


def target_acceptance(context: RunContext, sampler: str) -> float:
    """The acceptance warm-up tunes to; a method of draws, "flow", means that of its own Metropolis chain.

    It is matched down to `LEAST_MATCHED`. Rejection runs of both are then at different acceptances, as the report says.
    """
    target = getattr(context.config, sampler).target_acceptance
    if target not in METHODS:
        return float(target)
    path = context.path("ensembles", target)
    if not (path / "manifest.json").exists():
        allowed = f'a number, or "{target}" with the {target} sampled first'
        raise ConfigError([f'{sampler}.target_acceptance: "{target}"; allowed: {allowed}'])
    # The first block only: it is there whatever size the ensemble has grown to, and matches to about a per cent.
    log_weights = Ensemble.open(path).read(0, ("log_weight",)).arrays["log_weight"]
    return max(LEAST_MATCHED, round(float(independence_acceptance(log_weights)), 3))


def _start_path(context: RunContext, sampler: str) -> Path:
    return context.path("ensembles", f"{sampler}-start.h5")


def load_start(context: RunContext, sampler: str) -> tuple[AbstractKernel, Inexact[Array, "chains *shape"]]:
    """The tuned kernel and where its chains stood after warm-up."""
    block = decode_block(_start_path(context, sampler))
    kernel = build_kernel(context.config, sampler)
    if isinstance(kernel, AbstractTunableKernel):
        kernel = kernel.with_scale(jnp.asarray(block.attributes["scale"]))
    return kernel, jnp.asarray(block.arrays["fields"])


def _last_configurations(ensemble: Ensemble, start: Inexact[Array, "chains *shape"]) -> Inexact[Array, "chains *shape"]:
    if ensemble.n_blocks == 0:
        return start
    return jnp.asarray(ensemble.read(ensemble.n_blocks - 1, ("fields",)).arrays["fields"][-1])


def _acceptances(ensemble: Ensemble) -> list[float]:
    """Mean acceptance of every block there is; all are of one size."""
    return [float(block.arrays["acceptance"].mean()) for block in ensemble.blocks(("acceptance",))]


def _manifest(context: RunContext, sampler: str, n_records: int, kernel: AbstractKernel) -> dict[str, Any]:
    return {
        "kind": "ensemble",
        "labelled": True,
        "sampler": sampler,
        "identity": {
            **identity(context.config, "lattice", "action", sampler),
            "records_per_block": n_records,
            "start": sha256_file(_start_path(context, sampler)),
        },
        "scale": _scale(kernel),
        "origin": origin(),
    }
