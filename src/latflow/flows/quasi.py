"""Quasi-random draws of a flow in memory: averages with smaller errors from the same number of draws."""

import dataclasses

import numpy as np
from jaxtyping import Float, Inexact

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.arguments import choice, count, require_type
from latflow.display import extents
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.flows.hermite import variates_of_points
from latflow.flows.matched import GAIN, INTEGRATIONS, MatchedIntegration
from latflow.flows.weighted import FlowSampler, for_draws, matched_draws, require_same_fields
from latflow.lattice import Lattice
from latflow.randomness import require_float64, require_key
from latflow.samplers.quasi import SobolPoints, quasi_block
from latflow.stats.estimates import Estimate
from latflow.stats.reliability import Reliability, bounded
from latflow.stats.scrambling_reliability import judge_scramblings
from latflow.stats.scramblings import FEWEST, Scrambled, scrambled_log_z
from latflow.stats.weights import reweighting_ess


@dataclasses.dataclass(frozen=True)
class QuasiSamples:
    """Weighted draws from scrambled Sobol points, scrambling after scrambling.

    There is no accept/reject chain through them: points of one scrambling are not independent.

    Attributes:
        proposals: Every draw, shape (n, *shape of one field).
        log_weight: ln w = −S − log q of every draw.
        scramblings: Independent scramblings, n / scramblings draws each.
        reliability: Whether weighted averages can be believed with their errors, judged from the weights within every
            scrambling.
        action: The target of the weights.
        integration: How the flow was integrated where that was matched to the number of draws, else None.
        variates: Polynomials of every draw's modes, whose means are zero (`latflow.flows.hermite`): they make errors
            of `latflow.reweighted_estimates` smaller where there are draws enough; None where there are no modes.
    """

    proposals: Inexact[np.ndarray, "n *shape"]
    log_weight: Float[np.ndarray, " n"]
    scramblings: int
    reliability: Reliability
    action: AbstractAction = dataclasses.field(compare=False)
    integration: MatchedIntegration | None = None
    variates: Float[np.ndarray, "n variates"] | None = dataclasses.field(default=None, compare=False)

    def __repr__(self) -> str:
        n, *shape = self.proposals.shape
        what = f"{n} draws of {extents(shape)} in {self.scramblings} scramblings"
        return f"QuasiSamples({what}, weights {self.reliability.state})"

    @property
    def draws(self) -> Scrambled:
        """The log-weights as `latflow.stats` takes them."""
        return Scrambled(self.log_weight, self.scramblings)

    @property
    def reweighting_ess(self) -> float:
        """(Σw)²/(nΣw²): how well the flow fits, not how small the errors are."""
        return float(reweighting_ess(self.log_weight))

    @property
    def log_z(self) -> Estimate:
        """Logarithm of the partition function, from the mean weight; its error from the scatter of scramblings."""
        return bounded(scrambled_log_z(self.draws), self.reliability)


def quasi_sample(
    key: PRNGKey,
    flow: AbstractDistribution,
    action: AbstractAction,
    *,
    points: int = 4096,
    scramblings: int = 16,
    block_size: int = 1024,
    integration: str = "fine",
) -> QuasiSamples:
    r"""Draw from a flow with scrambled Sobol points instead of random numbers.

    For smooth observables the variance falls faster than 1/n, the more so the fewer modes matter and the better the
    flow. Averages are weighted, `latflow.reweighted_estimates`; their errors come from the scatter of the scramblings.

    Args:
        key: Root key of the scramblings.
        flow: A trained flow from a normal, free-field or Haar prior; networks in float64, a continuous one integrated
            accurately.
        action: Target S, p ∝ exp(−S).
        points: Points of each scrambling, a power of two.
        scramblings: Independent scramblings; their number decides how well the errors are known, 18 % for 16.
        block_size: Draws computed at once.
        integration: How a continuous flow is integrated, see `latflow.sample`; `"matched"` and `"fitted"` allow for the
            smaller errors of quasi-random draws.

    Returns:
        points × scramblings draws with their weights.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If flow and action have different fields, the flow's prior has no map of uniform numbers, or a
            number is out of range.
        UnavailableError: If float64 is switched off.
    """
    require_key(key)
    require_float64()
    require_type("flow", flow, AbstractDistribution, "a flow; a conditional one has .at(value)")
    require_type("action", action, AbstractAction, "an action")
    require_same_fields(flow.space, action.space)
    points, block_size = count("points", points), min(count("block_size", block_size), points)
    scramblings = count("scramblings", scramblings, least=FEWEST)
    if points & (points - 1):
        raise ConfigError([f"points: {points}; allowed: a power of two, where scrambled points are most even"])
    if flow.n_uniforms == 0:
        prior = getattr(flow, "prior", None)
        found = type(flow).__name__ + (f" from {type(prior).__name__}" if prior is not None else "")
        raise ConfigError(
            [f"flow: {found} is no map of uniform numbers; allowed: a flow from a normal prior or Haar links"]
        )
    choice("integration", integration, INTEGRATIONS)
    if integration == "fine":
        sampler, told = FlowSampler(for_draws(key, flow), action), None
    else:
        n = points * scramblings
        found, told = matched_draws(key, flow, action, n=n, gain=GAIN, integration=integration)
        sampler = FlowSampler(found, action)
    block_size = 1 << (block_size.bit_length() - 1)
    source = SobolPoints(key, flow.n_uniforms)
    blocks = [
        _block(sampler, source.block(scrambling, first=first, n=block_size))
        for scrambling in range(scramblings)
        for first in range(0, points, block_size)
    ]
    proposals, log_weight, *variates = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    judged = judge_scramblings(Scrambled(log_weight, scramblings))
    return QuasiSamples(proposals, log_weight, scramblings, judged, action, told, *variates)


def _block(sampler: FlowSampler, points: Float[np.ndarray, "n dimensions"]) -> tuple[np.ndarray, ...]:
    """Fields, log-weights and, where the flow is made of modes, variates."""
    flow = sampler.flow
    drawn = quasi_block(flow, sampler.action, points, at_once=sampler.draws_at_once)
    found = (np.asarray(drawn.x), np.asarray(drawn.log_weight))
    if not flow.has_modes:
        return found
    return (*found, np.asarray(variates_of_points(flow, Lattice(tuple(drawn.x.shape[1:])), points)))
