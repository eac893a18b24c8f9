r"""Free energies: −ln Z per site from either direction, and differences between two actions.

The reweighting identity $Z'/Z=\langle e^{-(S'-S)}\rangle_S$ holds whatever the two actions are; it is useful while
their distributions overlap, as the tail shape k̂ of $e^{-(S'-S)}$ shows (`latflow.stats.weights.pareto_k`). For two
couplings of φ⁴, $S'-S=(\lambda'-\lambda)\sum_x\phi_x^4$; in general evaluate both actions on the same configurations.
"""

import math

import numpy as np
from jaxtyping import Float

from latflow.stats.estimates import ConstantSeriesError, Estimate, worst
from latflow.stats.gamma import gamma_estimate
from latflow.stats.weights import log_z, weighted_estimates


def free_energy_density(partition: Estimate, *, volume: int) -> Estimate:
    """−ln Z / V from an estimate of ln Z.

    >>> free_energy_density(Estimate(8.0, 0.5), volume=4).value
    -2.0
    """
    return Estimate(-partition.value / volume, partition.error / volume, n=partition.n, state=partition.state)


def chain_log_z_difference(delta: Float[np.ndarray, "chains n"]) -> Estimate:
    r"""Difference ln Z' − ln Z as $\ln\langle e^{-(S'-S)}\rangle_S$ along Markov chains of S, with Γ-method error.

    Args:
        delta: S' − S on every configuration.

    Raises:
        TooShortError, NonFiniteSeriesError: If the series cannot be analysed.
    """
    least = float(delta.min())
    try:
        mean = gamma_estimate(np.exp(-(delta - least)))
    except ConstantSeriesError:
        return Estimate(-least, 0.0, n=delta.size)  # actions that differ by a constant
    error = mean.error / mean.value
    return Estimate(math.log(mean.value) - least, error, mean.tau_int, mean.tau_int_error, delta.size)


def weighted_log_z_difference(delta: Float[np.ndarray, " n"], log_weights: Float[np.ndarray, " n"]) -> Estimate:
    r"""Difference ln Z' − ln Z as $\ln\frac{\sum we^{-(S'-S)}}{\sum w}$ from weighted draws of S.

    Noise that both sums share cancels.

    Args:
        delta: S' − S on every draw.
        log_weights: ln w of the draws for S.

    Raises:
        TooShortError, NonFiniteSeriesError: If the data cannot be analysed.
    """
    value = log_z(log_weights - delta).value - log_z(log_weights).value
    if np.ptp(delta) == 0:
        return Estimate(value, 0.0, n=delta.size)
    ratios = np.exp(-(delta - delta.min()))
    mean = weighted_estimates({"ratio": ratios}, log_weights, lambda means: means)["ratio"][0]
    return Estimate(value, mean.error / mean.value, n=delta.size)


def independent_difference(partition: Estimate, reference: Estimate) -> Estimate:
    """Difference ln Z' − ln Z from independent estimates, such as those of a conditional flow at two couplings.

    The error does not grow with the distance of the two theories, as that of a ratio of weights does.

    Args:
        partition: ln Z'.
        reference: ln Z.

    >>> independent_difference(Estimate(2.0, 0.3), Estimate(1.5, 0.4))
    0.50(50)
    """
    error = math.hypot(partition.error, reference.error)
    state = worst(partition.state, reference.state)
    return Estimate(partition.value - reference.value, error, n=min(partition.n, reference.n), state=state)
