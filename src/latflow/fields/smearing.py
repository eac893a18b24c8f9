r"""Smeared links: every link mixed with the paths around it, for operators that see less of the cut-off.

APE smearing projects $(1-\alpha)U+\frac\alpha{2(n-1)}\sum\mathrm{staples}$ back on the group, for n smeared directions;
stout smearing multiplies by an exponential of the same staples, is differentiable everywhere, and is one Euler step of
the gradient flow. Both commute with gauge transformations. `spatial` leaves links in time as they are and looks at
planes of space alone, as the operators of a static potential or of a glueball want it.

References:
    APE, Phys. Lett. B 192 (1987) 163; C. Morningstar & M. Peardon, Phys. Rev. D 69 (2004) 054501,
    arXiv:hep-lat/0311018.
"""

import jax.numpy as jnp

from latflow._typing import Field
from latflow.batching import repeat
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import staples
from latflow.groups.matrices import adjoint, product


def ape(space: GaugeSpace, x: Field, *, alpha: float, n_steps: int = 1, spatial: bool = False) -> Field:
    r"""APE-smeared links.

    Args:
        space: Where the links live.
        x: One configuration.
        alpha: Weight of the staples, in [0, 1); 1/2 in space is common.
        n_steps: How often.
        spatial: Smear links in space with staples in space.

    Raises:
        ConfigError: If `alpha` is out of range, or if there is only one direction to smear.
    """
    if not 0 <= alpha < 1:
        raise ConfigError([f"smearing.alpha: {alpha}; allowed: at least 0 and less than 1"])
    directions = _directions(space, spatial=spatial)

    others = len(directions) - 1

    def step(x: Field) -> Field:
        links, out = space.links(x), list(x)
        for mu in directions:
            around = staples(links, mu=mu, others=directions)
            out[mu] = space.group.project((1 - alpha) * links[mu] + alpha / (2 * others) * adjoint(around))
        return jnp.stack(out)

    return repeat(lambda _, x: step(x), x, n=n_steps)


def stout(space: GaugeSpace, x: Field, *, rho: float, n_steps: int = 1, spatial: bool = False) -> Field:
    r"""Stout links $e^{iQ}U$ with the weight ρ for every staple.

    Args:
        space: Where the links live.
        x: One configuration.
        rho: Weight of every staple; 0.1 is common, and from some 0.15 on in four dimensions links become rougher.
        n_steps: How often.
        spatial: Smear links in space with staples in space.

    Raises:
        ConfigError: If there is only one direction to smear.
    """
    directions = _directions(space, spatial=spatial)

    def step(x: Field) -> Field:
        links, p = space.links(x), list(jnp.zeros(space.tangent_shape))
        for mu in directions:
            loops = product(links[mu], staples(links, mu=mu, others=directions))
            p[mu] = space.group.coefficients(loops)
        return space.move(x, -rho * jnp.stack(p))

    return repeat(lambda _, x: step(x), x, n=n_steps)


def _directions(space: GaugeSpace, *, spatial: bool) -> tuple[int, ...]:
    directions = tuple(range(space.ndim - 1 if spatial else space.ndim))
    if len(directions) < 2:
        raise ConfigError(["smearing: allowed: two or more directions of space"])
    return directions
