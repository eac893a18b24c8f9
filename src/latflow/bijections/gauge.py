r"""Gauge-equivariant bijections of U(1) links in two dimensions.

A coupling moves the links of one direction on every fourth line. Each of them belongs to one active plaquette, whose
angle is changed by a Möbius map of the circle; the link turns by the change of the angle. The map depends on plaquettes
and loops without an active link, so it is gauge invariant, its Jacobian is diagonal, and its inverse has the same form.
"""

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.errors import ConfigError
from latflow.groups.base import wrap
from latflow.lattice import Lattice

PERIOD = 4
"""Distance of active lines: between them lie the plaquettes that they change and two rows that they leave unchanged."""

Angles = Float[Array, "mu *sites"]
_Complex = tuple[Float[Array, "*sites"], Float[Array, "*sites"]]

_FROZEN = tuple(itertools.product((-1, 0, 1), (1, 2)))
"""Displacements, along the links and across, from an active plaquette to those that are read."""


class PlaquetteCoupling(AbstractBijection):
    r"""A learned Möbius map of every active plaquette of U(1) links, $U_P\to(U_P+a)/(1+\bar aU_P)$ with $|a|<1$.

    The number $a=A/\sqrt{1+|A|^2}$ points in the direction in which the map concentrates plaquettes. The linear form
    $A=w_0+w_1V+\sum_dw_dU_{P+d}$ reads the 2×1 loop V of the active plaquette and its neighbour across the active link,
    which does not contain that link, and six plaquettes of the two frozen rows. Weights are real, so the map commutes
    with charge conjugation. Uniform plaquettes become those of a wrapped Cauchy distribution of mean a.

    Args:
        weights: $w_0$, $w_1$ and the six $w_d$; zero is the identity.
        lattice: Two directions; the extent across the active links is a multiple of 4.
        mu: Direction of the active links.
        offset: Their coordinate in the other direction, modulo 4.

    Raises:
        ConfigError: If the lattice has not two directions, or its extent does not fit.

    References:
        The pattern of lines: arXiv:2003.06413, section III. Möbius maps of the circle: arXiv:2002.02428.
    """

    weights: Float[Array, " n_weights"]
    lattice: Lattice = eqx.field(static=True)
    mu: int = eqx.field(static=True)
    offset: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        require_plane(self.lattice)
        self.lattice.stripe(mu=1 - self.mu, period=PERIOD, offset=self.offset)  # refuses extents

    @classmethod
    def untrained(cls, lattice: Lattice, *, mu: int, offset: int) -> "PlaquetteCoupling":
        """The identity, as the start of a training; its gradient does not vanish."""
        return cls(jnp.zeros(2 + len(_FROZEN)), lattice, mu, offset)

    @property
    def active(self) -> Bool[np.ndarray, "*sites"]:
        """Where the links of direction `mu` move."""
        return self.lattice.stripe(mu=1 - self.mu, period=PERIOD, offset=self.offset)

    @override
    def forward_and_log_det(self, x: Angles) -> tuple[Angles, Scalar]:
        return self._moved(x, direction=1.0)

    @override
    def inverse_and_log_det(self, y: Angles) -> tuple[Angles, Scalar]:
        return self._moved(y, direction=-1.0)

    def _moved(self, theta: Angles, *, direction: float) -> tuple[Angles, Scalar]:
        angle = plaquette_angles(theta, mu=self.mu)
        real, imag = self._pull(angle)
        length = jnp.sqrt(1 + real**2 + imag**2)
        shift, log_slope = _moebius(angle, direction * real / length, direction * imag / length)
        links = jnp.where(self.active, wrap(theta[self.mu] + shift), theta[self.mu])
        return theta.at[self.mu].set(links), jnp.sum(jnp.where(self.active, log_slope, 0.0))

    def _pull(self, angle: Float[Array, "*sites"]) -> _Complex:
        """A at every site; only the values at active plaquettes are used."""
        nu = 1 - self.mu
        loops = [jnp.zeros_like(angle), angle + jnp.roll(angle, 1, axis=nu)]
        loops += [jnp.roll(angle, (-along, -across), axis=(self.mu, nu)) for along, across in _FROZEN]
        stacked = jnp.stack(loops)
        real, imag = (jnp.tensordot(self.weights, part, 1) for part in (jnp.cos(stacked), jnp.sin(stacked)))
        return real, imag


def plaquette_angles(theta: Angles, *, mu: int) -> Float[Array, "*sites"]:
    r"""Angles of all plaquettes, $\theta_\mu(x)+\theta_\nu(x+\hat\mu)-\theta_\mu(x+\hat\nu)-\theta_\nu(x)$; unwrapped.

    The other direction is ν, so that the link of direction μ at x counts positively.
    """
    nu = 1 - mu
    return theta[mu] + jnp.roll(theta[nu], -1, axis=mu) - jnp.roll(theta[mu], -1, axis=nu) - theta[nu]


def require_plane(lattice: Lattice) -> None:
    """Refuse lattices of other dimensions than two.

    Raises:
        ConfigError: If the lattice has not two directions.
    """
    if lattice.ndim != 2:
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: two directions for plaquette couplings"])


def _moebius(
    angle: Float[Array, "*sites"], real: Float[Array, "*sites"], imag: Float[Array, "*sites"]
) -> tuple[Float[Array, "*sites"], Float[Array, "*sites"]]:
    r"""By how much $z\to(z+a)/(1+\bar az)$ turns $z=e^{i\theta}$, and the logarithm of its slope.

    With $u=1+a\bar z$ the image is $zu/\bar u$, so the angle turns by 2 arg u, and Re u > 0: no branch is met. The
    slope is $(1-|a|^2)/|u|^2$. The inverse has −a for a.
    """
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    along = 1 + real * cosine + imag * sine
    across = imag * cosine - real * sine
    log_slope = jnp.log1p(-(real**2 + imag**2)) - jnp.log(along**2 + across**2)
    return 2 * jnp.arctan2(across, along), log_slope
