r"""Smeared links: every link is averaged with the paths around it, which reduces cut-off effects of operators.

APE smearing projects $(1-\alpha)U+\frac\alpha{2(n-1)}\sum\mathrm{staples}$ back on the group, for n smeared directions;
stout smearing multiplies by an exponential of the same staples, is differentiable everywhere, and is one Euler step of
the gradient flow. HYP smearing mixes links as APE does, but with staples that are themselves smeared in the directions
left over, so that a smeared link depends only on the hypercubes it belongs to. The projection is that of the group:
the unitary polar factor divided by a root of its determinant, not the element of largest Re tr that some codes take for
SU(3). All commute with gauge transformations.
`spatial` smears spatial links with spatial staples only and leaves temporal links unchanged, as is usual for the static
potential and for glueballs.

References:
    APE, Phys. Lett. B 192 (1987) 163; C. Morningstar & M. Peardon, Phys. Rev. D 69 (2004) 054501,
    arXiv:hep-lat/0311018; A. Hasenfratz & F. Knechtli, Phys. Rev. D 64 (2001) 034504, arXiv:hep-lat/0103029.
"""

import functools

import jax.numpy as jnp

from latflow._typing import Field, Matrices
from latflow.arguments import count, finite, number, require_shape, require_type
from latflow.batching import repeat
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import staples, staples_of_plane, total
from latflow.groups.matrices import adjoint, product


def ape(space: GaugeSpace, x: Field, *, alpha: float, n_steps: int = 1, spatial: bool = False) -> Field:
    r"""APE-smeared links.

    Args:
        space: Space of the links.
        x: One configuration.
        alpha: Weight of the staples, in [0, 1); 1/2 is common for spatial smearing.
        n_steps: Number of smearing steps.
        spatial: Smear only spatial links, with spatial staples.

    Raises:
        ConfigError: If `alpha` is out of range, or if there is only one direction to smear.
    """
    _require(space, x, n_steps)
    number("smearing.alpha", alpha)
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
        space: Space of the links.
        x: One configuration.
        rho: Weight of every staple; 0.1 is common, and beyond about 0.15 links become rougher in four dimensions.
        n_steps: Number of smearing steps.
        spatial: Smear only spatial links, with spatial staples.

    Raises:
        ConfigError: If there is only one direction to smear.
    """
    _require(space, x, n_steps)
    finite("smearing.rho", rho)
    directions = _directions(space, spatial=spatial)

    def step(x: Field) -> Field:
        links, p = space.links(x), list(jnp.zeros(space.tangent_shape))
        for mu in directions:
            loops = product(links[mu], staples(links, mu=mu, others=directions))
            p[mu] = space.group.coefficients(loops)
        return space.move(x, -rho * jnp.stack(p))

    return repeat(lambda _, x: step(x), x, n=n_steps)


HYP_WEIGHTS = (0.75, 0.6, 0.3)
"""α₁, α₂, α₃ of arXiv:hep-lat/0103029 in four dimensions."""


def hyp(space: GaugeSpace, x: Field, *, alphas: tuple[float, ...] = HYP_WEIGHTS, n_steps: int = 1) -> Field:
    r"""Hypercubically smeared links.

    With $W_\mu^E$ the link smeared without the directions E, and m directions beside μ and E,
    $W_\mu^E=\mathrm{Proj}[(1-\alpha)U_\mu+\frac\alpha{2m}\sum_\nu W_\nu^{E\mu}W_\mu^{E\nu}W_\nu^{E\mu\dagger}]$,
    summed over both staples of a plane, α₁ with E empty; where no direction is left it is $U_\mu$.

    Args:
        space: Space of the links.
        x: One configuration.
        alphas: Weights of the staples from outside to inside, one fewer than directions, each in [0, 1).
        n_steps: Number of smearing steps.

    Raises:
        ConfigError: If the number of weights is wrong, or a weight is out of range.
    """
    _require(space, x, n_steps)
    require_type("smearing.alphas", alphas, (tuple, list), "a tuple of weights")
    if len(alphas) != space.ndim - 1 or not all(0 <= alpha < 1 for alpha in alphas):
        allowed = f"{space.ndim - 1} numbers, each at least 0 and less than 1"
        raise ConfigError([f"smearing.alphas: {alphas}; allowed: {allowed}"])

    def step(x: Field) -> Field:
        links = space.links(x)

        @functools.cache
        def smeared(mu: int, without: frozenset[int]) -> Field:
            others = [nu for nu in range(space.ndim) if nu != mu and nu not in without]
            if not others:
                return x[mu]
            alpha, around = alphas[len(without)], []
            for nu in others:
                u, v = matrices(mu, without | {nu}), matrices(nu, without | {mu})
                around.append(staples_of_plane(u, v, mu=mu, nu=nu))
            staple = adjoint(total(around)) / (2 * len(others))
            return space.group.project((1 - alpha) * links[mu] + alpha * staple)

        def matrices(mu: int, without: frozenset[int]) -> Matrices:
            return space.group.matrices(smeared(mu, without))

        return jnp.stack([smeared(mu, frozenset()) for mu in range(space.ndim)])

    return repeat(lambda _, x: step(x), x, n=n_steps)


def _require(space: GaugeSpace, x: Field, n_steps: int) -> None:
    require_type("space", space, GaugeSpace, "the space of the links, such as action.space")
    require_shape("configuration", x, space.shape)
    count("smearing.steps", n_steps, least=0)


def _directions(space: GaugeSpace, *, spatial: bool) -> tuple[int, ...]:
    directions = tuple(range(space.ndim - 1 if spatial else space.ndim))
    if len(directions) < 2:
        raise ConfigError(["smearing: allowed: two or more directions of space"])
    return directions
