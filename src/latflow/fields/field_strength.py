r"""Clover field strength, energy density and topological charge.

$F_{\mu\nu}=F^a_{\mu\nu}T_a$ is the projection of the average of the four plaquettes around a site on the algebra,
traceless and Hermitian; $U\approx e^{iF}$ in lattice units. The improved field strength combines squares of 1, 2 and 3
links a side, $F=\tfrac32C_1-\tfrac3{20}C_2+\tfrac1{90}C_3$: $C_n$ is n² times the field strength with relative
corrections of order n² and n⁴, and the combination cancels both. Densities are per site, energies as in
$E=\tfrac14F^a_{\mu\nu}F^a_{\mu\nu}$ summed over μ and ν.

References:
    M. Lüscher, JHEP 08 (2010) 071, arXiv:1006.4518; S. O. Bilson-Thompson, D. B. Leinweber & A. G. Williams, Ann. Phys.
    304 (2003) 1, arXiv:hep-lat/0203008.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Field, Links, Matrices, Scalar
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import line, neighbour, plaquette, total
from latflow.groups.base import AbstractGroup, wrap
from latflow.groups.matrices import multiply, trace

PLAIN = (1.0,)
"""Weights of the squares of 1, 2, … links a side: plaquettes alone."""

IMPROVED = (3 / 2, -3 / 20, 1 / 90)
"""Weights that cancel the corrections of second and fourth order in the lattice spacing."""


def clover(space: GaugeSpace, x: Field, *, mu: int, nu: int, loops: tuple[float, ...] = PLAIN) -> Float[Array, "..."]:
    r"""$F^a_{\mu\nu}(x)$ at every site: `[generator, *sites]`, without the first axis for U(1).

    Args:
        space: Space of the links.
        x: One configuration.
        mu: First direction.
        nu: Second direction, different from `mu`.
        loops: `PLAIN` or `IMPROVED`; no loop may be larger than the lattice.
    """
    return _clover(space.links(x), mu=mu, nu=nu, group=space.group, loops=loops)


def clover_energy(space: GaugeSpace, x: Field) -> Scalar:
    """E per site from the clover."""
    d = space.ndim
    squares = [jnp.sum(clover(space, x, mu=mu, nu=nu) ** 2) for mu in range(d) for nu in range(mu + 1, d)]
    return jnp.sum(jnp.stack(squares)) / (2 * space.lattice.volume)


def plaquette_energy(space: GaugeSpace, x: Field) -> Scalar:
    r"""E per site from plaquettes, $2\sum_{\mu<\nu}\mathrm{Re\,tr}(1-P_{\mu\nu})$; $\sum(1-\cos\theta_P)$ for U(1)."""
    d, n, links = space.ndim, space.group.n, space.links(x)
    deficits = [
        jnp.mean(n - jnp.real(trace(plaquette(links, mu=mu, nu=nu)))) for mu in range(d) for nu in range(mu + 1, d)
    ]
    return jnp.sum(jnp.stack(deficits)) / space.group.trace_norm


def charge(space: GaugeSpace, x: Field, *, loops: tuple[float, ...] = PLAIN) -> Scalar:
    r"""Topological charge.

    In four dimensions by the clover, $Q=\frac1{64\pi^2}\sum_x\epsilon_{\mu\nu\rho\sigma}F^a_{\mu\nu}F^a_{\rho\sigma}$,
    close to an integer only on smooth fields. For U(1) in two dimensions $\frac1{2\pi}\sum\mathrm{wrap}(\theta_P)$,
    always an integer.

    Args:
        space: Space of the links: SU(N) in four dimensions, or U(1) in two.
        x: One configuration.
        loops: Weights of the clover, `PLAIN` or `IMPROVED`; unused in two dimensions.

    Raises:
        ConfigError: For another group or dimension.
    """
    if space.ndim == 2 and not space.group.element_shape:
        theta = x[0] + jnp.roll(x[1], -1, axis=0) - jnp.roll(x[0], -1, axis=1) - x[1]
        return jnp.sum(wrap(theta)) / (2 * jnp.pi)
    if space.ndim != 4 or not space.group.element_shape:
        raise ConfigError(["topological charge: allowed: SU(N) in four dimensions, U(1) in two"])
    pairs = (((0, 1), (2, 3), 1), ((0, 2), (1, 3), -1), ((0, 3), (1, 2), 1))

    def strength(plane: tuple[int, int]) -> Float[Array, "..."]:
        return clover(space, x, mu=plane[0], nu=plane[1], loops=loops)

    terms = [sign * jnp.sum(strength(a) * strength(b)) for a, b, sign in pairs]
    return jnp.sum(jnp.stack(terms)) / (8 * jnp.pi**2)


def has_charge(space: GaugeSpace) -> bool:
    """Whether `charge` is defined for the group and dimension."""
    return space.ndim == (4 if space.group.element_shape else 2)


@trailing
def _clover(links: Links, *, mu: int, nu: int, group: AbstractGroup, loops: tuple[float, ...]) -> Float[Array, "..."]:
    sides = enumerate(loops, start=1)
    leaves = total(
        weight * _leaves(line(links, mu=mu, steps=n), line(links, mu=nu, steps=n), mu, nu, n) for n, weight in sides
    )
    return group.coefficients(leaves) / 4


def _leaves(u: Matrices, v: Matrices, mu: int, nu: int, n: int) -> Matrices:
    """The sum of the four squares that begin at a site, all with the same orientation; u and v are n links long."""
    one, other = multiply(u, neighbour(v, mu, n)), multiply(v, neighbour(u, nu, n))
    loop = multiply(one, other, right_adjoint=True)
    # the same loop beginning at the other three corners of the square: along mu, along nu and along both
    from_mu = multiply(neighbour(v, mu, n), multiply(other, u, left_adjoint=True))
    from_nu = multiply(multiply(v, one, left_adjoint=True), neighbour(u, nu, n), right_adjoint=True)
    from_both = multiply(other, one, left_adjoint=True)
    far = neighbour(neighbour(from_both, mu, -n), nu, -n)
    return loop + neighbour(from_mu, mu, -n) + neighbour(from_nu, nu, -n) + far
