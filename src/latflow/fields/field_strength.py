r"""The field strength by clovers, and what is made of it: energy density and topological charge.

$F_{\mu\nu}=F^a_{\mu\nu}T_a$ is the projection of the average of the four plaquettes around a site on the algebra,
traceless and Hermitian; $U\approx e^{iF}$ in lattice units. Densities are per site, energies as in
$E=\tfrac14F^a_{\mu\nu}F^a_{\mu\nu}$ summed over μ and ν.

References:
    M. Lüscher, JHEP 08 (2010) 071, arXiv:1006.4518.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Field, Links, Matrices, Scalar
from latflow.batching import trailing
from latflow.errors import ConfigError
from latflow.fields.link_loops import around
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import neighbour, plaquette
from latflow.groups.base import AbstractGroup, wrap
from latflow.groups.matrices import multiply, trace


def clover(space: GaugeSpace, x: Field, *, mu: int, nu: int) -> Float[Array, "..."]:
    r"""$F^a_{\mu\nu}(x)$ at every site: `[generator, *sites]`, without the first axis for U(1).

    Args:
        space: Where the links live.
        x: One configuration.
        mu: First direction.
        nu: Second direction, another one.
    """
    return _clover(space.links(x), mu=mu, nu=nu, group=space.group)


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


def charge(space: GaugeSpace, x: Field) -> Scalar:
    r"""Topological charge.

    In four dimensions by the clover, $Q=\frac1{64\pi^2}\sum_x\epsilon_{\mu\nu\rho\sigma}F^a_{\mu\nu}F^a_{\rho\sigma}$,
    near an integer only on smooth fields. For U(1) in two dimensions $\frac1{2\pi}\sum\mathrm{wrap}(\theta_P)$, an
    integer always.

    Args:
        space: Where the links live: SU(N) in four dimensions, or U(1) in two.
        x: One configuration.

    Raises:
        ConfigError: For anything else.
    """
    if space.ndim == 2 and not space.group.element_shape:
        theta = x[0] + jnp.roll(x[1], -1, axis=0) - jnp.roll(x[0], -1, axis=1) - x[1]
        return jnp.sum(wrap(theta)) / (2 * jnp.pi)
    if space.ndim != 4 or not space.group.element_shape:
        raise ConfigError(["topological charge: allowed: SU(N) in four dimensions, U(1) in two"])
    pairs = (((0, 1), (2, 3), 1), ((0, 2), (1, 3), -1), ((0, 3), (1, 2), 1))
    terms = [
        sign * jnp.sum(clover(space, x, mu=a[0], nu=a[1]) * clover(space, x, mu=b[0], nu=b[1])) for a, b, sign in pairs
    ]
    return jnp.sum(jnp.stack(terms)) / (8 * jnp.pi**2)


def has_charge(space: GaugeSpace) -> bool:
    """Whether `charge` is defined."""
    return space.ndim == (4 if space.group.element_shape else 2)


@trailing
def _clover(links: Links, *, mu: int, nu: int, group: AbstractGroup) -> Float[Array, "..."]:
    return group.coefficients(_leaves(links[mu], links[nu], mu, nu)) / 4


def _leaves(u: Matrices, v: Matrices, mu: int, nu: int) -> Matrices:
    """The sum of the four plaquettes that begin at a site, all walked the same way round."""
    one, other, loop = around(u, v, mu, nu)
    # of the plaquette whose corner is y, the same loop beginning at y + mu, at y + nu and at y + mu + nu
    from_mu = multiply(neighbour(v, mu), multiply(other, u, left_adjoint=True))
    from_nu = multiply(multiply(v, one, left_adjoint=True), neighbour(u, nu), right_adjoint=True)
    from_both = multiply(other, one, left_adjoint=True)
    return (
        loop + neighbour(from_mu, mu, -1) + neighbour(from_nu, nu, -1) + neighbour(neighbour(from_both, mu, -1), nu, -1)
    )
