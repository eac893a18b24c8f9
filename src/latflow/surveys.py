"""One model at many values of a parameter: acceptance, effective sample size, log Z and its slope at each of them.

Differences of log Z between two values follow from the weights, and once more from an integral over the slopes, in
which normalisations of densities play no part.
"""

import dataclasses
import warnings
from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, finite, require_type
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError, UnreliableWarning
from latflow.execution import SURVEY_DRAWS
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow, FlowModel, flow_for
from latflow.flows.continuous import accurate
from latflow.flows.weighted import FlowSampler, require_same_fields
from latflow.randomness import require_float64, require_key
from latflow.samplers.draws import draw_block
from latflow.stats.estimates import RELIABLE, Estimate
from latflow.stats.reliability import REMEDY, bounded, judge_draws, with_images
from latflow.stats.weights import independence_acceptance, log_z, reweighting_ess, weighted_estimates
from latflow.theories.any_action import sectors_of
from latflow.theories.images import unseen_images

_DRAWS, _ACCURACY = 0, 1


@dataclasses.dataclass(frozen=True)
class SurveyPoint:
    """Quality of a model at one value of a parameter.

    Attributes:
        value: θ.
        acceptance: Of independence Metropolis, expected from the weights.
        reweighting_ess: (Σw)²/(nΣw²).
        log_z: ln⟨w⟩, with the measure of the field of the action class; points use independent draws, so that
            differences have independent errors.
        slope: ∂ ln Z/∂θ = −⟨∂S/∂θ⟩, reweighted. Its `state`, that of `log_z` too, says whether it is to be believed.
        n: Draws.
    """

    value: float
    acceptance: float
    reweighting_ess: float
    log_z: Estimate
    slope: Estimate
    n: int


def survey(
    key: PRNGKey,
    model: FlowModel,
    action: AbstractAction,
    *,
    values: Iterable[float],
    parameter: str | None = None,
    n: int = 8192,
) -> list[SurveyPoint]:
    """Draw from a model at several values of a parameter, each with the action at that value.

    Args:
        key: Root of the draws.
        model: A conditional flow; or an ordinary one, which is then the same at every value.
        action: The theory at any value of the parameter.
        values: θ in the normalisation of the action class.
        parameter: Name of θ, one of ``action.parameters``; by default what the flow is conditional on.
        n: Draws at each value, rounded up to blocks of 4096.

    A warning, `latflow.errors.UnreliableWarning`, names the values at which log Z is not to be believed with its error.

    Raises:
        TypeError: If an argument is of another type.
        UnavailableError: If float64 is switched off.
        ConfigError: If model and action belong to other fields, no parameter is named for an ordinary flow, or the
            action has none of that name.
    """
    require_key(key)
    require_float64()
    require_type("model", model, AbstractDistribution | ConditionalFlow, "a flow")
    require_type("action", action, AbstractAction, "an action")
    require_same_fields(model.space, action.space)
    values = [float(finite("values", value)) for value in _several(values)]
    name = _named(model, parameter)
    theories = [(float(value), action.with_parameters(**{name: value})) for value in values]
    exact, n = cast(model, "float64"), count("n", n)
    points = [_point(jax.random.fold_in(key, i), exact, s, name, at, n) for i, (at, s) in enumerate(theories)]
    _warn(name, points)
    return points


def _several(values: object) -> Iterable[object]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"values: {values!r}; allowed: several numbers")
    return values


def _warn(name: str, points: list[SurveyPoint]) -> None:
    """One warning, at the line that called `survey`, unless all points are reliable."""
    bad = [f"{name} = {point.value:g}: {point.log_z.state}" for point in points if point.log_z.state != RELIABLE]
    if bad:
        warnings.warn(f"lf.survey: {'; '.join(bad)}. {REMEDY}", UnreliableWarning, stacklevel=3)


def _named(model: FlowModel, parameter: str | None) -> str:
    if parameter is not None:
        return parameter
    if not isinstance(model, ConditionalFlow):
        raise ConfigError(["parameter: missing; allowed: a name, since the flow is conditional on none"])
    return model.parameter


def _point(key: PRNGKey, model: FlowModel, action: AbstractAction, name: str, value: float, n: int) -> SurveyPoint:
    flow = accurate(jax.random.fold_in(key, _ACCURACY), flow_for(model, action))
    sampler = FlowSampler(flow, action)
    log_weights, slopes, fields = [], [], np.empty(0)
    for first in range(0, n, SURVEY_DRAWS):
        drawn = draw_block(sampler, jax.random.fold_in(key, _DRAWS), first=first, n=SURVEY_DRAWS)
        log_weights.append(np.asarray(drawn.log_weight))
        slopes.append(np.asarray(_slopes(action, name, drawn.x)))
        fields = np.asarray(drawn.x) if first == 0 else fields
    weights, columns = np.concatenate(log_weights), {"slope": np.concatenate(slopes)}
    judged = judge_draws(weights, columns=columns)
    judged = with_images(judged, unseen_images(flow, action, sectors_of(action), fields, weights))
    return SurveyPoint(
        value,
        float(independence_acceptance(weights)),
        float(reweighting_ess(weights)),
        bounded(log_z(weights), judged),
        bounded(weighted_estimates(columns, weights, lambda means: means)["slope"][0], judged),
        len(weights),
    )


@eqx.filter_jit
def _slopes(action: AbstractAction, name: str, fields: Inexact[Array, "n *shape"]) -> Float[Array, " n"]:
    """−∂S/∂θ of every configuration."""

    def negative(value: Scalar, x: Inexact[Array, "*shape"]) -> Scalar:
        return -action.with_parameters(**{name: value})(x)

    return jax.vmap(jax.grad(negative), in_axes=(None, 0))(jnp.asarray(getattr(action, name)), fields)
