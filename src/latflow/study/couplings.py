"""One model at many couplings: acceptance, effective sample size and log Z of each, and free-energy differences."""

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.execution import SURVEY_DRAWS
from latflow.flows.architectures import cast
from latflow.flows.conditional import FlowModel, at_coupling
from latflow.flows.continuous import accurate
from latflow.flows.weighted import FlowSampler
from latflow.samplers.draws import draw_block
from latflow.stats.estimates import Estimate
from latflow.stats.weights import independence_acceptance, log_z, reweighting_ess, weighted_estimates
from latflow.training.couplings import with_coupling

_DRAWS, _ACCURACY = 0, 1


@dataclasses.dataclass(frozen=True)
class Point:
    """Quality of a model at one coupling.

    Attributes:
        coupling: λ.
        acceptance: Of independence Metropolis, expected from the weights.
        reweighting_ess: (Σw)²/(nΣw²).
        log_z: ln⟨w⟩; points use independent draws, so that differences have independent errors.
        slope: ∂ ln Z/∂λ = −⟨Σφ⁴⟩, reweighted.
        n: Draws.
    """

    coupling: float
    acceptance: float
    reweighting_ess: float
    log_z: Estimate
    slope: Estimate
    n: int


def survey(
    key: PRNGKey, model: FlowModel, action: AbstractAction, *, couplings: Iterable[float], n: int = 8192
) -> list[Point]:
    """Draw from a model at several couplings, each with the action at that coupling.

    Args:
        key: Root of the draws.
        model: A conditional flow; or an ordinary one, which is then the same at every coupling.
        action: φ⁴ at any coupling.
        couplings: λ in the house normalisation.
        n: Draws at each, rounded up to blocks of 4096.
    """
    exact = cast(model, "float64")
    return [_point(jax.random.fold_in(key, i), exact, action, float(c), n) for i, c in enumerate(couplings)]


def _point(key: PRNGKey, model: FlowModel, action: AbstractAction, coupling: float, n: int) -> Point:
    flow = accurate(jax.random.fold_in(key, _ACCURACY), at_coupling(model, coupling))
    sampler = FlowSampler(flow, with_coupling(action, coupling))
    log_weights, quartic = [], []
    for first in range(0, n, SURVEY_DRAWS):
        drawn = draw_block(sampler, jax.random.fold_in(key, _DRAWS), first=first, n=SURVEY_DRAWS)
        log_weights.append(np.asarray(drawn.log_weight))
        quartic.append(np.asarray(jnp.sum(drawn.x.reshape(SURVEY_DRAWS, -1) ** 4, axis=1)))
    weights = np.concatenate(log_weights)
    mean = weighted_estimates({"quartic": np.concatenate(quartic)}, weights, lambda means: means)["quartic"][0]
    return Point(
        coupling,
        float(independence_acceptance(weights)),
        float(reweighting_ess(weights)),
        log_z(weights),
        Estimate(-mean.value, mean.error, n=mean.n),
        len(weights),
    )
