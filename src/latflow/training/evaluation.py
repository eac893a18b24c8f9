"""Quality of a flow during training: a record of figures from the log-weights of fresh draws."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.arguments import count
from latflow.execution import EVALUATION_DRAWS
from latflow.flows.mixture import TrainableFlow
from latflow.flows.weighted import FlowSampler
from latflow.randomness import split
from latflow.stats.weights import independence_acceptance, kl, reweighting_ess

Record: TypeAlias = dict[str, Any]
"""Figures of one evaluation by name."""

Assess: TypeAlias = Callable[[Any, PRNGKey], Record | None]
"""From a flow and a key to figures; None if a number is not finite."""

_TRUSTED_ESS = 0.5


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """When a flow is evaluated during its training, and how.

    Args:
        every: Steps between evaluations.
        draws: Draws of an evaluation.
        log_z: Logarithm of the partition function where it is known, for the KL divergence; see `quality`.
        assess: Figures of a flow; by default `quality` of the weights of `draws` draws.

    Raises:
        TypeError: If a number is none.
        ConfigError: If it is out of range.
    """

    every: int = 100
    draws: int = 4096
    log_z: float | None = None
    assess: Assess | None = None

    def __post_init__(self) -> None:
        count("training.evaluate_every", self.every)
        count("training.evaluation_draws", self.draws, least=2)

    def of(self, action: AbstractAction) -> Assess:
        """The function that assesses flows whose target is `action`."""
        return self._quality_of(action) if self.assess is None else self.assess

    def _quality_of(self, action: AbstractAction) -> Assess:
        def assess(flow: TrainableFlow, key: PRNGKey) -> Record | None:
            log_weights = np.asarray(evaluation_weights(FlowSampler(flow, action), key, n=self.draws))
            return quality(log_weights, log_z=self.log_z) if np.all(np.isfinite(log_weights)) else None

        return assess


@eqx.filter_jit
def evaluation_weights(sampler: FlowSampler, key: PRNGKey, *, n: int) -> Float[Array, " n"]:
    """Log-weights of `n` fresh draws, a few hundred at a time."""
    return jax.lax.map(lambda k: sampler.draw(k).log_weight, split(key, n), batch_size=EVALUATION_DRAWS)


def quality(log_weights: Float[np.ndarray, " n"], *, log_z: float | None = None) -> dict[str, float]:
    """Loss, KL divergence (nats), reweighting ESS and acceptance from finite weights.

    Args:
        log_weights: ln w of independent draws.
        log_z: Logarithm of the partition function where it is known. It is estimated from the weights where it is not,
            and where the reweighting ESS exceeds one half.
    """
    loss, ess = -float(np.mean(log_weights)), float(reweighting_ess(log_weights))
    # Near the target the estimates of log Z and of the mean weight have most of their noise in common: it cancels.
    divergence = float(kl(log_weights).value) if log_z is None or ess > _TRUSTED_ESS else loss + log_z
    return {
        "loss": loss,
        "kl": divergence,
        "reweighting_ess": ess,
        "acceptance": float(independence_acceptance(log_weights)),
    }
