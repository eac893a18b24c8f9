"""Log Z from draws of a flow and from draws of the target, and the weights of sectors among draws.

Errors are the larger of what the draws scatter and what their acceptance implies: the scatter of heavy-tailed weights
misses the rare large ones.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from latflow.stats.estimates import RELIABLE, UNDERESTIMATED, ConstantSeriesError, Estimate
from latflow.stats.gamma import gamma_estimate
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.stats.reliability import FEWEST_EFFECTIVE, tail_limit
from latflow.stats.weights import independence_acceptance, log_z, pareto_k, reweighting_ess

_SMALLEST_ACCEPTANCE = 1e-12
_CARRIED = 0.999


@dataclasses.dataclass(frozen=True)
class Side:
    """Log Z from one direction.

    Args:
        log_z: The estimate.
        error: One standard deviation, the larger of what the draws scatter and what their acceptance implies.
        ess: (Σu)²/(NΣu²) of the averaged weights u, which are w or 1/w.
        tail: Pareto k̂ of u.
        n: Draws.
    """

    log_z: float
    error: float
    ess: float
    tail: float
    n: int

    @property
    def estimate(self) -> Estimate:
        """Log Z; its error is a lower bound where the weights have heavy tails or too few carry the mean."""
        carried = self.tail <= tail_limit(self.n) and self.ess * self.n >= FEWEST_EFFECTIVE
        return Estimate(self.log_z, self.error, n=self.n, state=RELIABLE if carried else UNDERESTIMATED)


def forward_side(log_weights: Float[np.ndarray, " n"]) -> Side:
    """Log Z as ln⟨w⟩ over draws of the flow."""
    estimate = log_z(log_weights)
    error = max(estimate.error, _implied_error(log_weights, effective=log_weights.size))
    return Side(estimate.value, error, reweighting_ess(log_weights), pareto_k(log_weights), log_weights.size)


def reverse_side(log_weights: Float[np.ndarray, "chains n images"]) -> Side:
    """Log Z as −ln⟨1/w⟩ over chains of target draws.

    Args:
        log_weights: ln w at every draw and, where there is a symmetry, at its images, which are equally valid draws of
            the target.

    Returns:
        The side; infinite log Z if the flow has no density at any draw.
    """
    inverse = -log_weights
    top = float(inverse.max())
    if top == -math.inf:
        return Side(math.inf, 0.0, 0.0, -math.inf, log_weights.size)
    terms = np.exp(inverse - top).mean(axis=-1)
    try:
        mean = gamma_estimate(terms)
    except ConstantSeriesError:
        mean = Estimate(float(terms.mean()), 0.0, tau_int=0.5, n=terms.size)
    flat = inverse.reshape(-1)
    implied = _implied_error(flat, effective=terms.size / max(1.0, 2 * (mean.tau_int or 0.5)))
    error = max(mean.error / mean.value, implied)
    return Side(-top - math.log(mean.value), error, reweighting_ess(flat), pareto_k(flat), flat.size)


def census(
    members: Bool[np.ndarray, " n"], log_weights: Float[np.ndarray, " n"], *, expected: float | None = None
) -> tuple[float, float]:
    """Weight of the draws that lie in a sector, and its error.

    Args:
        members: Which draws do.
        log_weights: Of all draws.
        expected: The exact weight, where known; the error is at least that of a coin with this chance, else a fair one.
    """
    w = np.exp(log_weights - log_weights.max())
    w /= w.sum()
    share = float(w[members].sum())
    influence = w * (members - share)
    chance = 0.5 if expected is None else expected
    coin = math.sqrt(chance * (1 - chance)) * math.sqrt(float(np.sum(w**2)))
    return share, max(float(np.sqrt(np.sum(influence**2))), coin)


def _implied_error(log_weights: Float[np.ndarray, " n"], *, effective: float) -> float:
    r"""Relative error of the mean weight if ln w were Gaussian with the observed acceptance erfc(σ/2).

    The sample variance of heavy-tailed weights is far too small, because it misses the rare large weights that dominate
    the mean; the acceptance converges much earlier. Draws of negligible weight, such as those in a mode that the other
    density lacks, do not belong to the tail: if a fraction f of the draws carries the sum,
    $\langle w^2\rangle/\langle w\rangle^2$ is that of these draws divided by f.
    """
    largest = np.sort(log_weights)[::-1]
    carried = np.cumsum(np.exp(largest - largest[0]))
    n = max(int(np.searchsorted(carried, _CARRIED * carried[-1])) + 1, MINIMUM_RECORDS)
    acceptance = max(independence_acceptance(largest[:n]), _SMALLEST_ACCEPTANCE)
    sigma = 2 * float(special.erfcinv(min(acceptance, 1.0)))
    return math.sqrt((math.exp(sigma**2) * log_weights.size / min(n, log_weights.size) - 1) / effective)
