r"""Villain links of U(1) in two dimensions: a tractable prior with topological sectors, for large couplings.

Plaquettes have Villain's weight $w(\theta)=\sum_ke^{-\sigma^2k^2/2}e^{ik\theta}$, which is a sum of Gaussians over the
images $\theta+2\pi n$. On a torus of V plaquettes the sum of all of them is $2\pi Q$: the charge Q has the weight
$e^{-(2\pi Q)^2/(2V\sigma^2)}$, and given Q the plaquettes are Gaussian noise without its mean, about $2\pi Q/V$.

References:
    J. Villain, J. Phys. (Paris) 36 (1975) 581.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ive
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.arguments import choice, count, positive, require_type
from latflow.bijections.ode.on_links import ContinuousLinkFlow
from latflow.bijections.ode.plaquette_velocity import PlaquetteVelocity
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.distributions import AbstractDistribution
from latflow.fields.plaquette_angles import links_of_plaquettes, plaquette_angles, pure_gauge, require_plane_of_angles
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.fourier import from_momentum, momentum_squared
from latflow.groups.base import wrap
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.randomness import require_key, uniform

LARGEST_VARIANCE = 2 * math.pi
"""Of a plaquette. From here on the weight differs from 1 by less than a tenth: Haar links serve as well."""

_IMAGES = 4
"""On either side: the next one is e⁻⁶⁰ of the sum, or less."""

_WAVES = 4
"""Terms of the normaliser on either side, where they fall at least as fast."""

_HALF_A_STEP = 2.0**-53
"""Brings random numbers, multiples of twice this, into the open interval (0, 1)."""

_STRONG, _WEAK = 1e-8, 1e8
"""Couplings beyond which the leading term of the variance has errors of rounding."""

_DEVIATIONS = 9
"""Charges beyond so many standard deviations are not drawn; together they have a share of 10⁻¹⁸."""


class VillainPrior(AbstractDistribution):
    r"""Links whose plaquettes have Villain's weight, with Haar gauge and uniform Polyakov loops.

    The variance is a number of the model, but no gradient moves it: draws of a charge do not depend on it smoothly.

    Args:
        log_variance: $\ln\sigma^2$ of a plaquette; σ² above 2π is taken as 2π.
        space: Links of U(1) in two dimensions.

    Raises:
        TypeError: If the space is another one.
        ConfigError: If group or dimension are.
    """

    log_variance: Float[Array, ""]
    space: GaugeSpace  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, log_variance: Float[Array, ""], space: GaugeSpace) -> None:
        require_plane_of_angles("flow.prior", space)
        self.log_variance = log_variance
        self.space = space  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def of_beta(cls, space: GaugeSpace, beta: float, *, width: float = 1.0) -> "VillainPrior":
        r"""With the plaquette of Wilson's action in infinite volume: $e^{-\sigma^2/2}=I_1(\beta)/I_0(\beta)$.

        Args:
            space: Links of U(1) in two dimensions.
            beta: Coupling of Wilson's action.
            width: The variance is this multiple of the one that has its plaquette.

        Raises:
            TypeError: If an argument is of another type.
            ConfigError: If a number is not positive, or as in the constructor.
        """
        positive("beta", beta)
        positive("width", width)
        # of the numbers: what `positive` returns may be traced
        return cls(jnp.asarray(math.log(float(width)) + math.log(_variance(float(beta)))), space)

    @property
    def variance(self) -> Scalar:
        """σ² of a plaquette."""
        return jnp.minimum(jnp.exp(jax.lax.stop_gradient(self.log_variance)), LARGEST_VARIANCE)

    @override
    def sample_and_log_prob(self, key: PRNGKey) -> tuple[Float[Array, "*shape"], Scalar]:
        return self.of_uniforms(uniform(key, (self.n_uniforms,)) + _HALF_A_STEP)

    @override
    def log_prob(self, x: Float[Array, "*shape"]) -> Scalar:
        variance, volume = self.variance, self.space.lattice.volume
        plaquettes = log_villain(plaquette_angles(x), variance)
        return jnp.sum(plaquettes) - log_partition(volume * variance)

    @property
    @override
    def n_uniforms(self) -> int:
        return 2 * self.space.lattice.volume + 1

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> tuple[Float[Array, "*shape"], Scalar]:
        # The charge, long waves before short ones, the two lines around the torus, the gauge.
        n = self.space.lattice.volume - 1
        field = self._charge(u[0]) + self._noise(u[1 : 1 + n])
        lines, gauge = (jnp.pi * (1 - 2 * part) for part in (u[1 + n : 3 + n], u[3 + n :]))
        x = wrap(links_of_plaquettes(field, lines) + pure_gauge(jnp.pad(gauge, (1, 0)).reshape(field.shape)))
        # XLA would make the links again wherever a plaquette reads one
        x = jax.lax.optimization_barrier(x)
        return x, self.log_prob(x)

    def _charge(self, u: Scalar) -> Scalar:
        """2πQ/V of a charge drawn with its weight."""
        volume = self.space.lattice.volume
        most = 1 + math.ceil(_DEVIATIONS * math.sqrt(LARGEST_VARIANCE * volume) / (2 * math.pi))
        charges = np.arange(-most, most + 1)
        weights = jax.nn.softmax(-((2 * jnp.pi * charges) ** 2) / (2 * volume * self.variance))
        return 2 * jnp.pi * (jnp.sum(u > jnp.cumsum(weights)) - most) / volume

    def _noise(self, u: Float[Array, " n"]) -> Float[Array, "*sites"]:
        """Gaussian numbers without their mean, the first uniform numbers for the longest waves."""
        lattice = self.space.lattice
        sizes = momentum_squared(lattice).ravel()
        rank = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
        modes = jnp.pad(jax.scipy.special.ndtri(u), (1, 0))[rank].reshape(lattice.shape)
        return jnp.sqrt(self.variance) * from_momentum(modes, lattice)


def villain_flow(
    key: PRNGKey,
    lattice: Lattice,
    *,
    beta: float,
    n_harmonics: int = 6,
    n_powers: int = 3,
    n_times: int = 3,
    n_steps: int = 4,
    scheme: str = "rk4",
) -> Flow:
    """Villain links of U(1) in two dimensions, moved along functions of their plaquettes that keep the charge.

    For couplings at which sectors of topological charge are distinct. It starts as the identity; its weights are
    found by `LeastSquares`, from the density of the prior to that of Wilson's action.

    Args:
        key: Not used, for no weight is random; builders of flows take one.
        lattice: Two directions.
        beta: Coupling of Wilson's action whose plaquette the prior has.
        n_harmonics: Largest n of sin nθ that moves a plaquette.
        n_powers: Powers of the lattice Laplacian, from 0 on.
        n_times: Functions of the time basis.
        n_steps: Integration steps.
        scheme: Of the integrator, see `latflow.bijections.ode.runge_kutta`.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the scheme is unknown, a number out of range or the lattice not two-dimensional.
    """
    require_key(key)
    choice("flow.scheme", scheme, SCHEMES)
    n_harmonics, n_powers = count("n_harmonics", n_harmonics), count("n_powers", n_powers)
    n_times, n_steps = count("n_times", n_times), count("n_steps", n_steps)
    space = GaugeSpace(lattice, U1())
    prior = VillainPrior.of_beta(space, beta)
    velocity = PlaquetteVelocity.resting(space, n_times=n_times, n_harmonics=n_harmonics, n_powers=n_powers)
    return Flow(prior, ContinuousLinkFlow(velocity, space, n_steps, SCHEMES[scheme]))


def _variance(beta: float) -> float:
    """σ² of the prior at β, by its leading term where I₁ underflows or I₁/I₀ is rounded to 1."""
    if beta < _STRONG:
        return 2 * (math.log(2) - math.log(beta))
    return 1 / beta if beta > _WEAK else -2 * math.log(ive(1, beta) / ive(0, beta))


def at_coupling(flow: Flow, beta: float) -> Flow:
    """The same flow from the Villain prior of another coupling.

    Raises:
        TypeError: If it does not begin with one.
    """
    prior: Any = flow.prior
    require_type("flow.prior", prior, VillainPrior, "that of a villain flow")
    return Flow(VillainPrior.of_beta(prior.space, beta), flow.bijection)


def log_villain(angle: Float[Array, "*sites"], variance: Scalar) -> Float[Array, "*sites"]:
    r"""$\ln\sum_ke^{-\sigma^2k^2/2}\cos k\theta$ as a sum over images; its mean over the circle is 1.

    Args:
        angle: Within (−π, π].
        variance: σ², at most `LARGEST_VARIANCE`.
    """
    turns = np.arange(-_IMAGES, _IMAGES + 1).reshape(*(1,) * angle.ndim, -1)
    images = angle[..., None] + 2 * jnp.pi * turns
    gaussians = jax.scipy.special.logsumexp(-(images**2) / (2 * variance), axis=-1)
    return gaussians + 0.5 * jnp.log(2 * jnp.pi / variance)


def log_partition(total: Scalar) -> Scalar:
    r"""$\ln\sum_ke^{-sk^2/2}=\ln\sqrt{2\pi/s}\sum_Qe^{-(2\pi Q)^2/2s}$, log Z of the torus; one side falls fast.

    Args:
        total: s = Vσ².
    """
    squares = np.arange(-_WAVES, _WAVES + 1) ** 2
    waves = jax.scipy.special.logsumexp(-total * squares / 2)
    charges = jax.scipy.special.logsumexp(-2 * jnp.pi**2 * squares / total) + 0.5 * jnp.log(2 * jnp.pi / total)
    return jnp.where(total > 2 * jnp.pi, waves, charges)
