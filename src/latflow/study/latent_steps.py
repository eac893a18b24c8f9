r"""Steps of the integration behind latent Stein fields, by the error that they leave in the means of the variates.

The mean of a variate f is zero for the gradient of the energy of the latent modes. That gradient comes from the adjoint
equation, which few steps solve with an error of their own: no function has the gradient that is found, so the error of
log q does not bound what it does. What counts is measured itself: on draws of the flow, weighted to the theory,
the differences $\delta=\hat f-f$ of variates with few steps and with accurate ones, whose mean
$m=\langle\hat f\rangle$ is the bias of every variate. A correction c·f that removes variance of an average varies no
more than it, $c^TCc\le\sigma_O^2$ with C the covariance of the variates, so the average moves by
$|c\cdot m|\le\sigma_O\sqrt{m^TC^{-1}m}$ at most, whatever the coefficients. The noise of m, of 256 probes, is in it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import Configuration, PRNGKey
from latflow.actions.base import AbstractAction
from latflow.flows.continuous import of_draws
from latflow.flows.flow import Flow
from latflow.flows.matched import GAIN, PROBES, made_for_draws, matched
from latflow.flows.weighted import for_draws
from latflow.randomness import split
from latflow.variates.latent_fields import LatentFields

_LEAST = 1e-10
"""Combinations of variates whose variance is a smaller part of the largest one are rounding, and are left out."""


def matched_flow(key: PRNGKey, flow: Flow, action: AbstractAction, *, n: int) -> Flow:
    """The flow with the fewest steps whose latent fields are right enough for n configurations.

    Both bounds of `latflow.flows.matched` hold, and the bias that the error of the gradient leaves is a tenth of the
    corrected errors or less, with the same allowance for what the correction gains.

    Args:
        key: Randomness of the draws on which errors are measured.
        flow: With networks in float64.
        action: S of the configurations.
        n: How many there are.

    Returns:
        The accurate flow where nothing cheaper is good enough, and the flow itself where it is not continuous.
    """
    exact = for_draws(key, flow)
    if not made_for_draws(of_draws(exact)):
        return flow
    x, log_weight = _probes(split(jax.random.fold_in(key, 1), PROBES), of_draws(exact), action)
    fine = _values(of_draws(exact), action, x)

    def bias(found: Flow) -> float:
        return bias_of_means(_values(found, action, x), fine, np.asarray(log_weight))

    found, told = matched(key, flow, action, exact=exact, n=n, gain=GAIN, further=bias)
    return flow if told is None else found


def bias_of_means(
    values: Float[np.ndarray, "n k"], fine: Float[np.ndarray, "n k"], log_weight: Float[np.ndarray, " n"]
) -> float:
    r"""$\sqrt{m^TC^{-1}m}$, the largest bias of a corrected average in units of the spread of what is averaged.

    Args:
        values: Variates with few steps, of probes.
        fine: The same, accurately.
        log_weight: ln w of the probes.

    Returns:
        Infinite where a value is not finite.
    """
    if not np.all(np.isfinite(values)):
        return float("inf")
    weight = np.exp(log_weight - np.max(log_weight))
    weight /= np.sum(weight)
    centred = fine - weight @ fine
    size = np.sqrt(weight @ centred**2)
    size = np.where(size > 0, size, 1.0)
    centred, mean = centred / size, weight @ (values - fine) / size
    variances, axes = np.linalg.eigh((weight[:, None] * centred).T @ centred)
    known = variances > _LEAST * variances[-1]
    return float(np.sqrt(np.sum((mean @ axes[:, known]) ** 2 / variances[known])))


@eqx.filter_jit
def _probes(keys: Array, flow: Flow, action: AbstractAction) -> tuple[Configuration, Float[Array, " n"]]:
    def one(key: PRNGKey) -> tuple[Configuration, Float[Array, ""]]:
        x, log_q = flow.sample_and_log_prob(key)
        return x, -action(x) - log_q

    return jax.vmap(one)(keys)


def _values(flow: Flow, action: AbstractAction, x: Configuration) -> Float[np.ndarray, "n k"]:
    """Variates of all configurations; one program serves every number of steps."""
    return np.asarray(_compiled(LatentFields.of_flow(flow.prior, flow.bijection), action, jnp.asarray(x)))


@eqx.filter_jit
def _compiled(fields: LatentFields, action: AbstractAction, x: Configuration) -> Float[Array, "n k"]:
    return fields.values(action, x)
