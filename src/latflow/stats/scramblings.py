r"""Weighted averages of quasi-random draws: errors from the scatter of independent scramblings.

The points of one scrambling are not independent, so the variance of a mean is not a sum over draws. To first order a
quantity moves by the sum of its influences, $\sum_iw_i\,\nabla f\cdot(x_i-\hat\mu)/\sum_iw_i$. Their parts $s_r$,
one of each of the R scramblings, are independent and alike: the variance of the sum is $\frac{R}{R-1}\sum_rs_r^2$. The
parts add up to zero by construction.

With R scramblings the error itself has a relative uncertainty of $1/\sqrt{2(R-1)}$: 18 % of 16.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from latflow.stats.estimates import UNDERESTIMATED, Estimate, SeriesShapeError, TooShortError
from latflow.stats.propagation import Derive, Linearisation
from latflow.stats.quasi_tails import log_z_rests_on_tail, missed_tails, rests_on_tail
from latflow.stats.weights import NO_DEGREES, AbstractDraws, linearised, named_estimates, relative_weights

FEWEST = 8
"""Fewer scramblings than this give no error."""


@dataclasses.dataclass(frozen=True)
class Scrambled(AbstractDraws):
    """Log-weights of quasi-random draws, scrambling after scrambling.

    Args:
        log_weights: ln w of every draw; −∞ is weight zero.
        scramblings: Number of independent scramblings, equally many draws each.

    Raises:
        TooShortError: With fewer than `FEWEST` scramblings.
        SeriesShapeError: If the draws cannot be shared out equally.
    """

    log_weights: Float[np.ndarray, " n"]
    scramblings: int

    def __post_init__(self) -> None:
        """Refuse what gives no error."""
        if self.scramblings < FEWEST:
            raise TooShortError("scramblings", value=str(self.scramblings), allowed=f"at least {FEWEST}")
        if self.log_weights.size % self.scramblings:
            found = f"{self.log_weights.size} draws of {self.scramblings} scramblings"
            raise SeriesShapeError("log_weights", value=found, allowed="equally many draws of each")

    @property
    @override
    def n_draws(self) -> int:
        return self.log_weights.size

    @override
    def propagated(
        self, series: Mapping[str, np.ndarray], derive: Derive
    ) -> tuple[Linearisation, Float[np.ndarray, "quantities quantities"]]:
        linear, influence = linearised(series, self.log_weights, derive)
        return linear, scattered(influence, linear, self.scramblings)

    @override
    def estimates(
        self, series: Mapping[str, np.ndarray], derive: Derive, degrees: Mapping[str, int] = NO_DEGREES
    ) -> dict[str, list[Estimate]]:
        linear, influence = linearised(series, self.log_weights, derive)
        w = relative_weights(self.log_weights)
        bounds = rests_on_tail(influence, linear.jacobian, w, missed_tails(series, degrees, w))
        return named_estimates(linear, scattered(influence, linear, self.scramblings), n=self.n_draws, bounds=bounds)


def scrambled_estimates(
    series: Mapping[str, np.ndarray], draws: Scrambled, derive: Derive, degrees: Mapping[str, int] = NO_DEGREES
) -> dict[str, list[Estimate]]:
    """Derived quantities of the target from quasi-random draws, by self-normalised ratios over all of them.

    Args:
        series: Columns (n,) or (n, k) by name, one row per draw, scrambling after scrambling.
        draws: Their log-weights.
        derive: Function of the named means, shapes () or (k,).
        degrees: Powers of the field that columns are proportional to, by name: averages of fourth powers are judged by
            it.

    Returns:
        One estimate per component of every derived quantity; NaN where it does not exist. Where an error rests on the
        tail of what is summed (`latflow.stats.quasi_tails`) it is a lower bound, and `state` says so.

    Raises:
        TooShortError, NonFiniteSeriesError, ConstantSeriesError, SeriesShapeError: If the data cannot be analysed.
    """
    return draws.estimates(series, derive, degrees)


def scrambled_covariance(
    series: Mapping[str, np.ndarray], draws: Scrambled, derive: Derive
) -> Float[np.ndarray, "quantities quantities"]:
    """Covariance matrix of the quantities of `scrambled_estimates`."""
    return draws.propagated(series, derive)[1]


def scrambled_log_z(draws: Scrambled) -> Estimate:
    """ln⟨w⟩ over all draws; its error is the relative scatter of the mean weights of scramblings.

    Where it rests on the tail of heavy weights (`latflow.stats.quasi_tails`) it is a lower bound, and `state` says so.
    """
    w = relative_weights(draws.log_weights)
    means = w.reshape(draws.scramblings, -1).mean(axis=1) / w.mean()
    value = float(np.max(draws.log_weights)) + math.log(w.mean())
    state = UNDERESTIMATED if log_z_rests_on_tail(w) else None
    return Estimate(value, float(means.std(ddof=1) / math.sqrt(draws.scramblings)), n=w.size, state=state)


def scattered(
    influence: Float[np.ndarray, "n total"], linear: Linearisation, scramblings: int
) -> Float[np.ndarray, "quantities quantities"]:
    """Covariance matrix of linearised quantities from the scatter of scramblings.

    Args:
        influence: By how much every draw moves the means, scrambling after scrambling.
        linear: The quantities.
        scramblings: How many.
    """
    parts = influence.reshape(scramblings, -1, influence.shape[1]).sum(axis=1) @ linear.jacobian.T
    return scramblings / (scramblings - 1) * parts.T @ parts
