r"""Metropolis updates of links, for any action linear in every link.

A proposal multiplies a link by an element near 1, $e^{ip_aT_a}U$ with p uniform in a box: p and −p are as likely, so
it is symmetric. The change of the action needs only the sum of the paths that close the link
(`latflow.samplers.link_sweeps`).
"""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.actions.gauge import AbstractLinkAction
from latflow.arguments import positive, require_type
from latflow.batching import batch_last, trailing
from latflow.fields.spaces import AbstractFieldSpace
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import multiply
from latflow.randomness import fold_in, log_uniform, uniform
from latflow.samplers.base import AbstractTunableKernel, Transition
from latflow.samplers.heatbath import LinkState
from latflow.samplers.link_sweeps import Update, n_turns, sweep, updated
from latflow.samplers.metropolis import acceptance_probability, is_accepted, unusable


class LinkMetropolis(AbstractTunableKernel):
    """One sweep: one proposal for every link.

    Args:
        action: The target is exp(−S).
        width: Coordinates of a step are uniform in (−width, width), or in (−π, π) if that is less.

    Raises:
        TypeError: If the action is not an `AbstractLinkAction`.
        ConfigError: If `width` is not positive, or the lattice does not fit the colouring of the links
            (`Surroundings.require`).
    """

    action: AbstractLinkAction
    width: Scalar

    def __init__(self, action: AbstractLinkAction, *, width: float | Scalar) -> None:
        require_type("metropolis.action", action, AbstractLinkAction, "WilsonAction, ImprovedAction or your own")
        action.surroundings.require(action.space.lattice.shape)
        self.action = action
        self.width = positive("metropolis.width", width)

    @property
    @override
    def scale(self) -> Scalar:
        return self.width

    @override
    def with_scale(self, scale: Scalar) -> "LinkMetropolis":
        return LinkMetropolis(self.action, width=scale)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Field) -> LinkState:
        return LinkState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: LinkState) -> tuple[LinkState, Transition]:
        space, surroundings = self.action.space, self.action.surroundings
        count, size = n_turns(space, surroundings)
        u = uniform(fold_in(key, 0), (count, space.group.n_generators, size))
        log_u = log_uniform(fold_in(key, 1), (count, 1, size))
        numbers = _steps_and_decisions(u, log_u, jnp.minimum(self.width, jnp.pi))
        before = space.links(state.x)
        after, log_ratio = sweep(
            before, numbers, self.action.beta, space=space, surroundings=surroundings, update=_offered(space.group)
        )
        acceptance = jnp.mean(acceptance_probability(log_ratio))
        x = updated(space, state.x, before=before, after=after)
        return LinkState(x), Transition(acceptance, jnp.ones((), dtype=bool), unusable(log_ratio))


@trailing
def _steps_and_decisions(
    u: Float[Array, "turn generator chosen *batch"],
    log_u: Float[Array, "turn one chosen *batch"],
    width: Float[Array, "*batch"],
) -> Float[Array, "turn number chosen *batch"]:
    return jnp.concatenate([width.reshape(1, 1, 1, *width.shape) * (2 * u - 1), log_u], axis=1)


@functools.cache
def _offered(group: AbstractGroup) -> Update:
    """The update of links by one proposal each, which also returns the logarithms of the Metropolis ratios."""

    def update(link: Array, around: Array, numbers: Array) -> tuple[Array, Array]:
        p, log_u = numbers[:-1], numbers[-1]
        g = group.matrices(group.exp(p.reshape(*group.algebra_shape, *p.shape[1:])))
        proposal = multiply(g, link)
        log_ratio = jnp.sum(jnp.real((proposal - link) * jnp.swapaxes(around, 0, 1)), axis=(0, 1))
        return jnp.where(is_accepted(log_u, log_ratio)[None, None], proposal, link), log_ratio

    return update
