"""Training over a range of values of a parameter.

Every step draws one value out of each of several strata of equal width in the logarithm, and lowers the mean of an
ordinary loss over them, each against the action at its own value.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count
from latflow.given import require_type
from latflow.randomness import split
from latflow.training.losses import AbstractLoss
from latflow.training.ranges import positions, theory_at
from latflow.training.schedules import Optimiser
from latflow.training.split_range import run_split_range
from latflow.training.steps import Outcome, TrainingState, run_steps


class OverRange(AbstractLoss):
    """The mean of a loss over the range of a conditional flow.

    Args:
        loss: What is lowered at every value; its batch is the share of one value.
        n_values: Values per step, one in each of as many strata.
    """

    loss: AbstractLoss
    n_values: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        require_type("loss", self.loss, AbstractLoss, "one of AbstractLoss, such as ReverseKL(256)")
        count("n_values", self.n_values)

    @override
    def __call__(self, flow: Any, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        keys = split(key, self.n_values + 1)

        def one(argument: tuple[Scalar, PRNGKey]) -> tuple[Scalar, Float[Array, " m"]]:
            position, key = argument
            value = flow.value(position)
            return self.loss(flow.at(value), theory_at(action, flow, value), key)

        values, log_weights = jax.lax.map(one, (positions(keys[0], n=self.n_values), keys[1:]))
        return jnp.mean(values), log_weights.reshape(-1)

    @override
    def descend(
        self, state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, optimiser: Optimiser
    ) -> tuple[TrainingState, Outcome]:
        flow: Any = state.flow
        batch_size = self.loss.split_draws(flow.coefficients)
        if batch_size is None:
            return run_steps(state, key, target, action=action, loss=self, optimiser=optimiser)
        sizes = {"n_values": self.n_values, "batch_size": batch_size}
        return run_split_range(state, key, target, action=action, optimiser=optimiser, **sizes)
