"""Averages of the draws of a run for the field of its study: along the accept/reject chain, or with their weights."""

import math
from collections.abc import Mapping

import numpy as np

from latflow.stats.estimates import Estimate
from latflow.stats.free_energy import free_energy_density
from latflow.stats.quantities import Estimates, all_estimates
from latflow.stats.scramblings import Scrambled, scrambled_log_z
from latflow.stats.variates import Varied
from latflow.stats.weights import log_z
from latflow.store.ensemble import Ensemble
from latflow.study.context import RunContext
from latflow.study.stages.integration import log_q_error
from latflow.study.stages.scramblings import Layout, scrambled_weights
from latflow.study.theories import in_study_field, study_physics


def accepted_averages(context: RunContext, columns: Mapping[str, np.ndarray], index: np.ndarray) -> Estimates:
    """The independence-Metropolis chain: the draw at `index` repeats while proposals are rejected."""
    chain = {name: column[index][None] for name, column in columns.items()}
    found = all_estimates(study_physics(context.config).all_estimators, chain, None)
    return in_study_field(context.config, found)


def weighted_averages(
    context: RunContext, sampler: str, columns: Mapping[str, np.ndarray], weights: np.ndarray | Scrambled
) -> Estimates:
    """Averages of all draws with their weights, log Z among them.

    Errors hold what errors of log q may do to the averages, see `Varied`; that of log Z does not.

    Args:
        context: The run.
        sampler: Whose draws they are.
        columns: Measured columns of the draws.
        weights: Their log-weights, random or quasi-random, of the field of the study.
    """
    error = log_q_error(Ensemble.open(context.path("ensembles", sampler)).manifest)
    found = varied_averages(context, columns, Varied.of_no_variates(weights, error))
    mean = scrambled_log_z(weights) if isinstance(weights, Scrambled) else log_z(weights)
    return {**found, **partition(context, mean)}


def varied_averages(context: RunContext, columns: Mapping[str, np.ndarray], draws: Varied) -> Estimates:
    """Averages of all draws with variates; log Z has none."""
    return in_study_field(context.config, all_estimates(study_physics(context.config).all_estimators, columns, draws))


def quasi_weights(context: RunContext, sampler: str) -> Scrambled:
    """Log-weights of the quasi-random draws that count, scrambling after scrambling."""
    return scrambled_weights(context, Ensemble.open(context.path("ensembles", sampler)))


def in_order(context: RunContext, sampler: str, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of quasi-random draws in the order of their weights."""
    layout = Layout.of(Ensemble.open(context.path("ensembles", sampler)))
    return {name: layout.ordered(column) for name, column in columns.items()}


def partition(context: RunContext, mean: Estimate) -> Estimates:
    """Log Z and −ln Z / V."""
    volume = math.prod(context.config.lattice.shape)
    return {"log_z": [mean], "free_energy_density": [free_energy_density(mean, volume=volume)]}
