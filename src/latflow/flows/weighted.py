"""Flow draws as importance-weighted configurations of a theory.

Every draw carries log q and S, so one ensemble serves the accept/reject step, reweighting and later checks.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.arguments import require_type
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.execution import draws_at_once
from latflow.fields.spaces import AbstractFieldSpace
from latflow.flows.architectures import cast
from latflow.flows.continuous import accurate
from latflow.flows.doubling import doubled
from latflow.flows.fitted import fitted
from latflow.flows.matched import GAIN, MatchedIntegration, made_for_draws, matched
from latflow.samplers.base import AbstractWeightedSampler, Weighted

_DensityT = TypeVar("_DensityT", bound=AbstractDistribution)

# Child of the root key on which the accuracy of a continuous flow is measured.
_ACCURACY = 2**32 - 1


class FlowSampler(AbstractWeightedSampler):
    r"""Independent flow draws with $\log w = -S(x) - \log q(x)$, so that $E[w]=Z$.

    Args:
        flow: Its draws are the configurations.
        action: The target, p ∝ exp(−S).

    Raises:
        TypeError: If one of them is something else.
        ConfigError: If they belong to fields of different spaces, such as other lattices.
    """

    flow: AbstractDistribution
    action: AbstractAction

    def __check_init__(self) -> None:
        require_type("flow", self.flow, AbstractDistribution, "a flow; a conditional one has .at(value)")
        require_type("action", self.action, AbstractAction, "an action")
        require_same_fields(self.flow.space, self.action.space)

    @property
    @override
    def draws_at_once(self) -> int | None:
        if made_for_draws(self.flow):
            return draws_at_once(math.prod(self.flow.space.shape))
        levels = doubled(self.flow)
        return None if levels is None else draws_at_once(2 * levels.lattice.volume)

    @override
    def draw(self, key: PRNGKey) -> Weighted:
        x, log_prob = self.flow.sample_and_log_prob(key)
        action = self.action(x)
        return Weighted(x, -action - log_prob, {"log_prob": log_prob, "action": action})

    @override
    def combined(self, columns: Mapping[str, Float[Array | np.ndarray, "*n"]]) -> Float[Array | np.ndarray, "*n"]:
        return -columns["action"] - columns["log_prob"]


def for_draws(key: PRNGKey, flow: _DensityT) -> _DensityT:
    """The flow as draws under a root key use it: networks in float64, a continuous one integrated accurately.

    Args:
        key: Root of the draws; the accuracy is measured on a child of its own.
        flow: A trained flow.
    """
    return accurate(jax.random.fold_in(key, _ACCURACY), cast(flow, "float64"))


def matched_draws(
    key: PRNGKey, flow: _DensityT, action: AbstractAction, *, n: int, gain: float = 1.0, integration: str = "matched"
) -> tuple[_DensityT, MatchedIntegration | None]:
    """The flow for draws under a root key, integrated as their number allows; see `latflow.flows.matched`.

    Args:
        key: Root of the draws; errors of log q are measured on a child of its own.
        flow: A trained flow.
        action: The target.
        n: Number of draws.
        gain: How many random draws are worth one of these for averages.
        integration: `"fitted"`, see `latflow.flows.fitted`, for flows that allow it; others are `"matched"`.
    """
    of_errors = jax.random.fold_in(key, _ACCURACY - 1)
    found = fitted(of_errors, flow, action, n=n, gain=gain) if integration == "fitted" else None
    if found is not None:
        return found
    exact = for_draws(key, flow)
    return matched(of_errors, flow, action, exact=exact, n=n, gain=gain)


def weighted_sampler(
    key: PRNGKey,
    flow: AbstractDistribution | AbstractWeightedSampler,
    action: AbstractAction | None,
    *,
    n: int,
    integration: str,
) -> tuple[AbstractWeightedSampler, MatchedIntegration | None]:
    """What draws are made with, and how it was integrated where that was matched to their number.

    Args:
        key: Root of the draws.
        flow: A flow, or a weighted sampler, which is used as it is.
        action: The target of a flow; None with a sampler.
        n: Number of draws.
        integration: "fine", "matched" or "fitted".

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If a flow has no action or one of other fields, or a sampler has one.
    """
    kinds = AbstractDistribution | AbstractWeightedSampler
    require_type("flow", flow, kinds, "a flow, one of a conditional flow by .at(value), or a weighted sampler")
    if isinstance(flow, AbstractWeightedSampler):
        if action is not None:
            raise ConfigError(["action: given; allowed: none with a weighted sampler, whose weights hold its own"])
        return flow, None
    if action is None:
        raise ConfigError(["action: missing; allowed: the target of the flow"])
    require_type("action", action, AbstractAction, "an action")
    require_same_fields(flow.space, action.space)
    if integration == "fine":
        return FlowSampler(for_draws(key, flow), action), None
    found, told = matched_draws(key, flow, action, n=n, gain=GAIN, integration=integration)
    return FlowSampler(found, action), told


def require_same_fields(own: AbstractFieldSpace, other: AbstractFieldSpace) -> None:
    """Refuse a flow and an action of different spaces: other lattices, other kinds of fields.

    Args:
        own: Space of the flow.
        other: Space of the action.

    Raises:
        ConfigError: If they differ.
    """
    if type(own) is not type(other) or own.shape != other.shape:
        words = [f"{type(space).__name__} of shape {space.shape}" for space in (own, other)]
        raise ConfigError([f"flow: draws fields of {words[0]}; allowed: those of the action, {words[1]}"])
