r"""Energies of points and of particles: targets of Boltzmann generators, $S=U/k_BT$.

The measure is Lebesgue measure on R^d, and on the mean-free subspace for particles whose energy does not depend on
where they are together (`latflow.fields.euclidean`). Every pair is counted once.
"""

import abc
from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Momentum, Scalar
from latflow.actions.base import AbstractAction, autodiff_force
from latflow.arguments import count, finite, positive
from latflow.fields.euclidean import EuclideanSpace, pair_distances, square_distances
from latflow.fields.spaces import AbstractFieldSpace
from latflow.given import require_function, shown

NEAREST = 1e-3
"""Distance in units of the radius below which a Lennard-Jones energy stays as it is there, about 10³⁶ ε: finite, and
its weight is zero."""


class AbstractEnergy(AbstractAction):
    """An energy over a temperature."""

    temperature: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def energy(self, x: Float[Array, "*shape"]) -> Scalar:
        """U(x), in the units of the temperature."""

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        self.space.require(x)
        return self.energy(x) / self.temperature

    @override
    def force(self, x: Float[Array, "*shape"]) -> Momentum:
        return autodiff_force(self, x)

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        for name in ("temperature", "epsilon", "radius", "oscillator", "scale", "quartic"):
            if name in values:
                positive(f"action.{name}", values[name])


class DoubleWell(AbstractEnergy):
    r"""$U=x^4-6x^2+tx+\tfrac12y^2$ of a point (x, y); at t = 1 the left well is the deeper one.

    Args:
        tilt: t.
        temperature: $k_BT>0$.

    Raises:
        TypeError: If an argument is no number.
        ConfigError: If the temperature is not positive.

    References:
        Of Boltzmann generators: arXiv:1812.01729.
    """

    space: AbstractFieldSpace
    tilt: Scalar
    temperature: Scalar

    def __init__(self, *, tilt: float | Scalar = 1.0, temperature: float | Scalar = 1.0) -> None:
        self.space = EuclideanSpace((2,))
        self.tilt = finite("action.tilt", tilt)
        self.temperature = positive("action.temperature", temperature)

    @override
    def energy(self, x: Float[Array, "2"]) -> Scalar:
        return x[0] ** 4 - 6 * x[0] ** 2 + self.tilt * x[0] + 0.5 * x[1] ** 2


_MB_HEIGHT = np.array([-200.0, -100.0, -170.0, 15.0])
_MB_FORM = np.array([[-1.0, 0.0, -10.0], [-1.0, 0.0, -10.0], [-6.5, 11.0, -6.5], [0.7, 0.6, 0.7]])
_MB_CENTRE = np.array([[1.0, 0.0], [0.0, 0.5], [-0.5, 1.5], [-1.0, 1.0]])


class MuellerBrown(AbstractEnergy):
    r"""The potential of Müller and Brown, $U=s\sum_kA_k\exp[a_k\xi^2+b_k\xi\eta+c_k\eta^2]$, of a point (x, y).

    Three minima: at (−.56, 1.44) the deepest, (.62, .03), and (−.05, .47) between them.

    Args:
        scale: s > 0; .1 is that of Boltzmann generators.
        temperature: $k_BT>0$.

    Raises:
        TypeError: If an argument is no number.
        ConfigError: If it is not positive.

    References:
        K. Müller and L. D. Brown, Theoret. Chim. Acta 53, 75 (1979).
    """

    space: AbstractFieldSpace
    scale: Scalar
    temperature: Scalar

    def __init__(self, *, scale: float | Scalar = 0.1, temperature: float | Scalar = 1.0) -> None:
        self.space = EuclideanSpace((2,))
        self.scale = positive("action.scale", scale)
        self.temperature = positive("action.temperature", temperature)

    @override
    def energy(self, x: Float[Array, "2"]) -> Scalar:
        xi = x[None] - jnp.asarray(_MB_CENTRE)
        quadratic = jnp.stack([xi[:, 0] ** 2, xi[:, 0] * xi[:, 1], xi[:, 1] ** 2], axis=1)
        return self.scale * jnp.sum(
            jnp.asarray(_MB_HEIGHT) * jnp.exp(jnp.sum(jnp.asarray(_MB_FORM) * quadratic, axis=1))
        )


class Particles(AbstractEnergy):
    """Particles with an energy of one's own, a function of their positions in JAX.

    Args:
        function: From positions `x[particle, component]` to U.
        n: Particles, at least two.
        dim: Of the space they are in.
        temperature: $k_BT>0$.
        mean_free: Whether positions are those of the mean-free subspace: for energies that no common translation
            changes, whose integral over all positions is infinite.

    Raises:
        TypeError: If the energy is no function of positions, or a number is something else.
        ConfigError: If there are fewer than two particles or the temperature is not positive.
    """

    space: AbstractFieldSpace
    function: Callable[[Float[Array, "n d"]], Scalar] = eqx.field(static=True)
    temperature: Scalar

    def __init__(
        self,
        function: Callable[[Float[Array, "n d"]], Scalar],
        *,
        n: int,
        dim: int,
        temperature: float | Scalar = 1.0,
        mean_free: bool = True,
    ) -> None:
        require_function("energy", function, "a function of positions (n, dim) in JAX")
        self.space = _particles(n, dim, mean_free=mean_free)
        self.function = function
        self.temperature = positive("action.temperature", temperature)
        found = eqx.filter_eval_shape(function, jnp.zeros(self.space.shape))
        if getattr(found, "shape", None) != ():
            raise TypeError(
                f"energy: gives {shown(found)} for positions of shape {self.space.shape}; allowed: one number"
            )

    @override
    def energy(self, x: Float[Array, "n d"]) -> Scalar:
        return self.function(x)


class DoubleWellPairs(AbstractEnergy):
    r"""$U=\sum_{i<j}[a(d_{ij}-d_0)^4+b(d_{ij}-d_0)^2+c(d_{ij}-d_0)]$; DW4 at n = 4 in two dimensions.

    Args:
        n: Particles, at least two.
        dim: Of the space they are in.
        quartic: a > 0.
        quadratic: b.
        linear: c.
        offset: $d_0$.
        temperature: $k_BT>0$.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If there are fewer than two particles, or a or the temperature is not positive.

    References:
        arXiv:2006.02425, with every pair counted once.
    """

    space: AbstractFieldSpace
    quartic: Scalar
    quadratic: Scalar
    linear: Scalar
    offset: Scalar
    temperature: Scalar

    def __init__(
        self,
        n: int = 4,
        dim: int = 2,
        *,
        quartic: float | Scalar = 0.9,
        quadratic: float | Scalar = -4.0,
        linear: float | Scalar = 0.0,
        offset: float | Scalar = 4.0,
        temperature: float | Scalar = 1.0,
    ) -> None:
        self.space = _particles(n, dim, mean_free=True)
        self.quartic = positive("action.quartic", quartic)
        self.quadratic = finite("action.quadratic", quadratic)
        self.linear = finite("action.linear", linear)
        self.offset = finite("action.offset", offset)
        self.temperature = positive("action.temperature", temperature)

    def pair(self, distance: Float[Array, "*p"]) -> Float[Array, "*p"]:
        """The energy of two particles."""
        u = distance - self.offset
        return self.quartic * u**4 + self.quadratic * u**2 + self.linear * u

    @override
    def energy(self, x: Float[Array, "n d"]) -> Scalar:
        return jnp.sum(self.pair(pair_distances(x)))


class LennardJones(AbstractEnergy):
    r"""$U=\varepsilon\sum_{i<j}[(r_m/d_{ij})^{12}-2(r_m/d_{ij})^6]+\tfrac k2\sum_i|x_i-\bar x|^2$.

    Every pair is counted once, so that a pair at its minimum has −ε. Codes that count pairs twice have 2ε.

    Args:
        n: Particles, at least two.
        dim: Of the space they are in.
        epsilon: ε > 0.
        radius: $r_m>0$, the distance of the minimum.
        oscillator: k > 0, without which there is no normalised density.
        temperature: $k_BT>0$.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If there are fewer than two particles or a number is out of range.

    References:
        LJ13 of arXiv:2006.02425.
    """

    space: AbstractFieldSpace
    epsilon: Scalar
    radius: Scalar
    oscillator: Scalar
    temperature: Scalar

    def __init__(
        self,
        n: int = 13,
        dim: int = 3,
        *,
        epsilon: float | Scalar = 1.0,
        radius: float | Scalar = 1.0,
        oscillator: float | Scalar = 1.0,
        temperature: float | Scalar = 1.0,
    ) -> None:
        self.space = _particles(n, dim, mean_free=True)
        self.epsilon = positive("action.epsilon", epsilon)
        self.radius = positive("action.radius", radius)
        self.oscillator = positive("action.oscillator", oscillator)
        self.temperature = positive("action.temperature", temperature)

    def pair(self, distance: Float[Array, "*p"]) -> Float[Array, "*p"]:
        """The energy of two particles."""
        return self._pair_of_square(distance**2)

    @override
    def energy(self, x: Float[Array, "n d"]) -> Scalar:
        centred = x - jnp.mean(x, axis=0, keepdims=True)
        return jnp.sum(self._pair_of_square(square_distances(x))) + 0.5 * self.oscillator * jnp.sum(centred**2)

    def _pair_of_square(self, square: Float[Array, "*p"]) -> Float[Array, "*p"]:
        s = jnp.maximum(square / self.radius**2, NEAREST**2) ** -3
        return self.epsilon * s * (s - 2)


def _particles(n: int, dim: int, *, mean_free: bool) -> EuclideanSpace:
    return EuclideanSpace((count("n", n, least=2), count("dim", dim)), mean_free=mean_free)
