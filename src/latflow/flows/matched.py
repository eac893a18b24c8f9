r"""Draws of a continuous flow at the least cost that their own statistical error allows.

An integrator with finite steps draws from a density that is not quite the one it reports: with
$\varepsilon=\log\hat q-\log q$ at the configurations drawn, an average moves by the covariance of O and ε under the
weights, at most $\sigma_O\,\sigma_\varepsilon$, and log Z by the mean of ε. Both are measured on draws, and the fewest
steps are taken that keep them below a tenth of the statistical errors.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.bijections.ode.of_draws import FlowOfDraws
from latflow.bijections.ode.runge_kutta import DOP853, SCHEMES
from latflow.distributions import AbstractDistribution
from latflow.flows.architectures import cast
from latflow.flows.continuous import has_form_for_draws, of_draws
from latflow.flows.networks import PRECISIONS
from latflow.randomness import split

FRACTION = 0.1
"""Largest bias in units of the statistical error."""

GAIN = 128.0
"""How many random draws a quasi-random one, or one with variates, is taken to be worth; medians up to 211, and 480 on
6 × 6 sites, have been measured (docs/results/quasi.md), and for 480 a tenth of the error becomes a fifth. Errors of
averages with variates hold it in quadrature (`latflow.stats.variates`)."""

INTEGRATIONS = ("fine", "matched", "fitted")
"""How a continuous flow may be integrated for draws: accurately always, as their number allows, or with a log-det
that was fitted to the steps."""

PROBES = 256
"""Draws on which the error of log q is measured."""

_FEW, _HOPELESS = 64, 2.0
"""So many draws are enough to see that a spread is twice what is allowed: they tell it to 9 %."""

_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)

_DensityT = TypeVar("_DensityT", bound=AbstractDistribution)


@dataclasses.dataclass(frozen=True)
class MatchedIntegration:
    """How draws integrate a continuous flow, and the error of log q that was measured.

    Attributes:
        scheme: Name of the scheme.
        steps: Its steps from the prior to the field.
        precision: Of the networks; fields and sums are float64 always.
        spread: Standard deviation of ε under the weights, the largest bias of an average in units of the standard
            deviation of its observable.
        shift: Mean of ε under the weights, the bias of log Z.
        largest: Largest |ε| of the draws it was measured on.
        allowed: Bounds of `spread` and `shift`.
        quadrature: Weights of the divergences in log q where they were fitted, see `latflow.flows.fitted`.
        of_inverse: Largest difference, where they were fitted, of log q as drawn and as found again for the field.
    """

    scheme: str
    steps: int
    precision: str
    spread: float
    shift: float
    largest: float
    allowed: tuple[float, float]
    quadrature: tuple[float, ...] | None = None
    of_inverse: float | None = None


class _Errors(NamedTuple):
    epsilon: Float[Array | np.ndarray, " n"]
    log_weight: Float[Array | np.ndarray, " n"]


def matched(
    key: PRNGKey,
    flow: _DensityT,
    action: AbstractAction,
    *,
    exact: _DensityT,
    n: int,
    gain: float = 1.0,
    further: Callable[[_DensityT], float] | None = None,
) -> tuple[_DensityT, MatchedIntegration | None]:
    """The flow with the cheapest integration whose bias is a tenth of the statistical errors, or less.

    Args:
        key: Randomness of the draws on which the error is measured.
        flow: A trained flow.
        action: The target: averages are weighted, and draws that count little may be less accurate.
        exact: The same flow as accurate as production draws have it.
        n: Number of draws.
        gain: How many random draws are worth one of these for averages: above 1 for quasi-random draws.
        further: The largest bias of averages that are made with the flow in another way, in units of the standard
            deviation of what is averaged; it is to be as small as that of draws.

    Returns:
        A flow for draws and the error of its log q. The accurate flow and None where no part of it is a continuous flow
        with a `LatticeVelocity`, or where no cheaper integration is good enough.
    """
    if not any(has_form_for_draws(node) for node in jax.tree.leaves(exact, is_leaf=has_form_for_draws)):
        return exact, None
    keys, reference = split(key, PROBES), of_draws(exact)
    for precision in PRECISIONS:
        for steps in _STEPS:
            found = of_draws(cast(flow, precision), DOP853, steps)
            told = _tried(keys, (found, reference, action), n=(n * gain, n), steps=steps, precision=precision)
            right = told.spread <= told.allowed[0] and abs(told.shift) <= told.allowed[1]
            if right and (further is None or further(found) <= told.allowed[0]):
                return found, told
    return exact, None


def with_integration(flow: _DensityT, integration: MatchedIntegration) -> _DensityT:
    """The flow as `matched` found it for other draws of the same model."""
    kept = integration.quadrature
    quadrature = None if kept is None else jnp.asarray(kept)
    return of_draws(cast(flow, integration.precision), SCHEMES[integration.scheme], integration.steps, quadrature)


def made_for_draws(flow: Any) -> bool:
    """Whether a part of a flow is made for draws in small batches."""
    return any(isinstance(node, FlowOfDraws) for node in jax.tree.leaves(flow, is_leaf=_is_made_for_draws))


def _tried(
    keys: Array,
    parts: tuple[AbstractDistribution, AbstractDistribution, AbstractAction],
    *,
    n: tuple[float, float],
    steps: int,
    precision: str,
) -> MatchedIntegration:
    """The error of log q on all draws, or on the first ones alone where these show that it is far too large."""
    few = _errors(keys[:_FEW], *parts)
    told = _judged(few, n=n, steps=steps, precision=precision)
    if not told.spread <= _HOPELESS * told.allowed[0]:
        return told
    found = [few, *(_errors(keys[first : first + _FEW], *parts) for first in range(_FEW, len(keys), _FEW))]
    joined = _Errors(*(np.concatenate(each) for each in zip(*found, strict=True)))
    return _judged(joined, n=n, steps=steps, precision=precision)


@eqx.filter_jit
def _errors(keys: Array, flow: AbstractDistribution, exact: AbstractDistribution, action: AbstractAction) -> _Errors:
    def one(key: PRNGKey) -> _Errors:
        x, log_q = flow.sample_and_log_prob(key)
        return _Errors(log_q - exact.log_prob(x), -action(x) - log_q)

    return jax.vmap(one)(keys)


def _judged(errors: _Errors, *, n: tuple[float, float], steps: int, precision: str) -> MatchedIntegration:
    return judged(errors.epsilon, errors.log_weight, n=n, scheme=DOP853.name, steps=steps, precision=precision)


def judged(
    epsilon: Float[Array | np.ndarray, " n"],
    log_weight: Float[Array | np.ndarray, " n"],
    *,
    n: tuple[float, float],
    scheme: str,
    steps: int,
    precision: str,
) -> MatchedIntegration:
    """The error of log q beside what is allowed.

    Args:
        epsilon: Errors of log q on a few draws.
        log_weight: log w of the same draws.
        n: How many random draws those of the production are worth for averages and for log Z.
        scheme: Of the integration that is judged.
        steps: Of it.
        precision: Of its networks.
    """
    epsilon, log_weight = (np.asarray(each, dtype=np.float64) for each in (epsilon, log_weight))
    weight = np.exp(log_weight - np.max(log_weight))
    weight /= np.sum(weight)
    shift = float(np.sum(weight * epsilon))
    spread = float(np.sqrt(np.sum(weight * (epsilon - shift) ** 2)))
    # The relative spread of the weights over √n is the statistical error of log Z.
    of_weights = float(np.sqrt(max(0.0, len(weight) * np.sum(weight**2) - 1)))
    of_averages, of_evidence = FRACTION / np.sqrt(n)
    return MatchedIntegration(
        scheme=scheme,
        steps=steps,
        precision=precision,
        spread=spread if np.isfinite(spread) else float("inf"),
        shift=shift if np.isfinite(shift) else float("inf"),
        largest=float(np.max(np.abs(epsilon))),
        allowed=(float(of_averages), float(of_evidence * of_weights)),
    )


def _is_made_for_draws(node: Any) -> bool:
    return isinstance(node, FlowOfDraws)
