r"""Independent weighted draws: ratio estimators, log Z, and quality measures of a flow.

A flow draws $x\sim q$ with $w=e^{-S}/q$, so $\langle w\rangle_q=Z$ and $\langle O\rangle_p=\sum wO/\sum w$. All
functions take log-weights with any additive constant (only `log_z` depends on it), and errors come from influence
functions: to first order an estimator moves by the mean of one number per draw. A draw with log-weight −∞ has weight
zero: it counts as a draw, and its columns are not read.
"""

import abc
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float

from latflow.given import require_type
from latflow.stats.estimates import UNDERESTIMATED, Estimate, NonFiniteSeriesError, SeriesShapeError, TooShortError
from latflow.stats.propagation import MINIMUM_RECORDS, Derive, Layout, Linearisation, linearise, pack, require_usable

FEWEST_DISTINCT = 5
"""Different weights that a tail must have for its shape to be estimated (the rule of the package loo, version 2)."""

FEWEST_FOR_TAIL = 25
"""Fewest draws of which k̂ is taken: their tail has five."""

NO_DEGREES: Mapping[str, int] = MappingProxyType({})
"""Of columns of which no power of the field is known."""

_ROUNDING = 1e-9


class AbstractDraws(abc.ABC):
    """Weighted draws that are more than independent ones with log-weights."""

    @property
    @abc.abstractmethod
    def n_draws(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def propagated(
        self, series: Mapping[str, np.ndarray], derive: Derive
    ) -> tuple[Linearisation, Float[np.ndarray, "quantities quantities"]]:
        """Derived quantities of the target, linearised, and their covariance matrix.

        Args:
            series: Columns (n,) or (n, k) by name, one row per draw.
            derive: Function of the named means, shapes () or (k,).

        Raises:
            TooShortError, NonFiniteSeriesError, ConstantSeriesError, SeriesShapeError: If the data cannot be analysed.
        """

    @abc.abstractmethod
    def estimates(
        self, series: Mapping[str, np.ndarray], derive: Derive, degrees: Mapping[str, int] = NO_DEGREES
    ) -> dict[str, list[Estimate]]:
        """Derived quantities of the target; those whose errors are lower bounds have the state that says so.

        Args:
            series: As for `propagated`.
            derive: Likewise.
            degrees: Powers of the field that columns are proportional to, by name, where they are known.
        """


def weighted_estimates(
    series: Mapping[str, np.ndarray], log_weights: Float[np.ndarray, " n"], derive: Derive
) -> dict[str, list[Estimate]]:
    r"""Derived quantities of the target from weighted draws, by self-normalised ratios.

    To first order $f(\hat\mu)-f(\mu)=\sum_iw_i\,\nabla f\cdot(x_i-\mu)/\sum_iw_i$, whose variance over independent
    draws is $\sum_i[w_i\nabla f\cdot(x_i-\hat\mu)]^2/(\sum_iw_i)^2$.

    Args:
        series: Columns (n,) or (n, k) by name, one row per draw.
        log_weights: Logarithm of the importance weights.
        derive: Function of the named means, shapes () or (k,).

    Returns:
        One estimate per component of every derived quantity; NaN where it does not exist. No autocorrelation time.

    Raises:
        TooShortError, NonFiniteSeriesError, ConstantSeriesError, SeriesShapeError: If the data cannot be analysed.
    """
    require_type("log_weights", log_weights, np.ndarray, "an array, one logarithm of a weight per draw")
    linear, covariance = _propagated(series, log_weights, derive)
    return named_estimates(linear, covariance, n=log_weights.size)


def named_estimates(
    linear: Linearisation,
    covariance: Float[np.ndarray, "quantities quantities"],
    *,
    n: int,
    bounds: Bool[np.ndarray, " quantities"] | None = None,
) -> dict[str, list[Estimate]]:
    """Linearised quantities with errors from their covariance matrix, of `n` draws.

    Args:
        linear: The quantities.
        covariance: Of their values.
        n: Draws behind them.
        bounds: Whether an error is a lower bound, where that is known.
    """
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    lower = np.zeros(len(errors), dtype=bool) if bounds is None else bounds
    flat = [
        Estimate(float(value), float(error), n=n, state=UNDERESTIMATED if bound else None)
        for value, error, bound in zip(linear.values, errors, lower, strict=True)
    ]
    return {name: flat[where] for name, where in zip(linear.layout.names, linear.layout.offsets(), strict=True)}


def weighted_covariance(
    series: Mapping[str, np.ndarray], log_weights: Float[np.ndarray, " n"], derive: Derive
) -> Float[np.ndarray, "quantities quantities"]:
    """Covariance matrix of the quantities of `weighted_estimates`, from the same influence functions."""
    return _propagated(series, log_weights, derive)[1]


def reweighting_ess(log_weights: Float[np.ndarray, " n"]) -> float:
    """(Σw)²/(NΣw²), between 1/N and 1; biased high when N is small."""
    w = relative_weights(log_weights)
    return float(w.sum() ** 2 / (w.size * np.sum(w**2)))


def independence_acceptance(log_weights: Float[np.ndarray, " n"]) -> float:
    r"""Expected stationary acceptance of independence Metropolis with these draws as proposals.

    $\langle\min(1,w(y)/w(x))\rangle$ over $x\sim p,\ y\sim q$ is $\langle\min(w,w')\rangle/\langle w\rangle$ over
    pairs of different draws; after sorting, the k-th smallest weight is the minimum of N − k pairs.
    """
    w = np.sort(relative_weights(log_weights))
    larger = np.arange(w.size - 1, -1, -1)
    return float(2 * np.sum(w * larger) / ((w.size - 1) * w.sum()))


def log_z(log_weights: Float[np.ndarray, " n"]) -> Estimate:
    """ln⟨w⟩ and its error, the relative error of the mean weight."""
    w = relative_weights(log_weights)
    value = float(np.max(log_weights)) + math.log(w.mean())
    return Estimate(value, _standard_error(w / w.mean()), n=w.size)


def kl(log_weights: Float[np.ndarray, " n"]) -> Estimate:
    """Reverse Kullback–Leibler divergence KL(q‖p) = ln⟨w⟩ − ⟨ln w⟩ in nats; infinite if a weight is zero."""
    w = relative_weights(log_weights)
    if np.any(np.isneginf(log_weights)):
        return Estimate(math.inf, math.nan, n=w.size)
    shifted = log_weights - np.max(log_weights)
    influence = w / w.mean() - shifted
    return Estimate(math.log(w.mean()) - float(shifted.mean()), _standard_error(influence), n=w.size)


def pareto_k(log_weights: Float[np.ndarray, " n"]) -> float:
    """Shape k̂ of the generalised Pareto tail of the weights, one of the numbers by which averages are judged.

    Moments of the weights of order up to 1/k exist. The tail are the min(N/5, 3√N) largest weights; the fit is that of
    Zhang and Stephens (2009) with the weak prior of Pareto-smoothed importance sampling (arXiv:1507.02646).

    Returns:
        The shape; −∞ if all weights that are not zero are equal up to rounding, so that there is no tail; +∞ if the
        tail has fewer than `FEWEST_DISTINCT` different values, which no shape can be read from.

    Raises:
        TooShortError: With fewer than 25 draws.
    """
    w = np.sort(relative_weights(log_weights))
    if w.size < FEWEST_FOR_TAIL:
        raise TooShortError("log_weights", value=str(w.size), allowed=f"at least {FEWEST_FOR_TAIL}")
    size = math.ceil(min(w.size / 5, 3 * math.sqrt(w.size)))
    excess = w[-size:] - w[-size - 1]
    excess = excess[excess > 0]
    if are_constant(log_weights):
        return -math.inf
    return _pareto_shape(excess) if np.unique(excess).size >= FEWEST_DISTINCT else math.inf


def are_constant(log_weights: Float[np.ndarray, " n"]) -> bool:
    """Whether all weights that are not zero are equal up to rounding: plain draws of the target."""
    finite = log_weights[np.isfinite(log_weights)]
    return bool(finite.size and np.ptp(finite) <= _ROUNDING)


def _pareto_shape(excess: Float[np.ndarray, " m"]) -> float:
    """Zhang–Stephens posterior mean of the shape, drawn towards 1/2 with the weight of ten observations."""
    m = excess.size
    grid = 30 + math.isqrt(m)
    quartile = excess[max(int(m / 4 + 0.5) - 1, 0)]
    b = 1 / excess[-1] + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-b[:, None] * excess).mean(axis=1)
    log_likelihood = m * (np.log(-b / k) - k - 1)
    posterior = np.exp(log_likelihood - log_likelihood.max())
    b_mean = np.sum(b * posterior) / posterior.sum()
    shape = float(np.log1p(-b_mean * excess).mean())
    return (m * shape + 10 * 0.5) / (m + 10)


def relative_weights(log_weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Weights relative to the largest.

    Raises:
        TooShortError: With fewer than `MINIMUM_RECORDS` draws.
        NonFiniteSeriesError: If a log-weight is NaN or +∞, or all are −∞.
    """
    if log_weights.size < MINIMUM_RECORDS:
        raise TooShortError("log_weights", value=str(log_weights.size), allowed=f"at least {MINIMUM_RECORDS}")
    top = float(np.max(log_weights))
    if not math.isfinite(top):
        bad = int(np.count_nonzero(~np.isfinite(log_weights)))
        raise NonFiniteSeriesError(
            "log_weights", value=f"{bad} of {log_weights.size} not finite", allowed="finite numbers and some −inf"
        )
    return np.exp(log_weights.astype(np.float64) - top)


def _standard_error(values: Float[np.ndarray, " n"]) -> float:
    return float(values.std(ddof=1) / math.sqrt(values.size))


def _propagated(
    series: Mapping[str, np.ndarray], log_weights: Float[np.ndarray, " n"], derive: Derive
) -> tuple[Linearisation, Float[np.ndarray, "quantities quantities"]]:
    """The derived quantities, linearised, and their covariance matrix."""
    linear, influence = linearised(series, log_weights, derive)
    return linear, linear.jacobian @ (influence.T @ influence) @ linear.jacobian.T


def linearised(
    series: Mapping[str, np.ndarray], log_weights: Float[np.ndarray, " n"], derive: Derive
) -> tuple[Linearisation, Float[np.ndarray, "n total"]]:
    """The derived quantities, linearised, and by how much every draw moves the means: zero where its weight is."""
    layout, means, influence = influences(series, log_weights)
    return linearise(derive, layout, means, errors=np.sqrt(np.sum(influence**2, axis=0))), influence


def influences(
    series: Mapping[str, np.ndarray], log_weights: Float[np.ndarray, " n"]
) -> tuple[Layout, Float[np.ndarray, " total"], Float[np.ndarray, "n total"]]:
    """Weighted means of all columns, and by how much every draw moves them: zero where its weight is."""
    w = relative_weights(log_weights)
    layout, matrix = pack(series, leading=1)
    if len(matrix) != w.size:
        raise SeriesShapeError("series", value=f"{len(matrix)} rows", allowed=f"{w.size}, one per log-weight")
    kept, p = w > 0, w / w.sum()
    require_usable(layout, matrix[kept])
    means = p[kept] @ matrix[kept]
    influence = np.zeros_like(matrix)
    influence[kept] = p[kept, None] * (matrix[kept] - means)
    return layout, means, influence
