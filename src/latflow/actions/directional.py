r"""Densities of angles and unit vectors with known integrals: targets of flows on tori and spheres.

An action is the negative log-density, with respect to the normalised uniform measure. The exact log Z of each stands
beside it, as `log_z`.

References:
    arXiv:2002.02428, section 5.
"""

import abc
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ive
from typing_extensions import override

from latflow._typing import Configuration, Momentum, Scalar
from latflow.actions.base import AbstractAction, autodiff_force
from latflow.actions.exact_spins import log_integral
from latflow.actions.targets import FOUR_ON_S2 as FOUR_ON_S2
from latflow.actions.targets import FOUR_ON_S3 as FOUR_ON_S3
from latflow.actions.targets import ONE_ON_T2 as ONE_ON_T2
from latflow.actions.targets import THREE_ON_T2 as THREE_ON_T2
from latflow.arguments import finite, positive, require_type
from latflow.display import call, fields_of
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.product import ProductSpace
from latflow.fields.spaces import AbstractFieldSpace


class AbstractDirectional(AbstractAction):
    """An action of angles or unit vectors whose integral is known."""

    @override
    def __repr__(self) -> str:
        space = getattr(self, "space", None)
        summary, arrays = getattr(space, "summary", ""), ("space", "centres", "directions")
        return call(type(self).__name__, summary, **fields_of(self, skipped=arrays))

    @property
    @abc.abstractmethod
    def log_z(self) -> float:
        """Exact log of ∫ exp(−S) over the normalised uniform measure."""

    @override
    def force(self, x: Configuration) -> Momentum:
        return autodiff_force(self, x)


class AbstractModes(AbstractDirectional):
    """A density that is a sum of parts, with one mode each or with several."""

    @property
    @abc.abstractmethod
    def n_parts(self) -> int:
        """How many there are."""

    @abc.abstractmethod
    def parts(self, x: Configuration) -> Float[Array, " m"]:
        """Logarithms of the parts, up to a common term: their softmax is the share of each in a configuration."""


class TorusModes(AbstractModes):
    r"""$e^{-S}=\frac1m\sum_j\exp[\beta\sum_i\cos(\theta_i-c_{ji})]$ on a torus of n angles; log Z = n log I₀(β).

    Args:
        centres: The m centres, n angles each.
        concentration: β > 0.

    Raises:
        TypeError: If a number is something else.
        ConfigError: If there is no centre, their lengths differ, or β is not positive.
    """

    space: AbstractFieldSpace
    concentration: Scalar
    centres: Float[Array, "m n"]

    def __init__(self, centres: Sequence[Sequence[float]], *, concentration: float | Scalar) -> None:
        self.centres = jnp.asarray(_rows("centres", centres))
        self.space = TorusSpace((self.centres.shape[1],))
        self.concentration = positive("action.concentration", concentration)

    @override
    def __call__(self, x: Float[Array, " n"]) -> Scalar:
        self.space.require(x)
        return math.log(len(self.centres)) - jax.scipy.special.logsumexp(self.parts(x))

    @property
    @override
    def n_parts(self) -> int:
        return len(self.centres)

    @override
    def parts(self, x: Float[Array, " n"]) -> Float[Array, " m"]:
        return self.concentration * jnp.sum(jnp.cos(x[None] - self.centres), axis=1)

    @property
    @override
    def log_z(self) -> float:
        return self.centres.shape[1] * log_integral(2, float(self.concentration))

    @property
    def mean_directions(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Exact ⟨cos θ⟩ and ⟨sin θ⟩ of every angle."""
        centres, kappa = np.asarray(self.centres), float(self.concentration)
        pull = ive(1, kappa) / ive(0, kappa)
        return pull * np.mean(np.cos(centres), axis=0), pull * np.mean(np.sin(centres), axis=0)


class CorrelatedAngles(AbstractDirectional):
    r"""$e^{-S}=\exp[\beta\cos(\theta_1+\theta_2-c)]$ on two circles; log Z = log I₀(β).

    Args:
        concentration: β > 0.
        centre: c.

    Raises:
        TypeError: If a number is something else.
        ConfigError: If β is not positive.
    """

    space: AbstractFieldSpace
    concentration: Scalar
    centre: Scalar

    def __init__(self, *, concentration: float | Scalar, centre: float | Scalar = 1.94) -> None:
        self.space = TorusSpace((2,))
        self.concentration = positive("action.concentration", concentration)
        self.centre = finite("action.centre", centre)

    @override
    def __call__(self, x: Float[Array, "2"]) -> Scalar:
        self.space.require(x)
        return -self.concentration * jnp.cos(x[0] + x[1] - self.centre)

    @property
    @override
    def log_z(self) -> float:
        return log_integral(2, float(self.concentration))


class SphereModes(AbstractModes):
    r"""$e^{-S}=\sum_je^{\kappa\,\mu_j\cdot x}$ on a sphere $S^D$, a sum and not a mean.

    Each term has the integral $\Gamma(\tfrac{D+1}2)(2/\kappa)^{(D-1)/2}I_{(D-1)/2}(\kappa)$. With one direction,
    D = 3 and κ = β it is one matrix of SU(2) with $e^{\frac\beta2\mathrm{tr}\,U}$.

    Args:
        directions: Unit vectors μ, of D + 1 components each; they are normalised.
        concentration: κ > 0.

    Raises:
        TypeError: If a number is something else.
        ConfigError: If there is no direction, one is zero, their lengths differ, or κ is not positive.
    """

    space: AbstractFieldSpace
    concentration: Scalar
    directions: Float[Array, "m n"]

    def __init__(self, directions: Sequence[Sequence[float]], *, concentration: float | Scalar) -> None:
        rows = _rows("directions", directions)
        lengths = np.linalg.norm(rows, axis=1)
        if not lengths.all() or rows.shape[1] < 2:
            raise ConfigError(
                ["directions: a zero vector or one component; allowed: two or more components, not all 0"]
            )
        self.directions = jnp.asarray(rows / lengths[:, None])
        self.space = SphereSpace(rows.shape[1] - 1)
        self.concentration = positive("action.concentration", concentration)

    @override
    def __call__(self, x: Float[Array, " n"]) -> Scalar:
        self.space.require(x)
        return -jax.scipy.special.logsumexp(self.parts(x))

    @property
    @override
    def n_parts(self) -> int:
        return len(self.directions)

    @override
    def parts(self, x: Float[Array, " n"]) -> Float[Array, " m"]:
        return self.concentration * (self.directions @ x)

    @property
    @override
    def log_z(self) -> float:
        return math.log(len(self.directions)) + log_integral(self.directions.shape[1], float(self.concentration))

    @property
    def mean_vector(self) -> Float[np.ndarray, " n"]:
        """Exact ⟨x⟩."""
        order, kappa = (self.directions.shape[1] - 2) / 2, float(self.concentration)
        return ive(order + 1, kappa) / ive(order, kappa) * np.mean(np.asarray(self.directions), axis=0)


class TurnedSphere(AbstractDirectional):
    r"""Two angles and a unit vector, all coupled, with a known integral.

    $e^{-S}=e^{4\cos(\theta_1-\theta_2)+2\cos\theta_1}\sum_je^{\kappa\,\mu_j\cdot R(\theta_1)x}$, where R
    turns about the first axis. A configuration is `{"angles": θ, "vector": x}`.

    Args:
        concentration: κ > 0 of the four directions.

    Raises:
        TypeError: If it is no number.
        ConfigError: If it is not positive.
    """

    space: AbstractFieldSpace
    concentration: Scalar

    def __init__(self, *, concentration: float | Scalar = 10.0) -> None:
        self.space = ProductSpace({"angles": TorusSpace((2,)), "vector": SphereSpace(2)})
        self.concentration = positive("action.concentration", concentration)

    @override
    def __call__(self, x: Configuration) -> Scalar:
        self.space.require(x)
        (first, second), v = x["angles"], x["vector"]
        c, s = jnp.cos(first), jnp.sin(first)
        turned = jnp.stack([v[0], c * v[1] - s * v[2], s * v[1] + c * v[2]])
        sphere = jax.scipy.special.logsumexp(self.concentration * (jnp.asarray(FOUR_ON_S2) @ turned))
        return -(4 * jnp.cos(first - second) + 2 * c + sphere)

    @property
    @override
    def log_z(self) -> float:
        sphere = SphereModes(FOUR_ON_S2, concentration=self.concentration).log_z
        return log_integral(2, 4.0) + log_integral(2, 2.0) + sphere


def _rows(name: str, rows: Sequence[Sequence[float]]) -> Float[np.ndarray, "m n"]:
    words = "rows of numbers of the same length"
    require_type(name, rows, (tuple, list, np.ndarray), words)
    for row in rows:
        require_type(name, row, (tuple, list, np.ndarray), words)
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise ConfigError([f"{name}: rows of {sorted(lengths)} numbers; allowed: one or more rows of the same length"])
    return np.asarray([[plain(name, number) for number in row] for row in rows])


def plain(name: str, value: object) -> float:
    """A finite number as it is, also while something else is traced.

    Raises:
        TypeError: If it is no number.
        ConfigError: If it is infinite or NaN.
    """
    finite(name, value)
    return float(value)  # pyright: ignore[reportArgumentType]
