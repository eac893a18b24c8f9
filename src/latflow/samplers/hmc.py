r"""Hybrid Monte Carlo over any field space.

Momenta are standard normal in the space's orthonormal coordinates, the trajectory follows a table of
`latflow.samplers.integrators`, and the proposal is taken with probability $\min(1,e^{-\Delta H})$. The state carries
the action, which comes with the last force of a trajectory.

References:
    Duane, Kennedy, Pendleton & Roweth, Phys. Lett. B 195 (1987) 216.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from latflow._typing import Field, Flag, PRNGKey, Scalar, Tangent
from latflow.actions.base import AbstractAction
from latflow.arguments import count, positive, require_type
from latflow.batching import batch_last, beside
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import fold_in, uniform
from latflow.samplers.base import AbstractReversibleKernel, Transition
from latflow.samplers.integrators import Nested, Scheme, integrate
from latflow.samplers.metropolis import acceptance_probability, is_accepted

_NEVER_ACCEPTED = 37.0


class HMCState(NamedTuple):
    """Where a chain stands: configuration and its action."""

    x: Field
    action: Scalar


class HMC(AbstractReversibleKernel):
    """One trajectory and its accept/reject decision.

    The number of steps shapes the compiled program and is fixed; the step size is an array and is what tuning moves,
    so the trajectory length ``step_size * n_steps`` moves with it. `with_trajectory` restores a wanted length.

    Args:
        action: The target is exp(−S).
        scheme: Integrator table, or `Nested` ones on levels of their own for the terms of the action.
        step_size: Length of one integrator step.
        n_steps: Integrator steps per trajectory, at least 1.
        jitter: Every trajectory has its own step size, uniform in ((1 − jitter) · `step_size`, `step_size`], drawn
            before it begins; never a larger one, which might be unstable. With a fixed length a harmonic mode whose
            half-period fits into it returns to ±itself for ever: the target is invariant and never reached
            (P. B. Mackenzie, Phys. Lett. B 226 (1989) 369).

    Raises:
        TypeError: If the action is none, the scheme is not a table but its name, or a number is none.
        ConfigError: If `step_size` or `n_steps` is not positive, `jitter` not in [0, 1), or levels do not fit.
    """

    action: AbstractAction
    scheme: Scheme | Nested = eqx.field(static=True)
    step_size: Scalar
    n_steps: int = eqx.field(static=True)
    jitter: float = eqx.field(static=True)

    def __init__(
        self,
        action: AbstractAction,
        scheme: Scheme | Nested,
        *,
        step_size: float | Scalar,
        n_steps: int,
        jitter: float = 0.0,
    ) -> None:
        require_type("hmc.action", action, AbstractAction, "an action")
        require_type(
            "hmc.scheme", scheme, (Scheme, Nested), "a table such as LEAPFROG or SCHEMES[name], or Nested ones"
        )
        self.step_size = positive("hmc.step_size", step_size)
        self.n_steps = count("hmc.n_steps", n_steps)
        require_type("hmc.jitter", jitter, (int, float), "a number")
        if not 0 <= jitter < 1:
            raise ConfigError([f"hmc.jitter: {jitter}; allowed: at least 0 and less than 1"])
        scheme.parts(action)  # refuses what does not fit
        self.action = action
        self.scheme = scheme
        self.jitter = jitter

    @property
    @override
    def scale(self) -> Scalar:
        return self.step_size

    @override
    def with_scale(self, scale: Scalar) -> "HMC":
        return dataclasses.replace(self, step_size=scale)

    def with_trajectory(self, length: float) -> "HMC":
        """The kernel whose trajectory is `length` long at about the present step size; compiles again if that changes
        the number of steps.
        """  # noqa: D205
        n_steps = max(1, round(length / float(self.step_size)))
        return dataclasses.replace(self, n_steps=n_steps, step_size=length / n_steps)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Field) -> HMCState:
        x = batch_last(x)
        return HMCState(x, self.action.value_and_force(x)[0])

    @override
    def step(self, key: PRNGKey, state: HMCState) -> tuple[HMCState, Transition]:
        p = batch_last(self.action.space.momentum(fold_in(key, 0)))
        proposal, p_end = self._jittered(fold_in(key, 2))._trajectory(state.x, p)
        log_ratio = (state.action - proposal.action) + (_kinetic(p) - _kinetic(p_end))
        # XLA keeps the result of its own logarithm; a cheaper one it would compute again at every site.
        accepted = is_accepted(jnp.log(uniform(fold_in(key, 1))), log_ratio)
        chosen = jax.tree.map(lambda new, old: _choose(accepted, new, old), proposal, state)
        return chosen, Transition(acceptance_probability(log_ratio), accepted, log_ratio)

    def _jittered(self, key: PRNGKey) -> "HMC":
        """The kernel of one trajectory: its step size knows nothing of the configuration."""
        if self.jitter == 0:
            return self
        return self.with_scale(self.step_size * (1 - self.jitter * uniform(key)))

    @override
    def reversibility(self, key: PRNGKey, x: Field) -> Scalar:
        """|ΔΔH|: how far a trajectory forth and back misses the energy it started with; zero without rounding.

        A trajectory that cannot be accepted, with ΔH > 37 (the least positive uniform number is 2^−52) or not a number,
        counts as zero: it may be unstable, and returning from it is never put to use.
        """
        start = self.init(x)
        p = self.action.space.momentum(key)
        there, p_there = self._trajectory(start.x, p)
        back, p_back = self._trajectory(there.x, -p_there)
        forth = (there.action - start.action) + (_kinetic(p_there) - _kinetic(p))
        back_and_forth = jnp.abs((back.action - start.action) + (_kinetic(p_back) - _kinetic(p)))
        return jnp.where(forth <= _NEVER_ACCEPTED, back_and_forth, 0.0)

    def _trajectory(self, x: Field, p: Tangent) -> tuple[HMCState, Tangent]:
        x, p, action = integrate(self.action, self.scheme, x, p, step_size=self.step_size, n_steps=self.n_steps)
        return HMCState(x, action), p


def _choose(accepted: Flag, new: Field, old: Field) -> Field:
    return jnp.where(beside(accepted, new), new, old)


def _kinetic(p: Tangent) -> Scalar:
    return 0.5 * jnp.sum(p**2)
