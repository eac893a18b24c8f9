r"""Exact results for scalar theories, against which samplers are tested.

The free field is solved in momentum space; a ring of φ⁴ sites by its transfer matrix, which covers every
one-dimensional lattice and the 2×2 one; a single site by quadrature. Everything except the exact draws is computed by
numpy in float64. All results refer to the house normalisation with Lebesgue measure.

References:
    Trapezoidal sums of analytic, rapidly decaying integrands converge exponentially: Trefethen & Weideman (2014).
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.arguments import number, require_type
from latflow.errors import UsageError
from latflow.fourier import complex_momentum_squared
from latflow.lattice import Lattice
from latflow.randomness import pinned

_POINTS = 401  # nodes of every trapezoidal sum; half as many already give 12 digits
_TAIL = 120.0  # the grids end where the weight has fallen by e^-120


class DivergentWeightError(UsageError):
    """The weight exp(−S) has no finite integral."""


def momentum_propagator(lattice: Lattice, *, mass_squared: float) -> Float[np.ndarray, "*sites"]:
    r"""$\langle\tilde\phi_k\tilde\phi_{-k}\rangle/V = 1/[2(\hat k^2+m^2)]$ in the order of `numpy.fft.fftn`.

    Raises:
        DivergentWeightError: If `mass_squared` is not positive: the integral over the zero mode then diverges.
    """
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    number("mass_squared", mass_squared)
    if not mass_squared > 0:
        raise DivergentWeightError("free field: mass_squared", value=str(mass_squared), allowed="> 0")
    return 1 / (2 * (complex_momentum_squared(lattice) + mass_squared))


def free_propagator(lattice: Lattice, *, mass_squared: float) -> Float[np.ndarray, "*sites"]:
    r"""$\langle\phi_0\phi_x\rangle$ of the free field at every site x; at the origin $\langle\phi^2\rangle$."""
    return np.fft.ifftn(momentum_propagator(lattice, mass_squared=mass_squared)).real


def free_phi_squared(lattice: Lattice, *, mass_squared: float) -> float:
    r"""$\langle\phi_x^2\rangle$ of the free field.

    Args:
        lattice: Periodic lattice.
        mass_squared: m² in lattice units, positive.

    >>> round(free_phi_squared(Lattice((8, 8)), mass_squared=1.0), 8)
    0.127087
    """
    return float(np.mean(momentum_propagator(lattice, mass_squared=mass_squared)))


def free_log_z(lattice: Lattice, *, mass_squared: float) -> float:
    r"""$\log Z=\tfrac12\sum_k\log[\pi/(\hat k^2+m^2)]$ with Lebesgue measure.

    Args:
        lattice: Periodic lattice.
        mass_squared: m² in lattice units, positive.

    >>> round(free_log_z(Lattice((8, 8)), mass_squared=1.0), 8)
    -11.62288526
    """
    return float(0.5 * np.sum(np.log(2 * np.pi * momentum_propagator(lattice, mass_squared=mass_squared))))


def free_susceptibility(*, mass_squared: float) -> float:
    r"""$\chi_2=\sum_x\langle\phi_0\phi_x\rangle=1/(2m^2)$ of the free field, on every lattice."""
    return 1 / (2 * mass_squared)


def free_pole_mass(*, mass_squared: float) -> float:
    r"""$m_p$ with $2(\cosh m_p-1)=m^2$: the effective mass of the zero-momentum correlator at every distance."""
    return float(np.arccosh(1 + mass_squared / 2))


def draw_free_field(key: PRNGKey, lattice: Lattice, *, mass_squared: float) -> Float[Array, "*sites"]:
    r"""One exact, independent configuration of the free field.

    White noise convolved with the square root of the propagator; the kernel is real and even, so the field is real.
    """
    root = jnp.sqrt(momentum_propagator(lattice, mass_squared=mass_squared))
    noise = jax.random.normal(pinned(key), lattice.shape)
    return jnp.fft.ifftn(jnp.fft.fftn(noise) * root).real


@dataclasses.dataclass(frozen=True)
class SiteMoments:
    r"""One real variable with weight $e^{-ax^2-bx^4}$.

    Attributes:
        log_z: $\log\int e^{-ax^2-bx^4}dx$.
        phi_squared: $\langle x^2\rangle$.
        phi_fourth: $\langle x^4\rangle$.
    """

    log_z: float
    phi_squared: float
    phi_fourth: float


def one_site(*, quadratic: float, quartic: float) -> SiteMoments:
    """Moments of exp(−quadratic·x² − quartic·x⁴) by quadrature, to rounding.

    A φ⁴ lattice with a single site has `quadratic` = m² and `quartic` = λ: its hopping terms cancel.

    >>> round(one_site(quadratic=0.0, quartic=8.0).phi_squared, 8)
    0.1194972
    """
    x = _grid(quadratic, quartic)
    exponent = -quadratic * x**2 - quartic * x**4
    weight = np.exp(exponent - exponent.max())
    total = weight.sum()
    log_z = float(np.log(total * (x[1] - x[0])) + exponent.max())
    return SiteMoments(log_z, float(weight @ x**2 / total), float(weight @ x**4 / total))


@dataclasses.dataclass(frozen=True)
class RingMoments:
    r"""A closed ring of sites.

    Attributes:
        log_z: Logarithm of the partition function.
        two_point: $\langle\phi_0\phi_r\rangle$ for r = 0 … n−1 steps along the ring.
        means: Further averages over one site, by name.
    """

    log_z: float
    two_point: tuple[float, ...]
    means: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def phi_squared(self) -> float:
        r"""$\langle\phi_x^2\rangle$."""
        return self.two_point[0]

    @property
    def neighbour(self) -> float:
        r"""$\langle\phi_x\phi_{x+\hat\mu}\rangle$."""
        return self.two_point[1]

    @property
    def diagonal(self) -> float:
        """Correlation of opposite corners of the 2×2 lattice: two steps along its ring."""
        return self.two_point[2]

    @property
    def susceptibility(self) -> float:
        r"""$\chi_2=\sum_x\langle\phi_0\phi_x\rangle$."""
        return float(np.sum(self.two_point))


def phi_four_chain(extent: int, *, mass_squared: float, coupling: float) -> RingMoments:
    """φ⁴ (or, at zero coupling, the free field) on the periodic one-dimensional lattice of `extent` ≥ 2 sites."""
    return _ring(extent, quadratic=2 + mass_squared, quartic=coupling, bond=2.0)


def phi_four_2x2(*, mass_squared: float, coupling: float) -> RingMoments:
    """φ⁴ on the periodic 2×2 lattice, exactly.

    Both neighbours of a site in one direction are the same site, so the four sites form a ring whose bonds count twice.

    >>> round(phi_four_2x2(mass_squared=-4.0, coupling=8.0).log_z, 8)
    0.91443398
    """
    return _ring(4, quadratic=4 + mass_squared, quartic=coupling, bond=4.0)


def _ring(n: int, *, quadratic: float, quartic: float, bond: float) -> RingMoments:
    """Moments of exp(−Σ[quadratic·x_i² + quartic·x_i⁴ − bond·x_i x_{i+1}]) on a ring of `n` sites."""
    x = _grid(quadratic - bond, quartic)
    return ring(n, x, quadratic * x**2 + quartic * x**4, bond=bond)


def ring(
    n: int,
    x: Float[np.ndarray, " nodes"],
    site: Float[np.ndarray, " nodes"],
    *,
    bond: float,
    observables: Mapping[str, Float[np.ndarray, " nodes"]] | None = None,
) -> RingMoments:
    """Moments of exp(−Σ[V(x_i) − bond·x_i x_{i+1}]) on a ring of `n` sites.

    The transfer matrix T(x, y) is symmetric; with its eigenpairs (λ_i, v_i), Z = Σλ_i^n,
    ⟨x_0 x_r⟩ = Σ_ij λ_i^r λ_j^{n−r} (v_i x v_j)²/Z and ⟨f(x)⟩ = Σ_i λ_i^n (v_i f v_i)/Z.

    Args:
        n: Sites.
        x: Equidistant nodes that hold all of the weight and resolve it.
        site: V at the nodes.
        bond: Factor of the product of neighbours.
        observables: Values of functions of one site at the nodes, by name.
    """
    exponent = bond * np.outer(x, x) - (site[:, None] + site[None, :]) / 2
    values, vectors = np.linalg.eigh(np.exp(exponent - exponent.max()))
    largest = values[-1]
    values = values / largest
    z = np.sum(values**n)
    elements = (vectors.T @ (x[:, None] * vectors)) ** 2
    two_point = tuple(float(values**r @ elements @ values ** (n - r) / z) for r in range(n))
    per_site = np.log(largest * (x[1] - x[0])) + exponent.max()
    density = vectors**2 @ values**n / z
    means = {name: float(density @ f) for name, f in (observables or {}).items()}
    return RingMoments(float(np.log(z) + n * per_site), two_point, means)


def _grid(quadratic: float, quartic: float) -> Float[np.ndarray, " n"]:
    """Equidistant nodes that hold all of exp(−quadratic·x² − quartic·x⁴) up to e^−120 of its maximum."""
    if quartic < 0 or (quartic == 0 and quadratic <= 0):
        value = f"quadratic={quadratic}, quartic={quartic}"
        raise DivergentWeightError("weight exp(-quadratic x^2 - quartic x^4)", value=value, allowed="a confining one")
    if quartic == 0:
        half = np.sqrt(_TAIL / quadratic)
    else:
        # v = q s + b s^2 with s = x^2; from its minimum (or 0) up by _TAIL
        minimum = -(min(quadratic, 0.0) ** 2) / (4 * quartic)
        half = np.sqrt((-quadratic + np.sqrt(quadratic**2 + 4 * quartic * (_TAIL + minimum))) / (2 * quartic))
    return np.linspace(-half, half, _POINTS)
