r"""How slowly a topological charge moves: its mean square change over a stretch of a chain against its spread.

Where charges change rarely, $\gamma=2\langle Q^2\rangle/\langle\Delta Q^2\rangle$ counts the stretches that one
independent charge takes; for charges that forget exponentially the correlation after one stretch is $1-1/\gamma$.
"""

import math

import numpy as np
from jaxtyping import Float

from latflow.errors import DataError
from latflow.stats.estimates import ConstantSeriesError, Estimate
from latflow.stats.gamma import chain_estimates


def freezing(charge: Float[np.ndarray, "chains n"], *, stretch: float, squared: float) -> Estimate:
    r"""$\gamma=2\langle Q^2\rangle/\langle\Delta Q^2\rangle$ with the change over `stretch` records.

    Between whole numbers of records the mean square change is interpolated linearly, as that of rare jumps grows.

    Args:
        charge: Integer charges along chains.
        stretch: Records, larger than zero and shorter than a chain.
        squared: The exact ⟨Q²⟩, which cannot be estimated from chains with a frozen charge.

    Returns:
        γ with its Γ-method error; infinite with an unknown error if no charge changed.

    Raises:
        DataError: If `stretch` does not fit into a chain.
    """
    n = charge.shape[1]
    if not 0 < 2 * stretch < n - 1:
        raise DataError("stretch", value=f"{stretch:g} records", allowed=f"more than 0, less than half of {n}")
    below = math.floor(stretch)
    share = stretch - below
    start = np.rint(charge[:, : n - below - 1])
    ends = (np.rint(charge[:, lag : n - below - 1 + lag]) for lag in (below, below + 1))
    near, far = ((end - start) ** 2 for end in ends)
    change = (1 - share) * near + share * far
    try:
        found = chain_estimates({"change": change}, lambda means: {"gamma": 2 * squared / means["change"]})
    except ConstantSeriesError:
        return Estimate(math.inf, math.nan, n=change.size)
    return found["gamma"][0]
