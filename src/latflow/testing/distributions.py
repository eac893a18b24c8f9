r"""Laws of densities and of weighted samplers: the density that is claimed is the one that is drawn from.

Two directions are needed. `log_prob` must agree with what sampling reports, and the density must be normalised:
$E_q[p/q]=1$ for a normalised p with lighter tails than q. For a weighted sampler $E[w]=Z$, and a lost mode shows as
a log Z too small by the logarithm of the weight that was kept.
"""

import math
from collections.abc import Callable
from typing import Any, SupportsFloat, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.distributions import AbstractDistribution
from latflow.randomness import uniform
from latflow.samplers.base import AbstractWeightedSampler
from latflow.testing.result import LawResult, judge, judge_mean

_CHUNK = 8192

Drawn: TypeAlias = tuple[Any, Scalar, Scalar]
"""A draw, its log q, and how far that is from `log_prob`; 0 where another law looks at it."""

Draw: TypeAlias = Callable[[AbstractDistribution, PRNGKey], Drawn]


def _keys(key: PRNGKey, n: int) -> Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


_PROBES = 64


@eqx.filter_jit
def _density_errors(key: PRNGKey, distribution: AbstractDistribution) -> Float[Array, " n"]:
    def one(k: PRNGKey) -> Float[Array, ""]:
        x, log_q = distribution.sample_and_log_prob(k)
        return jnp.abs(distribution.log_prob(x) - log_q)

    return jax.vmap(one)(_keys(key, _PROBES))


def log_prob_is_sampled(key: PRNGKey, distribution: AbstractDistribution) -> LawResult:
    r"""`log_prob(x)` is the log q reported when x was drawn; limit $10^{-10}\sqrt N$ for N degrees of freedom."""
    return _sampled(distribution, np.max(_density_errors(key, distribution)))


def _sampled(distribution: AbstractDistribution, error: SupportsFloat) -> LawResult:
    n = distribution.space.dof
    detail = f"{n} dof, {_PROBES} draws"
    return judge("log_prob equals the sampled log q", error, limit=1e-10 * math.sqrt(n), detail=detail)


@eqx.filter_jit
def _ratios(
    key: PRNGKey,
    q: AbstractDistribution,
    p: AbstractDistribution,
    draw: Draw,
    *,
    n: int,
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """p/q of draws of q, and the errors of their log q."""

    def one(k: PRNGKey) -> tuple[Float[Array, ""], Float[Array, ""]]:
        x, log_q, error = draw(q, k)
        return jnp.exp(p.log_prob(x) - log_q), error

    return jax.lax.map(one, _keys(key, n), batch_size=_CHUNK)


def _plain(q: AbstractDistribution, key: PRNGKey) -> Drawn:
    return *q.sample_and_log_prob(key), jnp.zeros(())


def _of_uniforms(q: AbstractDistribution, key: PRNGKey) -> Drawn:
    x, log_q = q.of_uniforms(uniform(key, (q.n_uniforms,)))
    return x, log_q, jnp.abs(q.log_prob(x) - log_q)


def density_is_normalised(
    key: PRNGKey,
    distribution: AbstractDistribution,
    reference: AbstractDistribution,
    *,
    n: int = 40_000,
    max_error: float = 0.02,
) -> LawResult:
    """E_q[p/q] = 1.

    Args:
        key: Randomness of the draws.
        distribution: The density q under test.
        reference: A density p known to be normalised, with tails no heavier than those of q.
        n: Number of draws.
        max_error: Standard error at which the test is conclusive.
    """
    ratios = np.asarray(_ratios(key, distribution, reference, _plain, n=n)[0])
    return judge_mean("E[p/q] = 1", ratios, expected=1.0, max_error=max_error)


def uniform_numbers_give_the_density(
    key: PRNGKey,
    distribution: AbstractDistribution,
    reference: AbstractDistribution,
    *,
    n: int = 40_000,
    max_error: float = 0.02,
) -> LawResult:
    """Draws made of uniform numbers have the density: E[p/q] = 1, and log q is `log_prob` up to rounding.

    Args:
        key: Randomness of the numbers.
        distribution: With a map of uniform numbers, see `AbstractDistribution.of_uniforms`.
        reference: A density p known to be normalised, with tails no heavier than those of q.
        n: Number of draws.
        max_error: Standard error at which the test is conclusive.
    """
    ratios, errors = (np.asarray(found) for found in _ratios(key, distribution, reference, _of_uniforms, n=n))
    name, limit = "uniform numbers give the density", 1e-10 * math.sqrt(distribution.space.dof)
    if not errors.max() <= limit:
        return judge(name, errors.max(), limit=limit, detail="log q of the draw against log_prob")
    return judge_mean(name, ratios, expected=1.0, max_error=max_error)


@eqx.filter_jit
def _log_weights(key: PRNGKey, sampler: AbstractWeightedSampler, *, n: int) -> Float[Array, " n"]:
    return jax.lax.map(lambda k: sampler.draw(k).log_weight, _keys(key, n), batch_size=_CHUNK)


def weights_average_to_z(
    key: PRNGKey, sampler: AbstractWeightedSampler, *, log_z: float, n: int = 100_000, max_error: float = 1e-3
) -> LawResult:
    """Log of the mean weight is log Z within 5σ, with a standard error of log Z of at most `max_error`."""
    log_weights = np.asarray(_log_weights(key, sampler, n=n))
    return judge_mean("E[w] = Z", np.exp(log_weights - log_z), expected=1.0, max_error=max_error)


@eqx.filter_jit
def _weight_errors(
    key: PRNGKey, sampler: AbstractWeightedSampler, distribution: AbstractDistribution, action: AbstractAction
) -> Float[Array, " n"]:
    def one(k: PRNGKey) -> Float[Array, ""]:
        drawn = sampler.draw(k)
        return jnp.abs(drawn.log_weight + action(drawn.x) + distribution.log_prob(drawn.x))

    return jax.vmap(one)(_keys(key, _PROBES))


def weight_is_density_ratio(
    key: PRNGKey, sampler: AbstractWeightedSampler, distribution: AbstractDistribution, action: AbstractAction
) -> LawResult:
    """Log w = −S(x) − log q(x) for a sampler that draws x from q."""
    return _weighted(distribution, np.max(_weight_errors(key, sampler, distribution, action)))


def _weighted(distribution: AbstractDistribution, error: SupportsFloat) -> LawResult:
    return judge("log w = -S - log q", error, limit=1e-10 * math.sqrt(distribution.space.dof))


@eqx.filter_jit
def _flow_errors(
    key: PRNGKey, sampler: AbstractWeightedSampler, distribution: AbstractDistribution, action: AbstractAction
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    def one(k: PRNGKey) -> tuple[Float[Array, ""], Float[Array, ""]]:
        x, log_q = distribution.sample_and_log_prob(k)
        drawn = sampler.draw(k)
        # a loop of two passes, so that the inverse map is compiled once
        sampled, weighted = jax.lax.map(distribution.log_prob, jnp.stack([x, drawn.x]))
        return jnp.abs(sampled - log_q), jnp.abs(drawn.log_weight + action(drawn.x) + weighted)

    return jax.vmap(one)(_keys(key, _PROBES))


def flow_laws(
    key: PRNGKey, sampler: AbstractWeightedSampler, distribution: AbstractDistribution, action: AbstractAction
) -> list[LawResult]:
    """`log_prob_is_sampled` and `weight_is_density_ratio` in one compiled program, for flows that compile slowly."""
    densities, weights = _flow_errors(key, sampler, distribution, action)
    return [_sampled(distribution, np.max(densities)), _weighted(distribution, np.max(weights))]
