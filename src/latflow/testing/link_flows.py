r"""Laws of flows of links: those of their bijection and their density, gauge symmetry, and Haar draws of the prior.

Test fields are Haar links and links near the cold ones, none of them cold: where eigenvalues of a plaquette coincide,
flows that read its eigenvectors are not continuous. Programs are few, because those of links compile slowly: one draws,
one finds the log-density of draws, one does the rest.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import Field, PRNGKey
from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution, HaarPrior
from latflow.fields.gauge_symmetry import ChargeConjugation, random_gauge_transformation
from latflow.fields.spaces import GaugeSpace
from latflow.fields.symmetry import AbstractSymmetry, Product
from latflow.flows.flow import Flow
from latflow.flows.weighted import FlowSampler
from latflow.samplers.base import Weighted
from latflow.testing.bijections import (
    LARGEST_JACOBIAN,
    LOG_DET_PER_DOF,
    ROUND_TRIP_TYPICAL,
    ROUND_TRIP_WORST,
    ROUNDING,
    Fields,
    apart,
    jacobian_log_det,
)
from latflow.testing.compiling import plain_jit
from latflow.testing.result import LawResult, judge, judge_mean

_HAAR, _NEAR = 3, (1.0, 0.3)
"""Test fields: Haar links, and widths of momenta that move the cold links."""
_PROBES = 32
_BATCH = 64
_LEAST, _WORK = 128, 2**16
"""Fewest draws, and draws times degrees of freedom."""
_PRIOR_DRAWS = 512
_INCONCLUSIVE = 0.2
"""Standard error of the mean of p/q above which it says nothing."""


def link_flow_laws(
    key: PRNGKey, flow: Flow, action: AbstractAction, space: GaugeSpace, *, log_z: float | None = None
) -> Iterator[LawResult]:
    """Every law of a flow of links.

    Args:
        key: Randomness of fields, draws and gauge transformations.
        flow: The flow in float64; a continuous one integrated accurately.
        action: The target.
        space: Of the links.
        log_z: ln Z of the target, None where it is not known.
    """
    keys = [jax.random.fold_in(key, i) for i in range(4)]
    draws = _draws(keys[0], FlowSampler(flow, action), n=max(_LEAST, _WORK // space.dof // _BATCH * _BATCH))
    yield from link_bijection_laws(keys[1], flow, space, draws=draws)
    errors = np.abs(np.asarray(_log_probs(flow, draws.x[:_PROBES])) - np.asarray(draws.columns["log_prob"][:_PROBES]))
    weights = draws.log_weight + draws.columns["action"] + draws.columns["log_prob"]
    limit, detail = 1e-10 * math.sqrt(space.dof), f"{space.dof} dof, {_PROBES} draws"
    yield judge("log_prob equals the sampled log q", np.max(errors), limit=limit, detail=detail)
    yield judge("log w = -S - log q", np.max(np.abs(weights)), limit=limit)
    yield _density_is_right(draws, log_z)
    if isinstance(flow.prior, HaarPrior):
        yield prior_is_haar(keys[3], flow.prior, space)


def link_bijection_laws(key: PRNGKey, flow: Flow, space: GaugeSpace, *, draws: Weighted) -> list[LawResult]:
    """The map is inverted, its log-det is that of the Jacobian, and it commutes with gauge and charge conjugation.

    Args:
        key: Randomness of fields and gauge transformation.
        flow: The flow.
        space: Of the links.
        draws: Of the flow: on them the map is inverted in both orders. On fields that the flow hardly ever draws
            forward after inverse is ill conditioned.
    """
    element = Product((ChargeConjugation(space.group), random_gauge_transformation(jax.random.fold_in(key, 0), space)))
    fields = link_fields(jax.random.fold_in(key, 1), space)
    found, there = (link_deviations(flow, space, element, x) for x in (fields, draws.x[: len(fields)]))
    trips, per_dof = np.asarray(there.round_trip), f"{space.dof} dof"
    inverse, symmetry = (np.max(np.stack(pair)) for pair in zip(found[2:], there[2:], strict=True))
    results = [
        judge("round trip, worst field", np.max(trips), limit=ROUND_TRIP_WORST),
        judge("round trip, typical field", np.median(trips), limit=ROUND_TRIP_TYPICAL),
        judge("log-dets of forward and inverse cancel", inverse, limit=LOG_DET_PER_DOF),
        judge("equivariant under gauge and charge conjugation", symmetry, limit=ROUNDING),
    ]
    if space.dof <= LARGEST_JACOBIAN:
        worst = np.max(found.log_det)
        results.append(judge("log-det equals the Jacobian's", worst, limit=LOG_DET_PER_DOF, detail=per_dof))
    return results


@plain_jit
def link_fields(key: PRNGKey, space: GaugeSpace) -> Fields:
    """Test fields: Haar links, and links near the cold ones."""
    haar = jax.vmap(lambda i: space.random(jax.random.fold_in(key, i)))(jnp.arange(_HAAR))
    numbers = _HAAR + jnp.arange(len(_NEAR))
    momenta = jax.vmap(lambda i, width: width * space.momentum(jax.random.fold_in(key, i)))(numbers, jnp.asarray(_NEAR))
    return jnp.concatenate([haar, jax.vmap(space.move, (None, 0))(space.cold(), momenta)])


class LinkDeviations(NamedTuple):
    """Deviations of a bijection of links on a batch of fields.

    Attributes:
        round_trip: The larger error of inverse(forward(x)) and forward(inverse(x)).
        log_det: The forward log-det against that of the Jacobian, per degree of freedom.
        inverse_log_det: The sum of forward and inverse log-dets, per degree of freedom.
        symmetry: The image of the transformed field against the transformed image, and of their log-dets.
    """

    round_trip: Float[Array, " n"]
    log_det: Float[Array, " n"]
    inverse_log_det: Float[Array, " n"]
    symmetry: Float[Array, " n"]


@plain_jit
def link_deviations(flow: Flow, space: GaugeSpace, element: AbstractSymmetry, fields: Fields) -> LinkDeviations:
    """What the laws of the bijection need, in one program; above `LARGEST_JACOBIAN` `log_det` is NaN."""
    bijection = flow.bijection

    def one(x: Field) -> LinkDeviations:
        def trip(v: Field, _: None) -> tuple[Field, tuple[Array, ...]]:
            # loops, so that each direction is compiled once: v is x, then its image y
            back, inverse = bijection.inverse_and_log_det(v)
            images, log_dets = jax.lax.map(bijection.forward_and_log_det, jnp.stack([x, back, element(x)]))
            return images[0], (back, inverse, images, log_dets)

        y, (backs, inverses, images, log_dets) = jax.lax.scan(trip, x, length=2)
        log_det, turned = log_dets[0, 0], log_dets[0, 2]
        expected = jacobian_log_det(bijection, space, x, y) if space.dof <= LARGEST_JACOBIAN else jnp.nan
        return LinkDeviations(
            jnp.maximum(apart(space, backs[1], x), apart(space, images[0, 1], x)),
            jnp.abs(log_det - expected) / space.dof,
            jnp.abs(log_det + inverses[1]) / space.dof,
            jnp.maximum(apart(space, images[0, 2], element(y)), jnp.abs(turned - log_det) / space.dof),
        )

    return jax.lax.map(one, fields)


@plain_jit
def _draws(key: PRNGKey, sampler: FlowSampler, *, n: int) -> Weighted:
    return jax.lax.map(lambda i: sampler.draw(jax.random.fold_in(key, i)), jnp.arange(n), batch_size=_BATCH)


@plain_jit
def _log_probs(flow: AbstractDistribution, fields: Fields) -> Float[Array, " n"]:
    return jax.lax.map(flow.log_prob, fields)


def _density_is_right(draws: Weighted, log_z: float | None) -> LawResult:
    """The mean of p/q is 1 within five sigmas, p the target where its ln Z is known, or the density of Haar links.

    The first half of the draws says for which of the two its logarithm has the smaller scatter; the second is judged.
    """
    log_q = np.asarray(draws.columns["log_prob"])
    logs = {"Haar links": -log_q} | ({} if log_z is None else {"exact log Z": np.asarray(draws.log_weight) - log_z})
    half = len(log_q) // 2
    name = min(logs, key=lambda name: float(np.std(logs[name][:half])))
    return judge_mean(f"mean of p/q is 1, {name}", np.exp(logs[name][half:]), expected=1.0, max_error=_INCONCLUSIVE)


_TRACES = {1: (0.0, 0.0, 1.0, 1.0), 2: (0.0, -1.0, 1.0, 2.0)}
r"""Haar averages of $\mathrm{Re\,tr}$ of U and $U^2$, $|\mathrm{tr}\,U|^2$ and $|\mathrm{tr}\,U|^4$ by N."""
_OF_MANY = (0.0, 0.0, 1.0, 2.0)
"""The same for N > 2."""


@plain_jit
def _traces(keys: Array, prior: AbstractDistribution, space: GaugeSpace, turn: Field) -> Float[Array, "n 4"]:
    group = space.group

    def trace(links: Field) -> Array:
        return jnp.trace(jax.vmap(group.matrices)(links), axis1=1, axis2=2)

    def one(key: PRNGKey) -> Float[Array, " 4"]:
        links = jax.vmap(group.compose)(prior.sample_and_log_prob(key)[0], turn)
        single, double = trace(links), trace(jax.vmap(group.compose)(links, links))
        size = jnp.abs(single) ** 2
        return jnp.stack([jnp.mean(part) for part in (jnp.real(single), jnp.real(double), size, size**2)])

    return jax.vmap(one)(keys)


def prior_is_haar(key: PRNGKey, prior: AbstractDistribution, space: GaugeSpace, *, n: int = _PRIOR_DRAWS) -> LawResult:
    r"""Links of the prior times fixed ones have the traces of the Haar measure: four averages, the worst |z| of them.

    Args:
        key: Randomness of the draws and of the fixed links.
        prior: Of Haar links.
        space: Of the links.
        n: Number of draws.
    """
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))
    found = np.asarray(_traces(keys, prior, space, space.random(jax.random.fold_in(key, n))))
    expected = np.asarray(_TRACES.get(space.group.n, _OF_MANY))
    errors = np.maximum(np.std(found, axis=0, ddof=1) / math.sqrt(n), 1e-12)
    worst = np.max(np.abs(np.mean(found, axis=0) - expected) / errors)
    detail = f"4 averages, errors up to {np.max(errors):.1g}, n = {n}"
    return judge("prior draws Haar links", worst, limit=math.sqrt(25 + 2 * math.log(found.shape[1])), detail=detail)
