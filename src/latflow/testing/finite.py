r"""Exact transition matrices on an enumerable state space.

The production accept rules see $\ln u$; they are monotone in u, so the probability of accepting is found by bisection
to the last bit, without any random number. Detailed balance and stationarity of the resulting matrix are then exact
statements: an accept rule wrong in one corner shows as a defect of order one, not as a statistical fluctuation.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from latflow.testing.result import LawResult, judge

BALANCE = 1e-14
_BISECTIONS = 60

Accepts = Callable[[Float[np.ndarray, "*pairs"]], Bool[np.ndarray, "*pairs"]]
Weights = Float[np.ndarray, " states"]
Matrix = Float[np.ndarray, "states states"]


def acceptance_probability(accepts: Accepts, shape: tuple[int, ...]) -> Float[np.ndarray, "*pairs"]:
    """The measure of {u in [0, 1): accepted}, for every proposal at once.

    Args:
        accepts: The production rule: takes ln u for every proposal, says which are accepted. Monotone in u.
        shape: Shape of the array of proposals.
    """
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        taken = np.asarray(accepts(np.log(middle)))
        low, high = np.where(taken, middle, low), np.where(taken, high, middle)
    return high * np.asarray(accepts(np.log(np.full(shape, 2.0**-60))))


def transition_matrix(proposal: Matrix, acceptance: Matrix) -> Matrix:
    """P_ij = q_ij a_ij off the diagonal; what is not accepted stays."""
    matrix = proposal * acceptance
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, 1.0 - matrix.sum(axis=1))
    return matrix


def detailed_balance(matrix: Matrix, weights: Weights) -> LawResult:
    """π_i P_ij = π_j P_ji for every pair of states; `weights` need not be normalised."""
    flow = (weights / weights.sum())[:, None] * matrix
    return judge("detailed balance", np.max(np.abs(flow - flow.T)), limit=BALANCE, detail=f"{weights.size} states")


def stationarity(matrix: Matrix, weights: Weights) -> LawResult:
    """πP = π, which compositions keep even where detailed balance is lost."""
    pi = weights / weights.sum()
    return judge("stationarity", np.max(np.abs(pi @ matrix - pi)), limit=BALANCE, detail=f"{weights.size} states")
