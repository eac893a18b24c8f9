"""Power laws: y = A x^z fitted to points with errors, in logarithms."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy import special

from latflow.stats.estimates import TooShortError


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """A weighted least-squares fit of ln y = ln A + z ln x.

    Args:
        exponent: z.
        error: Its standard deviation, from the errors of the points alone.
        amplitude: A.
        chi2: Σ of squared deviations in errors.
        dof: Number of points minus two; zero if the fit has no redundancy.
    """

    exponent: float
    error: float
    amplitude: float
    chi2: float
    dof: int

    @property
    def probability(self) -> float | None:
        """Chance of a χ² as large or larger if the law holds; None without a degree of freedom."""
        return float(special.gammaincc(self.dof / 2, self.chi2 / 2)) if self.dof else None


def fit_power_law(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], errors: Float[np.ndarray, " n"]) -> PowerLaw:
    """Fit y = A x^z; errors of ln y are errors/y.

    Args:
        x: Positive abscissae, at least two different ones.
        y: Positive values.
        errors: Their standard deviations, positive.

    Raises:
        TooShortError: With fewer than two different abscissae.
    """
    different = np.unique(x).size
    if different < 2:
        raise TooShortError("points of a power law", value=str(different), allowed="at least 2 different ones")
    log_x, log_y, w = np.log(x), np.log(y), (y / errors) ** 2
    # about the weighted mean the two parameters are independent
    centre, height = np.average(log_x, weights=w), np.average(log_y, weights=w)
    spread = float(np.sum(w * (log_x - centre) ** 2))
    z = float(np.sum(w * (log_x - centre) * log_y) / spread)
    residuals = log_y - height - z * (log_x - centre)
    amplitude = math.exp(height - z * centre)
    return PowerLaw(z, 1 / math.sqrt(spread), amplitude, float(np.sum(w * residuals**2)), len(log_x) - 2)
