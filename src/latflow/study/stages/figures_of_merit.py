"""Figures of merit of the flow's draws."""

import dataclasses
import json
import math

import numpy as np

from latflow.results import FlowFigures, ReliabilityRecord, StartFigures
from latflow.stats.estimates import UNRESOLVED, Estimate
from latflow.stats.reliability import Reliability
from latflow.stats.weights import (
    independence_acceptance,
    kl,
    log_z,
    pareto_k,
    reweighting_ess,
)
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import FLOW
from latflow.study.context import RunContext
from latflow.study.stages.training import load_flow, sampling_facts
from latflow.study.theories import normalisation


def flow_figures(context: RunContext, found: Reliability) -> FlowFigures:
    """Acceptance, ESS, tail, log Z and KL of the draws of the flow, and how it was trained.

    Args:
        context: The run.
        found: The judgement on their averages; log Z and KL are absent where they are not resolved.
    """
    weights = weights_of(context, FLOW)
    log_weights = weights["log_weight"]
    partition, divergence = (
        Estimate(math.nan, math.nan) if found.state == UNRESOLVED else each
        for each in (log_z(log_weights), kl(log_weights))
    )
    path = context.path("model", "train.jsonl")
    last = json.loads(path.read_text().splitlines()[-1])
    header = load_flow(context)[1]
    facts = sampling_facts(context.config)
    return FlowFigures(
        acceptance=float(weights["accepted"].mean()),
        expected_acceptance=independence_acceptance(log_weights),
        reweighting_ess=reweighting_ess(log_weights),
        pareto_k=pareto_k(log_weights),
        log_weight_std=float(log_weights.std()),
        reliability=reliability_record(found),
        n=int(log_weights.size),
        log_z=partition.value,
        log_z_error=partition.error,
        kl=divergence.value,
        kl_error=divergence.error,
        training_seconds=last["seconds"],
        training_steps=last["step"],
        stopped_by=header["stopped_by"],
        limits_changed_at=tuple(entry["from"] for entry in header.get("limits", ())[1:]) or None,
        coupling_range=tuple(facts["coupling_range"]) if facts else None,
        inside_coupling_range=facts["inside_coupling_range"] if facts else None,
        start=StartFigures(**header["start"]) if header.get("start") else None,
    )


def reliability_record(found: Reliability) -> ReliabilityRecord:
    """A judgement as results hold it."""
    return ReliabilityRecord(**dataclasses.asdict(found))


def weights_of(context: RunContext, sampler: str) -> dict[str, np.ndarray]:
    """Log-weights, decisions and standing draws of an ensemble of weighted draws.

    Weights are those of the field of the study, so that their mean is its Z.
    """
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    columns = {name: ensemble.column(name) for name in ("log_weight", "accepted", "index")}
    return {**columns, "log_weight": columns["log_weight"] + normalisation(context.config).log_z_shift}
