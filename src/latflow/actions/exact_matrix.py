r"""Exact averages over a single matrix of SU(3) by quadrature over the classes: baselines of spectral flows.

The density with respect to the Haar measure is $\propto\exp\frac\beta3\mathrm{Re\,tr}\sum_nc_nU^n$. Two angles run
over the torus, the third closes their sum; the integrand is smooth and periodic, so equidistant points converge
exponentially. The Haar density is $\prod_{j<k}|e^{i\theta_j}-e^{i\theta_k}|^2/6(2\pi)^2$.
"""

from typing import NamedTuple

import numpy as np

from latflow.arguments import finite
from latflow.errors import ConfigError

_POINTS = 256


class OneMatrix(NamedTuple):
    """Exact values.

    Attributes:
        log_z: Logarithm of the integral over the normalised Haar measure.
        trace: ⟨Re tr U⟩/3.
    """

    log_z: float
    trace: float


def su3_one_matrix(beta: float, coefficients: tuple[float, ...]) -> OneMatrix:
    """Of the class function with these coefficients.

    Args:
        beta: β, at most 100 in modulus.
        coefficients: c₁, c₂, … of the powers of U, at least one.

    Raises:
        ConfigError: If there is no coefficient or β is too large for the points of the quadrature.

    >>> round(su3_one_matrix(9.0, (1.0, 0.0, 0.0)).log_z, 8)
    2.75839742
    """
    if not coefficients:
        raise ConfigError(["coefficients: none; allowed: one or more"])
    if abs(finite("beta", beta)) > 100:
        raise ConfigError([f"beta: {beta}; allowed: at most 100"])
    angles = 2 * np.pi * np.arange(_POINTS) / _POINTS
    one, two = np.meshgrid(np.exp(1j * angles), np.exp(1j * angles))
    values = np.stack([one, two, np.conj(one * two)])
    haar = np.prod([np.abs(values[i] - values[j]) ** 2 for i, j in ((0, 1), (1, 2), (2, 0))], axis=0) / 6
    energy = beta / 3 * sum(c * np.real(np.sum(values ** (n + 1), axis=0)) for n, c in enumerate(coefficients))
    top = np.max(energy)
    weight = haar * np.exp(energy - top)
    trace = np.sum(weight * np.real(np.sum(values, axis=0))) / np.sum(weight) / 3
    return OneMatrix(float(np.log(np.mean(weight)) + top), float(trace))
