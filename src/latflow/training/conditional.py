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
from latflow.flows.conditional import ConditionalFlow
from latflow.training.losses import AbstractLoss

_PROBES = (-1.0, 0.0, 1.0)


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

        values, log_weights = jax.lax.map(one, (self.positions(keys[0]), keys[1:]))
        return jnp.mean(values), log_weights.reshape(-1)

    def positions(self, key: PRNGKey) -> Float[Array, " n_couplings"]:
        """One place in each stratum of [−1, 1], uniformly."""
        return 2 * (jnp.arange(self.n_couplings) + jax.random.uniform(key, (self.n_couplings,))) / self.n_couplings - 1


def probes(flow: ConditionalFlow) -> tuple[Scalar, ...]:
    """The couplings at which a conditional flow is judged: both ends of its range and the middle of the logarithm."""
    return tuple(flow.coupling(position) for position in _PROBES)


def with_coupling(action: AbstractAction, coupling: float | Scalar) -> AbstractAction:
    """The same φ⁴ theory at another coupling.

    Args:
        action: Of φ⁴, or any other with a field `coupling`.
        coupling: λ in the house normalisation.
    """
    return eqx.tree_at(lambda action: action.coupling, action, jnp.asarray(coupling, dtype=float))
