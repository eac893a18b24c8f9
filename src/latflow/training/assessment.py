"""Quality of a conditional flow during training: at both ends of its range and in the middle.

A record holds the worst of the three, so that a stopping criterion holds for the whole range.
"""

import jax
import numpy as np

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.flows.conditional import ConditionalFlow
from latflow.flows.weighted import FlowSampler
from latflow.training.evaluation import Assess, Record, evaluation_weights, quality
from latflow.training.ranges import probes, theory_at


def assessment(action: AbstractAction, *, n: int) -> Assess:
    """How `latflow.training.evaluation.Evaluation` assesses a conditional flow.

    Args:
        action: The theory at any value of the parameter.
        n: Draws of an evaluation, a third of them at each of the `probes`.

    Returns:
        A function of flow and key. Its record has the mean ``loss`` and ``kl``, the lowest ``reweighting_ess`` and
        ``acceptance``, and all of these at each probe, with the value of
        the parameter by its name, under ``couplings``.
    """

    def assess(flow: ConditionalFlow, key: PRNGKey) -> Record | None:
        found, places = [], probes(flow)
        for i, value in enumerate(places):
            sampler = FlowSampler(flow.at(value), theory_at(action, flow, value))
            log_weights = np.asarray(evaluation_weights(sampler, jax.random.fold_in(key, i), n=-(-n // len(places))))
            if not np.all(np.isfinite(log_weights)):
                return None
            found.append({flow.parameter: float(value), **quality(log_weights)})
        means = {name: float(np.mean([probe[name] for probe in found])) for name in ("loss", "kl")}
        least = {name: min(probe[name] for probe in found) for name in ("reweighting_ess", "acceptance")}
        return {**means, **least, "couplings": found}

    return assess
