r"""What training lowers.

A loss draws its own batch, so one key determines one number and its gradient. `ReverseKL` and `PathGradient` have the
same value and the same mean gradient over draws of the flow; they differ in the scatter of that gradient. `ForwardKL`
reads draws of the target instead, and `Mixture` adds losses up.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.errors import ConfigError
from latflow.flows.mixture import TrainableFlow
from latflow.flows.weighted import FlowSampler


class AbstractLoss(eqx.Module):
    """A differentiable number that is least when the flow is the theory."""

    @abc.abstractmethod
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
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
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        keys = jax.random.split(key, self.batch_size)
        log_weights = jax.vmap(FlowSampler(flow, action).draw)(keys).log_weight
        return -jnp.mean(log_weights), log_weights


class PathGradient(AbstractLoss):
    r"""The reverse KL with the gradient that reaches the parameters through the draws alone.

    $x=f_\theta(z)$ depends on the parameters, and so does $\log q_\theta$ at fixed x. The second part, the score, has
    mean zero, and its scatter does not vanish at the optimum; it is left out:
    $g=\partial_\theta x\cdot\nabla_x[\log q + S]_{\theta\ \mathrm{fixed}}$. Where q = p the bracket is constant and
    every draw's gradient is zero. The slope of $\log q$ is that of `log_prob`, one inverse pass back from x, in which
    no parameter is differentiated.

    Args:
        batch_size: Draws per step.

    References:
        arXiv:1703.09194; for flows arXiv:2206.09016 and arXiv:2207.08219.
    """

    batch_size: int = eqx.field(static=True)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        fixed = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, flow)

        def rise(x: Field) -> tuple[Scalar, Scalar]:
            energy = action(x)
            return fixed.log_prob(x) + energy, energy

        def draw(key: PRNGKey) -> tuple[Scalar, Scalar]:
            x, log_prob = flow.sample_and_log_prob(key)
            slope, energy = jax.grad(rise, has_aux=True)(jax.lax.stop_gradient(x))
            path = jnp.real(jnp.sum(jax.lax.stop_gradient(slope) * x))
            return jax.lax.stop_gradient(-energy - log_prob), path - jax.lax.stop_gradient(path)

        log_weights, paths = jax.vmap(draw)(jax.random.split(key, self.batch_size))
        # the paths are zeros: they carry the gradient and leave the value that of the reverse KL
        return jnp.mean(paths) - jnp.mean(log_weights), log_weights


class ForwardKL(AbstractLoss):
    r"""$-\langle\log q\rangle_p = D_\mathrm{KL}(p\|q)$ + entropy of p, over minibatches of draws of the target.

    It is large wherever the target has weight and the flow has none, so it sees modes that a reverse KL cannot.

    Args:
        targets: Draws of the target, $e^{-S}/Z$; every step takes a few of them with replacement.
        batch_size: Draws per step.
    """

    targets: Inexact[Array, "n_targets *shape"]
    batch_size: int = eqx.field(static=True)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        chosen = jax.random.randint(key, (self.batch_size,), 0, len(self.targets))
        # the data are no parameters: a gradient with respect to the loss itself is nobody's business
        x = jax.lax.stop_gradient(self.targets)[chosen]
        log_probs = jax.vmap(flow.log_prob)(x)
        return -jnp.mean(log_probs), -jax.vmap(action)(x) - log_probs


class Mixture(AbstractLoss):
    """A sum of losses with weights; each draws its batch with a key of its own.

    Args:
        losses: One or more.
        weights: One positive number for each.

    Raises:
        ConfigError: If a weight is missing or not positive.
    """

    losses: tuple[AbstractLoss, ...]
    weights: tuple[float, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not self.losses or len(self.weights) != len(self.losses) or not all(w > 0 for w in self.weights):
            raise ConfigError([f"training.loss: weights {list(self.weights)}; allowed: one positive number per loss"])

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        parts = [loss(flow, action, jax.random.fold_in(key, i)) for i, loss in enumerate(self.losses)]
        value = sum((w * part for w, (part, _) in zip(self.weights, parts, strict=True)), start=jnp.zeros(()))
        return value, jnp.concatenate([log_weights for _, log_weights in parts])
