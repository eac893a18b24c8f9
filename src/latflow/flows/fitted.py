r"""Draws of a continuous flow whose log-det is that of the map as it is computed, few steps and all.

A scheme with a finite step is a map of its own, and a good one: few steps leave the ESS of a flow as it is. What is
wrong is its log-det, since the scheme integrates the divergence where the determinant of the discrete map is needed.
That determinant is known on a few draws (`latflow.bijections.ode.discrete`). The weights with which divergences at the
stages enter log q are fitted to it, and judged on other draws: with ε what is left of the error of log q, an average
moves by at most $\sigma_O\\,\sigma_\varepsilon$ and log Z by the mean of ε.
"""

import dataclasses
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.bijections.ode.discrete import discrete_log_dets
from latflow.bijections.ode.of_draws import FlowOfDraws
from latflow.bijections.ode.runge_kutta import DOP853, RK4, RungeKutta
from latflow.distributions import AbstractDistribution
from latflow.flows.architectures import cast
from latflow.flows.continuous import of_draws
from latflow.flows.flow import Flow
from latflow.flows.matched import MatchedIntegration, judged, with_integration
from latflow.flows.networks import PRECISIONS
from latflow.randomness import split

LARGEST_VOLUME = 400
"""Sites up to which a quadrature is fitted; determinants cost the third power."""

FITTED_ON = 128
"""Draws on which a quadrature is fitted."""

JUDGED_ON = 64
"""Further draws on which it is judged."""

_SCHEMES = ((RK4, 3), (RK4, 4), (DOP853, 2), (DOP853, 3), (DOP853, 4), (DOP853, 6))
_FEW, _HOPELESS = 16, 8.0
_CHUNK = 8
# Divergences at neighbouring stages are nearly equal: combinations smaller than this by comparison are left alone.
_CUT = 1e-7

_DensityT = TypeVar("_DensityT", bound=AbstractDistribution)


class _Probes(NamedTuple):
    fields: Float[Array, "n *shape"]
    log_prob: Float[Array, " n"]


class _Drawn(NamedTuple):
    terms: Float[np.ndarray, "n n_weights"]
    energy: Float[np.ndarray, " n"]


def fitted(
    key: PRNGKey, flow: _DensityT, action: AbstractAction, *, n: int, gain: float = 1.0
) -> tuple[_DensityT, MatchedIntegration] | None:
    """The flow with the cheapest integration whose fitted log-det is right to a tenth of the statistical errors.

    Args:
        key: Randomness of the draws on which the quadrature is fitted and judged.
        flow: A trained flow.
        action: The target: averages are weighted, and draws that count little may be less accurate.
        n: Number of draws.
        gain: How many random draws are worth one of these for averages: above 1 for quasi-random draws.

    Returns:
        A flow for draws and the error of its log q; None where the flow is not one `ContinuousFlow` with a
        `LatticeVelocity`, has more than 400 sites, or where no integration is good enough.
    """
    exact = of_draws(cast(flow, "float64"))
    if not (isinstance(exact, Flow) and isinstance(exact.bijection, FlowOfDraws)):
        return None
    if exact.bijection.velocity.lattice.volume > LARGEST_VOLUME:
        return None
    trained: Any = flow
    keys = split(key, FITTED_ON + JUDGED_ON)
    probes = _Probes(*jax.jit(jax.vmap(exact.prior.sample_and_log_prob))(keys))
    for precision in PRECISIONS:
        for scheme, steps in _SCHEMES:
            told = _tried(probes, trained, action, scheme=scheme, steps=steps, precision=precision, n=(n * gain, n))
            if told is not None:
                found = with_integration(flow, told)
                of_inverse = float(np.max(_errors_of_inverse(found, keys[FITTED_ON:])))
                return found, dataclasses.replace(told, of_inverse=of_inverse)
    return None


def _tried(
    probes: _Probes,
    flow: Flow,
    action: AbstractAction,
    *,
    scheme: RungeKutta,
    steps: int,
    precision: str,
    n: tuple[float, float],
) -> MatchedIntegration | None:
    """The integration if its error is allowed, else None."""
    found = of_draws(cast(flow, precision), scheme, steps)
    exact: Any = of_draws(cast(flow, "float64"), scheme, steps).bijection
    drawn = _Drawn(
        *(np.asarray(each) for each in _moved(found, action, probes.fields, jnp.eye(steps * len(scheme.nodes) + 1)))
    )
    of_scheme = np.append(np.tile(scheme.weights, steps) / steps, 0.0)
    few = _log_dets(exact, probes.fields[:_FEW])
    left = np.std(few - drawn.terms[:_FEW] @ of_scheme)
    # A fit leaves a fifth of the spread or more.
    if not left <= _HOPELESS * 0.1 / np.sqrt(n[0]):
        return None
    log_dets = np.concatenate([few, _log_dets(exact, probes.fields[_FEW:])])
    quadrature = _fit(drawn.terms[:FITTED_ON], log_dets[:FITTED_ON], of_scheme)
    last = slice(FITTED_ON, None)
    epsilon = log_dets[last] - drawn.terms[last] @ quadrature
    log_weight = -drawn.energy[last] - np.asarray(probes.log_prob)[last] + log_dets[last]
    told = judged(epsilon, log_weight, n=n, scheme=scheme.name, steps=steps, precision=precision)
    if told.spread <= told.allowed[0] and abs(told.shift) <= told.allowed[1]:
        return dataclasses.replace(told, quadrature=tuple(quadrature.tolist()))
    return None


@eqx.filter_jit
def _moved(
    flow: Flow, action: AbstractAction, fields: Float[Array, "n *shape"], units: Float[Array, "m m"]
) -> tuple[Float[Array, "n m"], Float[Array, " n"]]:
    """What a weight of one for each divergence gives as log-det, and the energies of the images."""
    bijection: Any = flow.bijection

    def term(unit: Float[Array, " m"]) -> Float[Array, " n"]:
        return jax.vmap(dataclasses.replace(bijection, quadrature=unit).forward_and_log_det)(fields)[1]

    images, _ = jax.vmap(bijection.forward_and_log_det)(fields)
    return jax.lax.map(term, units).T, jax.vmap(action)(images)


@eqx.filter_jit
def _errors_of_inverse(flow: Any, keys: Array) -> Float[Array, " n"]:
    """How far log q of drawn fields is from that with which they were drawn: rounding and the inverse."""
    fields, log_q = jax.vmap(flow.sample_and_log_prob)(keys)
    return jnp.abs(jax.vmap(flow.log_prob)(fields) - log_q)


def _log_dets(bijection: FlowOfDraws, fields: Float[Array, "n *shape"]) -> Float[np.ndarray, " n"]:
    x = fields.reshape(len(fields), -1)
    return np.concatenate([_of_chunk(bijection, x[first : first + _CHUNK]) for first in range(0, len(x), _CHUNK)])


@eqx.filter_jit
def _of_chunk(bijection: FlowOfDraws, x: Float[Array, "n volume"]) -> Float[Array, " n"]:
    return discrete_log_dets(bijection, x)


def _fit(
    terms: Float[np.ndarray, "n m"], log_dets: Float[np.ndarray, " n"], start: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """The weights by least squares, those of the scheme where the draws do not tell."""
    left, centred = log_dets - terms @ start, terms - terms.mean(axis=0)
    scale = np.maximum(centred.std(axis=0), 1e-300)
    scale[-1] = 1.0
    changes = np.linalg.lstsq(centred / scale, left - left.mean(), rcond=_CUT)[0] / scale
    found = start + changes
    found[-1] = np.mean(log_dets - terms[:, :-1] @ found[:-1])
    return found
