"""Densities one can draw from: the priors of flows.

A log-density refers to the reference measure of its space.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.arguments import positive, require_type
from latflow.display import call
from latflow.errors import ConfigError
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import AbstractFieldSpace, ScalarSpace
from latflow.fourier import (
    from_momentum,
    momentum_orbits,
    momentum_squared,
    orbit_momentum_squared,
    to_momentum,
)
from latflow.lattice import Lattice
from latflow.randomness import pinned


class AbstractDistribution(eqx.Module):
    """A normalised density with exact independent draws."""

    space: eqx.AbstractVar[AbstractFieldSpace]

    def __repr__(self) -> str:
        return call(type(self).__name__, getattr(getattr(self, "space", None), "summary", ""))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one configuration."""
        return self.space.shape

    @abc.abstractmethod
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Configuration, Scalar]:
        """One draw and its log-density."""

    @abc.abstractmethod
    def log_prob(self, x: Configuration) -> Scalar:
        """Log-density at `x`."""

    @property
    def n_uniforms(self) -> int:
        """How many uniform numbers a draw can be made of, see `of_uniforms`; 0 if this density has no such map."""
        return 0

    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Configuration, Scalar]:
        """The draw made of numbers in (0, 1), and its log-density; the map for quasi-random points.

        If `u` is uniform in the cube, the draw has this density. The numbers that move the draw most come first: the
        first dimensions of quasi-random points are the most even ones.

        Raises:
            ConfigError: If the density has no such map.
        """
        found = type(self).__name__
        raise ConfigError(
            [f"quasi-random points: {found} is no map of uniform numbers; allowed: a flow from N(0, 1) or Haar links"]
        )

    @property
    def has_modes(self) -> bool:
        """Whether draws are made of normal modes, see `modes`."""
        return False

    def modes(self, key: PRNGKey) -> Float[Array, "*momenta"]:
        r"""Normal amplitudes of the momentum modes that the draw of a key is made of, independent and $N(0,1)$.

        A function of the key alone: it costs no pass through a flow, so nothing of it is stored with draws.

        Raises:
            ConfigError: If draws are not made of modes of a scalar field.
        """
        raise ConfigError([f"modes: {type(self).__name__} is not made of them; allowed: a flow from a normal prior"])

    def modes_of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*momenta"]:
        """The same of the draw that `of_uniforms` makes.

        Raises:
            ConfigError: If draws are not made of modes of a scalar field.
        """
        raise ConfigError([f"modes: {type(self).__name__} is not made of them; allowed: a flow from a normal prior"])


class Normal(AbstractDistribution):
    """Independent standard normal numbers, N(0, 1) on every site.

    Args:
        shape: Sites along each direction.
    """

    space: ScalarSpace  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.space = ScalarSpace(shape)  # pyright: ignore[reportIncompatibleVariableOverride]

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        x = jax.random.normal(pinned(key), self.shape)
        return x, self.log_prob(x)

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        return _standard_normal(x)

    @property
    @override
    def n_uniforms(self) -> int:
        return math.prod(self.shape)

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Float[Array, "*shape"], Scalar]:
        # All directions are alike under this density. Flows move long waves most, so these come first.
        lattice = Lattice(self.shape)
        x = from_momentum(self.modes_of_uniforms(u), lattice)
        return x, self.log_prob(x)

    @property
    @override
    def has_modes(self) -> bool:
        return True

    @override
    def modes(self, key: PRNGKey) -> Float[Array, "*momenta"]:
        return to_momentum(jax.random.normal(pinned(key), self.shape), Lattice(self.shape))

    @override
    def modes_of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*momenta"]:
        return _normal_modes(u, momentum_squared(Lattice(self.shape)))


class FreeFieldPrior(AbstractDistribution):
    """A Gaussian field that is diagonal in momentum space, with one learnable width per orbit of momenta.

    Args:
        log_widths: Logarithm of the standard deviation of every mode, by `latflow.fourier.momentum_orbits`.
        lattice: Any extents.
    """

    log_widths: Float[Array, " n_orbits"]
    lattice: Lattice = eqx.field(static=True)

    def __init__(self, log_widths: Float[Array, " n_orbits"], lattice: Lattice) -> None:
        require_type("lattice", lattice, Lattice, "Lattice(shape)")
        self.log_widths = log_widths
        self.lattice = lattice

    @property
    @override
    def space(self) -> ScalarSpace:  # pyright: ignore[reportIncompatibleVariableOverride]
        return ScalarSpace(self.lattice.shape)

    @classmethod
    def of_mass(cls, lattice: Lattice, *, mass_squared: float) -> "FreeFieldPrior":
        r"""The free field: variances $1/[2(\hat k^2+m^2)]$, the propagator of the house normalisation.

        Args:
            lattice: Any extents.
            mass_squared: $m^2>0$ in lattice units.
        """
        return cls(jnp.asarray(free_log_widths(lattice, mass_squared=mass_squared)), lattice)

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        # Every momentum mode has the same noise as in the standard normal field of this key.
        modes, widths = self.modes(key), self._log_widths()
        x = from_momentum(jnp.exp(widths) * modes, self.lattice)
        return x, _standard_normal(modes) - jnp.sum(widths)

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        widths = self._log_widths()
        return _standard_normal(jnp.exp(-widths) * to_momentum(x, self.lattice)) - jnp.sum(widths)

    @property
    @override
    def n_uniforms(self) -> int:
        return self.lattice.volume

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Float[Array, "*shape"], Scalar]:
        modes, widths = self.modes_of_uniforms(u), self._log_widths()
        x = from_momentum(jnp.exp(widths) * modes, self.lattice)
        return x, _standard_normal(modes) - jnp.sum(widths)

    @property
    @override
    def has_modes(self) -> bool:
        return True

    @override
    def modes(self, key: PRNGKey) -> Float[Array, "*momenta"]:
        return to_momentum(jax.random.normal(pinned(key), self.shape), self.lattice)

    @override
    def modes_of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Float[Array, "*momenta"]:
        return _normal_modes(u, momentum_squared(self.lattice))

    def _log_widths(self) -> Float[Array, "*momenta"]:
        return self.log_widths[momentum_orbits(self.lattice)]


class IsotropicNormal(AbstractDistribution):
    r"""Points or particles about zero with one learnable width s, $N(0,s^2)$ in every direction of their space.

    Args:
        space: Mean-free or not.
        log_width: Logarithm of s.
    """

    space: EuclideanSpace  # pyright: ignore[reportIncompatibleVariableOverride]
    log_width: Scalar

    def __check_init__(self) -> None:
        require_type("flow.prior", self.space, EuclideanSpace, "normal on an EuclideanSpace")

    @classmethod
    def of_width(cls, space: EuclideanSpace, width: float | Scalar = 1.0) -> "IsotropicNormal":
        """That of a given s > 0."""
        return cls(space, jnp.log(positive("flow.width", width)))

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        p = jax.random.normal(pinned(key), self.space.tangent_shape)
        return self._scaled(p), self._log_prob(p)

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        return self._log_prob(self.space.coordinates(x, jnp.exp(-self.log_width) * x))

    @property
    @override
    def n_uniforms(self) -> int:
        return self.space.dof

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Float[Array, "*shape"], Scalar]:
        p = jax.scipy.special.ndtri(u).reshape(self.space.tangent_shape)
        return self._scaled(p), self._log_prob(p)

    def _scaled(self, p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return self.space.displace(jnp.zeros(self.space.shape), jnp.exp(self.log_width) * p)

    def _log_prob(self, p: Float[Array, "*tangent"]) -> Scalar:
        return _standard_normal(p) - self.space.dof * self.log_width


class HaarPrior(AbstractDistribution):
    """The uniform density of a compact space: Haar links of a gauge field. Its logarithm is zero.

    Args:
        space: Compact, with a normalised reference measure.

    Raises:
        TypeError: If it is no space.
        ConfigError: On a space without a uniform density.
    """

    space: AbstractFieldSpace

    def __check_init__(self) -> None:
        require_type("flow.prior", self.space, AbstractFieldSpace, "uniform on a space such as GaugeSpace")
        if not self.space.is_compact:
            found = type(self.space).__name__
            raise ConfigError([f"flow.prior: uniform on {found}; allowed: a compact space, such as links of a group"])

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Configuration, Scalar]:
        x = self.space.random(key)
        return x, self.log_prob(x)

    @override
    def log_prob(self, x: Configuration) -> Scalar:
        return jnp.zeros(())

    @property
    @override
    def n_uniforms(self) -> int:
        return self.space.n_uniforms

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Configuration, Scalar]:
        x = self.space.of_uniforms(u)
        return x, self.log_prob(x)


def _normal_modes(u: Float[Array, " n"], sizes: Float[np.ndarray, "*momenta"]) -> Float[Array, "*momenta"]:
    """Standard normal amplitudes of momentum modes from uniform numbers, the first for the longest waves.

    Args:
        u: In (0, 1).
        sizes: Squared momenta of the modes.
    """
    rank = np.empty(sizes.size, dtype=int)
    rank[np.argsort(sizes.ravel(), kind="stable")] = np.arange(sizes.size)
    return jax.scipy.special.ndtri(u)[rank].reshape(sizes.shape)


def free_log_widths(lattice: Lattice, *, mass_squared: float) -> Float[np.ndarray, " n_orbits"]:
    r"""$-\tfrac12\ln[2(\hat k^2+m^2)]$ of every orbit of momenta."""
    return -0.5 * np.log(2 * (orbit_momentum_squared(lattice) + mass_squared))


def _standard_normal(x: Float[Array, "*shape"]) -> Scalar:
    return -0.5 * jnp.sum(x**2 + jnp.log(2 * jnp.pi))
