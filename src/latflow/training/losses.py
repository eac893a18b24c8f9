r"""What training lowers.

A loss draws its own batch, so one key determines one number and its gradient.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.flows.flow import Flow
from latflow.flows.weighted import FlowSampler


class AbstractLoss(eqx.Module):
    """A differentiable number that is least when the flow is the theory."""

    @abc.abstractmethod
    def __call__(self, flow: Flow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        """The loss of one batch and the log-weights of its draws."""


class ReverseKL(AbstractLoss):
    r"""$\langle\log q + S\rangle_q = D_\mathrm{KL}(q\|p) - \log Z$, over a batch of flow draws.

    Args:
        batch_size: Draws per step.

    References:
        arXiv:1904.12072 eq. (17).
    """

    batch_size: int = eqx.field(static=True)

    @override
    def __call__(self, flow: Flow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        keys = jax.random.split(key, self.batch_size)
        log_weights = jax.vmap(FlowSampler(flow, action).draw)(keys).log_weight
        return -jnp.mean(log_weights), log_weights
