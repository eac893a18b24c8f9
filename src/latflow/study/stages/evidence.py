"""The density of the flow at draws of the target, and the verdict from both directions together.

Draws of the target come from chains of the run that were started over-dispersed. Their configurations and, where the
action is the same on them, their images in other sectors are sent backwards through the flow once. The densities are
stored with the hashes of the model and of the chains, so the verdict can be made again without the flow.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow.actions.base import AbstractAction
from latflow.execution import DENSITY_FIELDS, map_pieces
from latflow.flows.link_layers import require_inverses
from latflow.flows.mixture import TrainableFlow
from latflow.stats.estimates import Estimate, NonFiniteSeriesError, TooShortError, slowest
from latflow.stats.evidence import (
    Comparison,
    Evidence,
    SectorShare,
    Verdict,
    no_verdict,
    verdict_on,
)
from latflow.stats.gamma import gamma_estimate
from latflow.stats.reliability import Reliability, with_evidence
from latflow.stats.runs import r_hat
from latflow.stats.sides import Side, census, forward_side, reverse_side
from latflow.stats.weights import log_z
from latflow.store.atomic import sha256_file, write_bytes
from latflow.store.blocks import decode_block, encode_block
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import TARGETS
from latflow.study.config.rules import samplers_of
from latflow.study.context import RunContext
from latflow.study.stages.training import load_flow
from latflow.study.theories import known_values, normalisation, study_physics
from latflow.theories.physics import Physics
from latflow.theories.sectors import AbstractSectors

CONFIGURATIONS = 8192
"""Target draws sent through the flow, spread evenly over all chains and their whole length."""

Estimates: TypeAlias = Mapping[str, Mapping[str, list[Estimate]]]
"""Estimates by sampler and observable."""

_EVEN = 1e-10


FILE = "ensembles/evidence.h5"
"""Where it lies in a run directory."""


def path_of(context: RunContext) -> Any:
    """Where the densities at target draws are kept."""
    return context.path(FILE)


def collect(context: RunContext) -> None:
    """Evaluate the flow's density at draws of the target; nothing happens where it is stored or cannot be."""
    sampler = target_sampler(context)
    if sampler is None or not context.path("model", "model.json").exists():
        return
    parents, path = _parents(context, sampler), path_of(context)
    if path.exists() and decode_block(path).attributes["parents"] == parents:
        return
    fields = _target_draws(context, sampler)
    context.progress.stage("evidence", f"log q at {fields.shape[0] * fields.shape[1]} configurations of {sampler}")
    with context.timed(stage="evidence", n=int(fields.shape[0] * fields.shape[1])):
        flow = load_flow(context)[0]
        action, log_prob = _densities(flow, study_physics(context.config), fields)
        require_inverses(flow, fields.reshape(-1, *fields.shape[2:]), log_prob[..., 0].reshape(-1))
        attributes = {"parents": parents, "sampler": sampler}
        write_bytes(path, encode_block({"action": action, "log_prob": log_prob}, attributes))


def target_sampler(context: RunContext) -> str | None:
    """The sampler whose configurations stand for the target in this run; None if there is none."""
    sampled = (name for name in TARGETS if context.path("measurements", name, "manifest.json").exists())
    return next(sampled, None)


class Weighed(NamedTuple):
    """What draws of the target say about the flow.

    Attributes:
        verdict: On the flow.
        reverse: log Z from the target draws; None where it was not collected.
        reliability: Of the averages of the flow, target draws taken into account; None where there are none.
    """

    verdict: Verdict
    reverse: Estimate | None = None
    reliability: Reliability | None = None


def weigh(context: RunContext, estimates: Estimates, reliability: Reliability | None) -> Weighed:
    """The verdict on the flow of a run, and log Z from the target draws.

    Args:
        context: The run.
        estimates: What was found by the weighted draws of the flow, as ``reweighted``, and by the target sampler.
        reliability: Of the averages of the flow, from its draws alone; None without a flow.
    """
    try:
        return _weigh(context, estimates, reliability)
    except (TooShortError, NonFiniteSeriesError) as error:
        return Weighed(no_verdict(f"the draws cannot be judged: {error}"))


def is_current(context: RunContext) -> bool:
    """Whether the stored densities belong to the model and the chains that are there now; not after an extension."""
    attributes = decode_block(path_of(context)).attributes
    return attributes["parents"] == _parents(context, str(attributes["sampler"]))


def deviation(context: RunContext, *, first: int) -> float:
    """Largest deviation of the first stored S and log q from those computed now."""
    block = decode_block(path_of(context))
    sampler = str(block.attributes["sampler"])
    fields = _target_draws(context, sampler)
    records = max(1, first // fields.shape[1])
    now = _densities(load_flow(context)[0], study_physics(context.config), fields[:records])
    pairs = zip(now, (block.arrays["action"], block.arrays["log_prob"]), strict=True)
    # NaN is the largest of all, which it is not for Python's max
    return float(np.max([np.max(np.abs(new - old[:records])) for new, old in pairs]))


def _weigh(context: RunContext, estimates: Estimates, reliability: Reliability | None) -> Weighed:
    sampler, path = target_sampler(context), path_of(context)
    if not context.path("measurements", "flow", "manifest.json").exists():
        return Weighed(no_verdict("there are no draws of a flow"))
    if sampler is None or not path.exists():
        wanted = ", ".join(name for name in TARGETS if name in samplers_of(context.config.action.kind))
        return Weighed(no_verdict(f"there are no draws of the target; add one of {wanted} to sampling.samplers"))
    block = decode_block(path)
    if block.attributes["parents"] != _parents(context, sampler):
        return Weighed(no_verdict("the evidence belongs to other draws; analyse again"))
    log_weights = -block.arrays["action"] - block.arrays["log_prob"]
    unusable = int(np.count_nonzero(np.isnan(log_weights) | (log_weights == -np.inf)))
    if unusable:
        return Weighed(
            no_verdict(f"the flow's density is not a number at {unusable} of {log_weights.size} target draws")
        )
    evidence = _evidence(context, sampler, np.swapaxes(log_weights, 0, 1), estimates)
    largest = Ensemble.open(context.path("ensembles", "flow")).column("log_weight").max()
    told = evidence.told(float(np.mean(log_weights > largest)))
    judged = None if reliability is None else with_evidence(reliability, told)
    verdict = verdict_on(dataclasses.replace(evidence, reliability=judged))
    return Weighed(verdict, evidence.reverse.estimate, judged)


def _evidence(
    context: RunContext, sampler: str, target_weights: Float[np.ndarray, "chains n images"], estimates: Estimates
) -> Evidence:
    physics = study_physics(context.config)
    draws = Ensemble.open(context.path("ensembles", "flow")).column("log_weight")
    measured = Ensemble.open(context.path("measurements", "flow"))
    target = Ensemble.open(context.path("measurements", sampler))
    shift = normalisation(context.config).log_z_shift
    forward = forward_side(draws + shift)
    symmetric = target_weights.shape[-1] > 1
    widening = _widening(draws, forward)
    shares, further = _census(physics, measured, target, draws, symmetric=symmetric)
    compared = _comparisons(
        estimates.get("reweighted", {}), estimates.get(sampler, {}), names=physics.all_compared, widening=widening
    )
    return Evidence(
        forward=forward,
        reverse=reverse_side(target_weights + shift),
        starts=len(target_weights),
        records=len(target.column(next(iter(target.manifest["identity"]["observables"])))),
        r_hat=_largest_r_hat(target, physics.starts),
        shares=shares,
        compared=(*compared, *further),
        known=_known_log_z(context),
        tau=slowest(estimates.get(sampler, {})),
    )


def _known_log_z(context: RunContext) -> Estimate | None:
    known = known_values(context.config).get("log_z")
    return None if known is None else Estimate(known.value, known.error)


def _largest_r_hat(target: Ensemble, names: tuple[str, ...]) -> float:
    """Of the columns in which chains of all starts must agree; one that no chain changes is passed over."""
    measured = target.manifest["identity"]["observables"]
    columns = [target.column(name) for name in names if name in measured]
    return max((r_hat(column.T) for column in columns if np.ptp(column) > 0), default=math.nan)


def _census(
    physics: Physics, flow: Ensemble, target: Ensemble, draws: Float[np.ndarray, " n"], *, symmetric: bool
) -> tuple[tuple[SectorShare, ...], tuple[Comparison, ...]]:
    """Weights of sectors where they are known; where they are not, those of the flow against those of the chains."""
    sectors = physics.sectors
    if not sectors.columns:
        return (), ()
    here = {name: flow.column(name) for name in sectors.columns}
    there = {name: target.column(name) for name in sectors.columns}
    # the target draws decide which shares are compared
    flat = {name: column.reshape(-1) for name, column in there.items()}
    found = {share.name: share for share in sectors.shares(here, symmetric=symmetric)}
    shares, further = [], []
    for share in sectors.shares(flat, symmetric=symmetric):
        members = found[share.name].members if share.name in found else np.zeros(draws.size, dtype=bool)
        value, error = census(members, draws, expected=share.expected)
        shares.append(SectorShare(share.name, value, error, share.expected, share.source))
        series = share.members.reshape(next(iter(there.values())).shape).T.astype(float)
        if share.expected is None and np.ptp(series) > 0:
            further.append(Comparison(share.name, Estimate(value, error, n=draws.size), gamma_estimate(series)))
    return tuple(shares), tuple(further)


def _widening(log_weights: Float[np.ndarray, " n"], forward: Side) -> float:
    """Factor by which the error of log Z exceeds the scatter of the draws: heavy tails affect all weighted means."""
    scatter = log_z(log_weights).error
    return forward.error / scatter if scatter > 0 else 1.0


def _comparisons(
    flow: Mapping[str, list[Estimate]],
    target: Mapping[str, list[Estimate]],
    *,
    names: tuple[str, ...],
    widening: float,
) -> tuple[Comparison, ...]:
    return tuple(
        Comparison(name, dataclasses.replace(flow[name][0], error=widening * flow[name][0].error), target[name][0])
        for name in names
        if name in flow and name in target
    )


def _parents(context: RunContext, sampler: str) -> dict[str, str]:
    return {
        "model": sha256_file(context.path("model", "model.json")),
        sampler: Ensemble.open(context.path("ensembles", sampler)).digest,
    }


def _target_draws(context: RunContext, sampler: str) -> Inexact[np.ndarray, "records chains *shape"]:
    """About `CONFIGURATIONS` of them: every chain, records at equal distances."""
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    per_block = ensemble.manifest["identity"]["records_per_block"]
    n_records = ensemble.n_blocks * per_block
    chains = getattr(context.config, sampler).chains
    wanted = np.arange(0, n_records, max(1, n_records * chains // CONFIGURATIONS))
    picked = [
        ensemble.read(block, ("fields",)).arrays["fields"][wanted[wanted // per_block == block] % per_block]
        for block in range(ensemble.n_blocks)
    ]
    return np.concatenate(picked)


def _densities(
    flow: TrainableFlow, physics: Physics, fields: Inexact[np.ndarray, "records chains *shape"]
) -> tuple[Float[np.ndarray, "records chains images"], Float[np.ndarray, "records chains images"]]:
    """S and log q at every configuration and, if S is the same there, at its images in other sectors."""
    lead, shape = fields.shape[:2], physics.action.space.shape
    values = map_pieces(
        lambda piece: _evaluate(flow, physics.action, physics.sectors, jnp.asarray(piece)),
        fields.reshape(-1, *shape),
        size=DENSITY_FIELDS,
        axis=-1,
    )
    action_at, log_prob_at = np.moveaxis(values.reshape(2, -1, *lead), 1, -1)
    apart = np.max(np.abs(action_at - action_at[..., :1]))
    same = apart <= _EVEN * max(1.0, float(np.abs(action_at).max()))
    images = slice(None) if same else slice(0, 1)
    return action_at[..., images], log_prob_at[..., images]


@eqx.filter_jit
def _evaluate(
    flow: TrainableFlow, action: AbstractAction, sectors: AbstractSectors, fields: Inexact[Array, "n *shape"]
) -> Float[Array, "two images n"]:
    # image by image, each with all configurations
    number = len(sectors.images(fields[0]))
    views = [fields, *(jax.vmap(lambda x, i=i: sectors.images(x)[i])(fields) for i in range(number))]
    return jnp.stack(
        [jnp.stack([jax.vmap(action)(x) for x in views]), jnp.stack([jax.vmap(flow.log_prob)(x) for x in views])]
    )
