"""Local Metropolis: checkerboard sweeps of independent single-site proposals.

Sites of one parity do not interact with each other under an `AbstractLocalAction`, so all of them are updated at once
with the other parity held fixed. The composition of the two half-sweeps leaves the target invariant.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractLocalAction
from latflow.arguments import positive, require_type
from latflow.batching import batch_last, beside, repeat
from latflow.fields.spaces import AbstractFieldSpace
from latflow.lattice import Lattice
from latflow.randomness import fold_in, log_uniform, uniform
from latflow.samplers.base import AbstractTunableKernel, Transition
from latflow.samplers.metropolis import acceptance_probability, is_accepted, unusable


class LocalState(NamedTuple):
    """State of a chain: its configuration."""

    x: Float[Array, "*shape"]


class LocalMetropolis(AbstractTunableKernel):
    """One sweep: the even sites, then the odd ones, each proposing a uniform step.

    Args:
        action: The target is exp(−S).
        width: Proposals are uniform in (−width, width) around the present value.

    Raises:
        TypeError: If the action is not an `AbstractLocalAction`.
        ConfigError: If `width` is not positive or an extent of the lattice is odd (`Lattice.checkerboard`).
    """

    action: AbstractLocalAction
    width: Scalar
    lattice: Lattice = eqx.field(static=True)

    def __init__(self, action: AbstractLocalAction, *, width: float | Scalar) -> None:
        require_type("local.action", action, AbstractLocalAction, "PhiFour, FreeField or another AbstractLocalAction")
        self.action = action
        self.width = positive("local.width", width)
        self.lattice = Lattice(action.space.shape)
        self.lattice.checkerboard(parity=0)

    @property
    @override
    def scale(self) -> Scalar:
        return self.width

    @override
    def with_scale(self, scale: Scalar) -> "LocalMetropolis":
        return LocalMetropolis(self.action, width=scale)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Float[Array, "*shape"]) -> LocalState:
        return LocalState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: LocalState) -> tuple[LocalState, Transition]:
        shape = self.lattice.shape
        # Both half-sweeps share one array of steps and one of uniforms: each site uses its own entry once.
        steps = beside(self.width, state.x) * (2.0 * uniform(fold_in(key, 0), shape) - 1.0)
        log_u = log_uniform(fold_in(key, 1), shape)

        # A loop, because without one XLA would recompute the random numbers for every use of them.
        def half(parity: Integer[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, log_ratio = carry
            moved, new = self.half_sweep(x, steps, log_u, parity=parity)
            return moved, jnp.where(self._mask(x, parity=parity), new, log_ratio)

        x, log_ratio = repeat(half, (state.x, jnp.zeros_like(state.x)), n=2)
        acceptance = jnp.mean(acceptance_probability(log_ratio))
        return LocalState(x), Transition(acceptance, jnp.ones((), dtype=bool), unusable(log_ratio))

    def half_sweep(
        self,
        x: Float[Array, "*shape"],
        steps: Float[Array, "*shape"],
        log_u: Float[Array, "*shape"],
        *,
        parity: int | Integer[Array, ""],
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        """Propose `x + steps` at the sites of one parity.

        Args:
            x: One configuration.
            steps: Proposed displacements; only those of the chosen parity are used.
            log_u: Logarithms of uniform numbers, likewise.
            parity: 0 for even sites, 1 for odd ones.

        Returns:
            The new configuration and, at every site, the logarithm of the Metropolis ratio of changing it alone.
        """
        proposal = x + steps
        log_ratio = -self.action.site_difference(x, proposal)
        return jnp.where(self._mask(x, parity=parity) & is_accepted(log_u, log_ratio), proposal, x), log_ratio

    def _mask(self, x: Float[Array, "*shape"], *, parity: int | Integer[Array, ""]) -> Bool[Array, "*shape"]:
        return beside(jnp.asarray(self.lattice.parity() == parity), x)
