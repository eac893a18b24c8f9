"""Training over a range of couplings.

Every step draws one coupling out of each of several strata of equal width in the logarithm, and lowers the mean of an
ordinary loss over them, each against the action at its own coupling.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.training.couplings import positions, with_coupling
from latflow.training.losses import AbstractLoss
from latflow.training.schedules import Optimiser
from latflow.training.split_couplings import run_split_couplings
from latflow.training.steps import Outcome, TrainingState, run_steps


class OverCouplings(AbstractLoss):
    """The mean of a loss over couplings of a conditional flow.

    Args:
        loss: What is lowered at every coupling; its batch is the share of one coupling.
        n_couplings: Couplings per step, one in each of as many strata.
    """

    loss: AbstractLoss
    n_couplings: int = eqx.field(static=True)

    @override
    def __call__(self, flow: Any, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        keys = jax.random.split(key, self.n_couplings + 1)

        def one(argument: tuple[Scalar, PRNGKey]) -> tuple[Scalar, Float[Array, " m"]]:
            position, key = argument
            coupling = flow.coupling(position)
            return self.loss(flow.at(coupling), with_coupling(action, coupling), key)

        values, log_weights = jax.lax.map(one, (positions(keys[0], n=self.n_couplings), keys[1:]))
        return jnp.mean(values), log_weights.reshape(-1)

    @override
    def descend(
        self, state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, optimiser: Optimiser
    ) -> tuple[TrainingState, Outcome]:
        flow: Any = state.flow
        batch_size = self.loss.split_draws(flow.coefficients)
        if batch_size is None:
            return run_steps(state, key, target, action=action, loss=self, optimiser=optimiser)
        sizes = {"n_couplings": self.n_couplings, "batch_size": batch_size}
        return run_split_couplings(state, key, target, action=action, optimiser=optimiser, **sizes)
