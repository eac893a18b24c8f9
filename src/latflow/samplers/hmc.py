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

from latflow._typing import Configuration, Field, Flag, Momentum, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, positive, require_type
from latflow.batching import batch_last, beside
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.fields.transport import total
from latflow.randomness import fold_in, uniform
from latflow.samplers.base import AbstractReversibleKernel, Transition
from latflow.samplers.integrators import SCHEME_NAMES, Nested, Scheme, integrate
from latflow.samplers.metropolis import acceptance_probability, is_accepted

_NEVER_ACCEPTED = 37.0


class HMCState(NamedTuple):
    """State of a chain: its configuration and the action of it."""

    x: Configuration
    action: Scalar


class HMC(AbstractReversibleKernel):
    """One trajectory and its accept/reject decision.

    The number of steps is part of the compiled program and fixed. The step size is an array and is changed by tuning,
    and with it the trajectory length ``step_size * n_steps``. `with_trajectory` restores a wanted length.

    Args:
        action: The target is exp(−S).
        scheme: Integrator table, or `Nested` tables that integrate the terms of the action on different time scales.
        step_size: Length of one integrator step.
        n_steps: Integrator steps per trajectory, at least 1.
        jitter: Every trajectory has its own step size, uniform in ((1 − jitter) · `step_size`, `step_size`], drawn
            before it begins; never a larger one, which might be unstable. With a fixed length a harmonic mode whose
            half-period fits into it returns to ±itself for ever: the target is invariant and never reached
            (P. B. Mackenzie, Phys. Lett. B 226 (1989) 369).

    Raises:
        TypeError: If `action` is not an action, `scheme` not a table (its name, say), or a number not a number.
        ConfigError: If `step_size` or `n_steps` is not positive, `jitter` is not in [0, 1), or the levels do not fit
            the terms of the action.
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
        require_type("hmc.scheme", scheme, (Scheme, Nested), f"{', '.join(SCHEME_NAMES)}, or Nested ones")
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
        """The kernel with trajectories of this length at about the present step size.

        Compiles again if the number of steps changes.
        """
        n_steps = max(1, round(length / float(self.step_size)))
        return dataclasses.replace(self, n_steps=n_steps, step_size=length / n_steps)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Configuration) -> HMCState:
        x = jax.tree.map(batch_last, x)
        return HMCState(x, self.action.value_and_force(x)[0])

    @override
    def step(self, key: PRNGKey, state: HMCState) -> tuple[HMCState, Transition]:
        p = jax.tree.map(batch_last, self.action.space.momentum(fold_in(key, 0)))
        state = self._refreshed(fold_in(key, 3), state)
        proposal, p_end = self._jittered(fold_in(key, 2))._trajectory(state.x, p)
        log_ratio = (state.action - proposal.action) + (_kinetic(p) - _kinetic(p_end))
        # XLA stores the result of its own logarithm, but would recompute a cheaper one at every site.
        accepted = is_accepted(jnp.log(uniform(fold_in(key, 1))), log_ratio)
        chosen = jax.tree.map(lambda new, old: _choose(accepted, new, old), proposal, state)
        return chosen, Transition(acceptance_probability(log_ratio), accepted, log_ratio)

    def _refreshed(self, key: PRNGKey, state: HMCState) -> HMCState:
        """The state with its auxiliary fields drawn afresh; the same object if there are none."""
        x = self.action.refresh(key, state.x)
        return state if x is state.x else self.init(x)

    def _jittered(self, key: PRNGKey) -> "HMC":
        """The kernel of one trajectory. Its step size is drawn independently of the configuration."""
        if self.jitter == 0:
            return self
        return self.with_scale(self.step_size * (1 - self.jitter * uniform(key)))

    @override
    def reversibility(self, key: PRNGKey, x: Configuration) -> Scalar:
        """|ΔΔH|: energy difference between start and end of a trajectory run forth and back; zero without rounding.

        A trajectory that cannot be accepted, with ΔH > 37 (the least positive uniform number is 2^−52) or NaN, counts
        as zero: it may be unstable, and its end is never used.
        """
        start = self.init(x)
        p = self.action.space.momentum(key)
        there, p_there = self._trajectory(start.x, p)
        back, p_back = self._trajectory(there.x, jax.tree.map(jnp.negative, p_there))
        forth = (there.action - start.action) + (_kinetic(p_there) - _kinetic(p))
        back_and_forth = jnp.abs((back.action - start.action) + (_kinetic(p_back) - _kinetic(p)))
        return jnp.where(forth <= _NEVER_ACCEPTED, back_and_forth, 0.0)

    def _trajectory(self, x: Configuration, p: Momentum) -> tuple[HMCState, Momentum]:
        x, p, action = integrate(self.action, self.scheme, x, p, step_size=self.step_size, n_steps=self.n_steps)
        return HMCState(x, action), p


def _choose(accepted: Flag, new: Field, old: Field) -> Field:
    return jnp.where(beside(accepted, new), new, old)


def _kinetic(p: Momentum) -> Scalar:
    return total(0.5 * jnp.sum(part**2) for part in jax.tree.leaves(p))
